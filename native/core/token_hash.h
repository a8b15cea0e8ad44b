#pragma once

#include <cstdint>

namespace specdiff {

/** The hash of an n-gram, made longer by one token: a step of splitmix64 (Steele et al. 2014), mixed with the hash so
 * far. */
inline uint64_t hash_with(uint64_t hash, int32_t token) {
    uint64_t z = hash + 0x9e3779b97f4a7c15ULL + static_cast<uint32_t>(token);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/** The part of a hash that a table keeps beside an entry. */
inline uint32_t check_of(uint64_t hash) {
    return static_cast<uint32_t>(hash >> 32);
}

} // namespace specdiff
