#pragma once

#include <cstddef>
#include <limits>
#include <new>

namespace specdiff {

/** Memory in huge pages where it fills one, aligned to a cache line in any case. @throws std::bad_alloc */
void* allocate_huge(size_t bytes);
void release_huge(void* memory, size_t bytes);

/**
 * For tables of some megabytes that are read here and there: in pages of 4 KB nearly every read waits for a translation
 * as well, which on a virtual machine takes longer than the read.
 */
template <class T> class HugeAllocator {
  public:
    using value_type = T;

    HugeAllocator() = default;
    template <class Other> explicit HugeAllocator(const HugeAllocator<Other>& /*other*/) {}

    T* allocate(size_t count) {
        if (count > std::numeric_limits<size_t>::max() / sizeof(T)) throw std::bad_alloc();
        return static_cast<T*>(allocate_huge(count * sizeof(T)));
    }
    void deallocate(T* memory, size_t count) { release_huge(memory, count * sizeof(T)); }

    template <class Other> bool operator==(const HugeAllocator<Other>& /*other*/) const { return true; }
    template <class Other> bool operator!=(const HugeAllocator<Other>& /*other*/) const { return false; }
};

} // namespace specdiff
