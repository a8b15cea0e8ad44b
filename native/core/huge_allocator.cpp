#include "huge_allocator.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace specdiff {

namespace {

constexpr size_t HUGE_PAGE = size_t{2} << 20;
constexpr std::align_val_t PAGE{HUGE_PAGE};
constexpr std::align_val_t LINE{64};

} // namespace

void* allocate_huge(size_t bytes) {
    if (bytes > std::numeric_limits<size_t>::max() - HUGE_PAGE) throw std::bad_alloc();
    if (bytes < HUGE_PAGE) return ::operator new(bytes, LINE);
    // The last huge page, too, is whole.
    const size_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void* const memory = ::operator new(whole, PAGE);
#ifdef __linux__
    (void)madvise(memory, whole, MADV_HUGEPAGE); // refused, it costs speed alone
#endif
    return memory;
}

void release_huge(void* memory, size_t bytes) {
    ::operator delete(memory, bytes < HUGE_PAGE ? LINE : PAGE);
}

} // namespace specdiff
