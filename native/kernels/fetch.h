// Weights into the caches before they are multiplied.
#pragma once

#include "unroll.h"

#include <cstddef>

namespace specdiff::kernels {

// Each file that includes this may be compiled for another instruction set and must keep its copies to itself.
namespace {

/** Bytes ahead that weights are fetched into the first-level cache; 512 and 1,024 do as well, without it a pass of six
 * rows takes 4 % longer. */
constexpr size_t SOON_BYTES = 768;
constexpr size_t CACHE_LINE = 64;

/**
 * Of the panel that is multiplied, what comes soon into the first-level cache; of the panel behind it a block's bytes
 * into the second-level one. The hardware's own prefetch ends with a page, and where weights come from memory or a slow
 * third-level cache, what the first level can wait for is too little.
 */
template <class Block> SPECDIFF_INLINE inline void fetch(const Block* weights, const Block* ahead) {
    constexpr int FIRST_LEVEL = 3, SECOND_LEVEL = 2;
    const auto* soon = reinterpret_cast<const char*>(weights) + SOON_BYTES;
    const auto* later = reinterpret_cast<const char*>(ahead);
    unroll<(sizeof(Block) + CACHE_LINE - 1) / CACHE_LINE>([&](auto line) SPECDIFF_INLINE {
        __builtin_prefetch(soon + CACHE_LINE * line, 0, FIRST_LEVEL);
        __builtin_prefetch(later + CACHE_LINE * line, 0, SECOND_LEVEL);
    });
}

} // namespace

} // namespace specdiff::kernels
