#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace specdiff {

/** A token that stands between texts: it matches nothing, and no n-gram goes across. */
constexpr int32_t TEXT_SEPARATOR = -1;

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

/** Hashes of the n-grams that end before index `end`, one token long, two, …, at most N; the number of them. */
template <size_t N> int suffix_hashes(const std::vector<int32_t>& tokens, size_t end, std::array<uint64_t, N>& result) {
    uint64_t hash = 0;
    size_t length = 0;
    while (length < N && length < end) {
        const int32_t token = tokens[end - 1 - length];
        if (token == TEXT_SEPARATOR) break;
        hash = hash_with(hash, token);
        result[length++] = hash;
    }
    return static_cast<int>(length);
}

} // namespace specdiff
