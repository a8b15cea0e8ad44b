#include "huge_pages.h"

#ifdef __linux__
#include <sys/mman.h>

#include <cstdint>
#endif

namespace specdiff::kernels {

#ifdef __linux__

void want_huge_pages(void* data, size_t bytes) {
    (void)madvise(data, bytes, MADV_HUGEPAGE);
}

void move_to_huge_pages(void* data, size_t bytes) {
    constexpr int COLLAPSE = 25; // MADV_COLLAPSE, which older headers don't have
    const auto begin = (reinterpret_cast<uintptr_t>(data) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
               end = (reinterpret_cast<uintptr_t>(data) + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (begin >= end) return;
    want_huge_pages(reinterpret_cast<void*>(begin), end - begin);
    (void)madvise(reinterpret_cast<void*>(begin), end - begin, COLLAPSE);
}

#else

void want_huge_pages(void* /*data*/, size_t /*bytes*/) {}
void move_to_huge_pages(void* /*data*/, size_t /*bytes*/) {}

#endif

} // namespace specdiff::kernels
