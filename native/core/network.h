#pragma once

#include "cpu_backend.h"
#include "ggml_handles.h"
#include "gguf_file.h"
#include "graph_memory.h"
#include "rounding.h"
#include "threads.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct ggml_backend_buffer_type;
struct ggml_backend_sched;
struct ggml_cgraph;
struct ggml_context;
struct ggml_tensor;

namespace specdiff {

/**
 * From so many rows of fp32 on llama.cpp's CUDA backend leaves a product to cuBLAS, which multiplies in fp32 where
 * NVIDIA_TF32_OVERRIDE=0; its own kernel for 4 to 16 rows does in TF32, 10 bits of mantissa (logits 7e-3 off on an
 * H200), and can't be told otherwise.
 */
constexpr int EXACT_GPU_ROWS = 17;

/** Whether graphs take shapes that suit a GPU: one is loaded, or SPECDIFF_SHAPES=gpu has a CPU take them, for tests. */
bool gpu_shapes();

/** A graph of a network, for who made it to keep. */
struct NetworkGraph {
    GgmlContext context;
    ggml_cgraph* graph = nullptr;
    /** Network::keeps() knows by it whether the graph still has its memory. */
    int generation = 0;
};

/**
 * What a network whose graphs are our own, not llama.cpp's, runs on: the loaded backends, a GPU first, its weights and
 * caches on them, and memory for graphs: on the CPU for several in turns, on a GPU for the last one. Declare every
 * weight and cache, then load(), then make graphs.
 */
class Network {
  public:
    /** `cancelled` ends a running pass. @throws Error where a backend can't be started. */
    Network(ThreadPool& threads, const std::atomic<bool>& cancelled);
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    /** Whether the CPU computes all of it, as it takes its own shapes: then without a scheduler. */
    bool on_cpu() const { return backends_.size() == 1 && !gpu_shapes_; }
    /** Attention takes a cache's cells in steps of so many; those beyond the text are to be masked. */
    int cell_step() const;
    /**
     * Rows of a graph that serves pass after pass come in steps of so many: a GPU repeats the launches of one whose
     * shape stays (a draft of the default drafter 0.52 ms on an H100; 0.71 on an H200 with a new shape each time), and
     * a row more costs it nothing.
     */
    int row_step() const;

    /** A tensor of the file that is multiplied with: kept where it multiplies fastest. */
    ggml_tensor* matrix(const GgufFile& file, const std::string& name);
    /** One of a ggml type, [columns, rows], that is written after load(). */
    ggml_tensor* matrix(int type, int64_t columns, int64_t rows);
    /** A tensor of the file that is read as it is: a vector, or a table of rows to be looked up. */
    ggml_tensor* values(const GgufFile& file, const std::string& name);
    /** Memory that graphs keep something in, zeroed: [columns, rows] of a ggml type. */
    ggml_tensor* memory(int type, int64_t columns, int64_t rows);
    /** Gives all of that its memory and reads the weights. `nodes`: most of one graph. @throws Error. */
    void load(const GgufFile& file, size_t nodes);

    /** Begins a graph. */
    ggml_context* begin();
    /** The one that was begun last. */
    ggml_cgraph* graph() const { return next_.graph; }
    /** An input of the graph, [columns, rows]; written anew before every pass, since ggml may reuse its memory. */
    ggml_tensor* input(int type, int64_t columns, int64_t rows);
    /** `weights` times the rows of `x`, which are contiguous. Of fp32 a GPU gets no fewer rows than it multiplies in
     * fp32. */
    ggml_tensor* product(ggml_tensor* weights, ggml_tensor* x) const;
    /** Ends the graph: `outputs` can be read after a pass, until the next one. @throws Error where memory is short. */
    NetworkGraph finish(const std::vector<ggml_tensor*>& outputs);
    /** Whether a graph can still be evaluated. */
    bool keeps(const NetworkGraph& graph) const { return graph.generation == generation_; }
    /** Evaluates one that is kept. @throws Cancelled, Error. */
    void compute(const NetworkGraph& graph);

    /** Bytes of weights, caches and buffers on all devices. */
    size_t bytes() const;

  private:
    struct ReleaseScheduler {
        void operator()(ggml_backend_sched* scheduler) const;
    };

    std::vector<Backend> start_backends(const ThreadPool& threads) const;
    ggml_backend_buffer_type* plain_buffer() const;
    ggml_backend_buffer_type* matrix_buffer(int type, int64_t columns, int64_t rows) const;
    ggml_context* context_of(ggml_backend_buffer_type* type);
    ggml_tensor* weight(const GgufFile& file, const std::string& name, bool multiplied);

    ThreadPool& threads_;
    const std::atomic<bool>& cancelled_;
    std::vector<Backend> backends_; // the CPU last
    bool gpu_shapes_ = false;
    std::map<ggml_backend_buffer_type*, GgmlContext> contexts_;
    std::vector<GgmlBuffer> buffers_;
    /** Unless on_cpu(). */
    std::unique_ptr<ggml_backend_sched, ReleaseScheduler> scheduler_;
    /** Where there is no scheduler. */
    GraphMemory memory_;
    size_t nodes_ = 0;
    NetworkGraph next_;
    /** Of the graphs that have their memory. */
    int generation_ = 1;
};

/** Writes so many bytes of a tensor, from `offset` on. */
void write_values(ggml_tensor* tensor, const void* values, size_t bytes, size_t offset = 0);
/** Writes a whole tensor. */
template <typename Value> void write_values(ggml_tensor* tensor, const std::vector<Value>& values) {
    write_values(tensor, values.data(), values.size() * sizeof(Value));
}
/** Reads a whole tensor of 32-bit floats. */
void read_values(const ggml_tensor* tensor, std::vector<float>& values);

} // namespace specdiff
