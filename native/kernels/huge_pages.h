// Memory in huge pages: what passes once per step pays a translation for every 4 KB otherwise.
#pragma once

#include <cstddef>

namespace specdiff::kernels {

/** Size of a huge page, and the alignment that lets the system use them. */
constexpr size_t HUGE_PAGE = size_t{2} << 20;

/** For memory that is to be touched first. Where the system refuses, that costs speed only. */
void want_huge_pages(void* data, size_t bytes);

/** For memory in use: moves it into huge pages, on Linux from 6.1 on; before, the system may do so in time. */
void move_to_huge_pages(void* data, size_t bytes);

} // namespace specdiff::kernels
