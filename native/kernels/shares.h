// How the threads of a graph share one operation.
#pragma once

#include "graph_hooks.h"

#include <ggml-cpu-impl.h>

#include <cstdint>

namespace specdiff::kernels {

/** Where piece `piece` of 4 · threads begins, in parts of 8 · threads: pieces of four parts, then of two, then of one.
 */
constexpr int64_t piece_begin(int64_t piece, int64_t threads) {
    if (piece <= threads) return 4 * piece;
    if (piece <= 2 * threads) return 4 * threads + 2 * (piece - threads);
    return 6 * threads + (piece - 2 * threads);
}

/** Behind a thread's last part. */
constexpr int64_t NO_PART = -1;

/**
 * Calls work(begin, end, take) for this thread's parts of `total` units. Half of the units are handed out evenly at
 * once, so that a thread half as fast as the others still ends with them; the rest goes in pieces to whoever gets done,
 * so that one that is held up by another program doesn't make the others wait long, and in ever smaller ones, since all
 * wait for the last. Once between two barriers. (All of it in 8 equal pieces a thread: the processors' turns at the
 * counter took 2 % of a pass of eight rows.)
 *
 * take() says where the thread's next part begins, NO_PART for nowhere, and takes it: asked shortly before the end of a
 * part, what comes next can be fetched meanwhile; asked earlier, a slow thread would have taken too much.
 */
template <class Work> void share(const ggml_compute_params* params, int64_t total, Work&& work) {
    constexpr int64_t NOT_TAKEN = -1;
    const int64_t ith = params->ith, nth = params->nth, even = nth > 1 ? total / 2 : total, rest = total - even;
    const auto place = [&](int64_t piece) { return even + rest * piece_begin(piece, nth) / (8 * nth); };
    const int64_t pieces = rest > 0 ? 4 * nth : 0;
    const int barriers = specdiff_barriers(params->threadpool);
    int64_t begin = even * ith / nth, end = even * (ith + 1) / nth;
    for (;;) {
        int64_t piece = NOT_TAKEN;
        const auto take = [&] {
            if (piece == NOT_TAKEN) piece = pieces > 0 ? specdiff_next_piece(params->threadpool, barriers) : 0;
            return piece < pieces ? place(piece) : NO_PART;
        };
        work(begin, end, take);
        begin = take();
        if (begin == NO_PART) return;
        end = place(piece + 1);
    }
}

} // namespace specdiff::kernels
