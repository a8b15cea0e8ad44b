#pragma once

struct ggml_tensor;

namespace specdiff {

/**
 * A cache as a graph's attention sees it: a view [head width, heads, cells] and that with cells before heads. Which
 * cells they are can be changed in a graph that has its memory already, on the CPU, so that it serves as a text grows.
 */
struct CacheView {
    ggml_tensor* view = nullptr;
    ggml_tensor* turned = nullptr;

    /** Of the cache, `cells` cells from `first` on. */
    void see(int first, int cells) const;
};

/** Gives a mask [cells, rows] another number of cells, at most as many as it was made with. */
void see_cells(ggml_tensor& mask, int cells);

} // namespace specdiff
