#pragma once

#include <cstddef>
#include <memory>

struct ggml_backend;
struct ggml_cgraph;
struct ggml_gallocr;

namespace specdiff {

/**
 * Memory that graphs on the CPU have in turns: one is computed at a time, and what it left is gone with the next one's
 * pass. They keep their places in it, so that each can be computed again.
 */
class GraphMemory {
  public:
    explicit GraphMemory(ggml_backend* cpu);

    /** What became of the graph, and of those that have places already. */
    enum class Given { kept, others_lost, failed };
    /** Gives a graph's tensors their places, for which the memory may have to grow. */
    Given give(ggml_cgraph* graph);
    size_t bytes() const;

  private:
    struct Release {
        void operator()(ggml_gallocr* allocator) const;
    };
    std::unique_ptr<ggml_gallocr, Release> allocator_;
};

} // namespace specdiff
