#include "huge_pages.h"

#ifdef __linux__
#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <string>
#endif

namespace specdiff::kernels {

#ifdef __linux__

void want_huge_pages(void* data, size_t bytes) {
    (void)madvise(data, bytes, MADV_HUGEPAGE);
}

namespace {

/** Collapsing would not ask (madvise(2)). */
bool huge_pages_are_off() {
    static const bool off = [] {
        std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
        std::string text;
        return std::getline(file, text) && text.find("[never]") != std::string::npos;
    }();
    return off;
}

} // namespace

void move_to_huge_pages(void* data, size_t bytes) {
    if (huge_pages_are_off()) return;
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
