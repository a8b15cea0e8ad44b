// Checks that nodes of a graph computed together (native/kernels/node_runs.h) give what they give one by one.
//
//   layer_check LIBRARY         one line of JSON per check, number of rows and number of threads:
//     nodes     two layers of a transformer against the same nodes, each in a graph of its own: greatest difference ÷
//               greatest value (a norm in a run of operations adds its squares in another order)
//     threads   … against one thread, bit for bit, several times: number of values that differ
//     shifted   an operation that reads other threads' rows right behind the one that writes them, likewise
//     turned    two rotations of other widths, whose sines and cosines are other threads', likewise
//   and one line of what was put in order (graph_hooks.h): `together`, products right behind one of the same
//   activations, and `moved`, products that came before an operation on what they read
#include "cpu_library.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

void fail(const std::string& reason) {
    std::fprintf(stderr, "%s\n", reason.c_str());
    std::exit(2);
}

namespace {

constexpr int64_t HIDDEN = 256, HEAD = 64, HEADS = 4, KEY_HEADS = 1, INNER = 512, VOCABULARY = 100, CELLS = 128;
constexpr int LAYERS = 2;

struct Buffer {
    explicit Buffer(ggml_backend_buffer_t b) : buffer(b, ggml_backend_buffer_free) {}
    std::shared_ptr<ggml_backend_buffer> buffer;
};

ggml_context* new_context() {
    return ggml_init({512 * ggml_tensor_overhead() + 64 * ggml_graph_overhead(), nullptr, true});
}

/** A graph with its inputs, allocated as llama.cpp's are: by the scheduler, memory used again. */
class Graph {
  public:
    explicit Graph(const CpuLibrary& library)
        : library_(library), context(new_context()), graph_(ggml_new_graph(context)) {
        auto* type = ggml_backend_get_default_buffer_type(library.backend);
        auto* backend = library.backend;
        scheduler_ = ggml_backend_sched_new(&backend, &type, 1, 512, false, false);
    }
    ~Graph() {
        ggml_backend_sched_free(scheduler_);
        ggml_free(context);
    }
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;

    ggml_tensor* input(ggml_type type, std::vector<int64_t> shape, std::vector<char> data) {
        auto* x = ggml_new_tensor(context, type, static_cast<int>(shape.size()), shape.data());
        ggml_set_input(x);
        inputs_.emplace_back(x, std::move(data));
        return x;
    }

    /** Computed before the result, for what it changes. */
    void also(ggml_tensor* x) { ggml_build_forward_expand(graph_, x); }

    void finish(ggml_tensor* result) {
        result_ = result;
        ggml_set_output(result);
        ggml_build_forward_expand(graph_, result);
        if (!ggml_backend_sched_alloc_graph(scheduler_, graph_)) fail("no memory for the graph");
    }

    Floats compute(int threads) const {
        library_.threads(threads);
        set_inputs();
        if (ggml_backend_sched_graph_compute(scheduler_, graph_) != GGML_STATUS_SUCCESS) fail("the graph failed");
        return values();
    }

    Floats compute_node_by_node() const {
        library_.threads(1);
        set_inputs();
        for (int i = 0; i < ggml_graph_n_nodes(graph_); ++i) {
            const std::unique_ptr<ggml_context, void (*)(ggml_context*)> own(new_context(), ggml_free);
            auto* single = ggml_new_graph(own.get());
            ggml_graph_add_node(single, ggml_graph_node(graph_, i));
            if (ggml_backend_graph_compute(library_.backend, single) != GGML_STATUS_SUCCESS) fail("a node failed");
        }
        return values();
    }

    /** How many nodes are products right behind another of the same activations. */
    int products_together() const {
        int count = 0;
        for (int i = 1; i < ggml_graph_n_nodes(graph_); ++i) {
            const auto *before = ggml_graph_node(graph_, i - 1), *node = ggml_graph_node(graph_, i);
            const bool products = before->op == GGML_OP_MUL_MAT && node->op == GGML_OP_MUL_MAT;
            count += products && before->src[1] == node->src[1] ? 1 : 0;
        }
        return count;
    }

  private:
    void set_inputs() const {
        for (const auto& [tensor, data] : inputs_)
            ggml_backend_tensor_set(tensor, data.data(), 0, data.size());
    }

    Floats values() const {
        Floats out(static_cast<size_t>(ggml_nelements(result_)));
        ggml_backend_tensor_get(result_, out.data(), 0, out.size() * sizeof(float));
        return out;
    }

    const CpuLibrary& library_;

  public:
    ggml_context* context;

  private:
    ggml_cgraph* graph_;
    ggml_backend_sched_t scheduler_;
    ggml_tensor* result_ = nullptr;
    std::vector<std::pair<ggml_tensor*, std::vector<char>>> inputs_;
};

template <class T> std::vector<char> bytes_of(const std::vector<T>& values) {
    const auto* begin = reinterpret_cast<const char*>(values.data());
    return {begin, begin + values.size() * sizeof(T)};
}

/** Weights of a model of two layers. */
class Model {
  public:
    Model(const CpuLibrary& library, std::mt19937& rng) : library_(library), rng_(rng) {
        for (auto& layer : layers) {
            layer = {matrix(HIDDEN, HEAD * HEADS),
                     matrix(HIDDEN, HEAD * KEY_HEADS),
                     matrix(HIDDEN, HEAD * KEY_HEADS),
                     matrix(HEAD * HEADS, HIDDEN),
                     matrix(HIDDEN, INNER),
                     matrix(HIDDEN, INNER),
                     matrix(INNER, HIDDEN)};
        }
        head = matrix(HIDDEN, VOCABULARY);
    }
    ~Model() {
        for (auto* context : contexts_)
            ggml_free(context);
    }
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    Floats normal(int64_t count, float scale = 1.0f) {
        std::normal_distribution<float> distribution(0.0f, scale);
        Floats values(static_cast<size_t>(count));
        std::generate(values.begin(), values.end(), [&] { return distribution(rng_); });
        return values;
    }

    struct Layer {
        ggml_tensor *q, *k, *v, *o, *gate, *up, *down;
    };
    Layer layers[LAYERS];
    ggml_tensor* head;

  private:
    ggml_tensor* matrix(int64_t columns, int64_t rows) {
        auto* context = ggml_init({ggml_tensor_overhead(), nullptr, true});
        contexts_.push_back(context);
        auto* weights = ggml_new_tensor_2d(context, GGML_TYPE_Q4_1, columns, rows);
        const Floats exact = normal(columns * rows, 1.0f / std::sqrt(static_cast<float>(columns)));
        std::vector<char> packed(ggml_nbytes(weights));
        ggml_quantize_chunk(GGML_TYPE_Q4_1, exact.data(), packed.data(), 0, rows, columns, nullptr);
        buffers_.emplace_back(ggml_backend_alloc_ctx_tensors_from_buft(context, library_.repacked));
        ggml_backend_tensor_set(weights, packed.data(), 0, packed.size());
        return weights;
    }

    const CpuLibrary& library_;
    std::mt19937& rng_;
    std::vector<ggml_context*> contexts_;
    std::vector<Buffer> buffers_;
};

/** Of each row of x, or of each head. */
ggml_tensor* norm(Graph& graph, Model& model, ggml_tensor* x) {
    auto* weights = graph.input(GGML_TYPE_F32, {x->ne[0]}, bytes_of(model.normal(x->ne[0])));
    return ggml_mul(graph.context, ggml_rms_norm(graph.context, x, 1e-5f), weights);
}

void build_layers(Graph& graph, Model& model, int64_t rows) {
    auto* c = graph.context;
    std::vector<int32_t> positions(static_cast<size_t>(rows));
    std::vector<int64_t> cells(positions.size());
    for (size_t i = 0; i < positions.size(); ++i) {
        positions[i] = static_cast<int32_t>(3 + i);
        cells[i] = static_cast<int64_t>((i * 7) % CELLS); // in another order, none twice
    }
    auto* position = graph.input(GGML_TYPE_I32, {rows}, bytes_of(positions));
    auto* cell = graph.input(GGML_TYPE_I64, {rows}, bytes_of(cells));
    const std::vector<char> nothing(static_cast<size_t>(CELLS * HEAD * KEY_HEADS) * 2);
    auto* mask = graph.input(GGML_TYPE_F16, {CELLS, rows}, std::vector<char>(static_cast<size_t>(CELLS * rows) * 2));
    auto* x = graph.input(GGML_TYPE_F32, {HIDDEN, rows}, bytes_of(model.normal(HIDDEN * rows)));
    for (const auto& layer : model.layers) {
        auto* keys = graph.input(GGML_TYPE_F16, {HEAD * KEY_HEADS, CELLS}, nothing);
        auto* values = graph.input(GGML_TYPE_F16, {HEAD * KEY_HEADS, CELLS}, nothing);
        auto* h = norm(graph, model, x);
        const auto rotated = [&](ggml_tensor* weights, int64_t heads) {
            auto* y = norm(graph, model, ggml_reshape_3d(c, ggml_mul_mat(c, weights, h), HEAD, heads, rows));
            return ggml_rope(c, y, position, HEAD, GGML_ROPE_TYPE_NORMAL);
        };
        // The order in which llama.cpp adds them: what they meet is together only once the graph is put in order.
        auto* q = rotated(layer.q, HEADS);
        graph.also(q);
        auto* v = ggml_mul_mat(c, layer.v, h);
        graph.also(v);
        auto* k = rotated(layer.k, KEY_HEADS);
        graph.also(k);
        graph.also(ggml_set_rows(c, keys, ggml_reshape_2d(c, k, HEAD * KEY_HEADS, rows), cell));
        graph.also(ggml_set_rows(c, values, v, cell));
        const auto heads_of = [&](ggml_tensor* cache) {
            return ggml_permute(c, ggml_reshape_3d(c, cache, HEAD, KEY_HEADS, CELLS), 0, 2, 1, 3);
        };
        auto* attention = ggml_flash_attn_ext(c, ggml_permute(c, q, 0, 2, 1, 3), heads_of(keys), heads_of(values), mask,
                                              1.0f / std::sqrt(static_cast<float>(HEAD)), 0.0f, 0.0f);
        x = ggml_add(c, ggml_mul_mat(c, layer.o, ggml_reshape_2d(c, attention, HEAD * HEADS, rows)), x);
        h = norm(graph, model, x);
        auto* inner = ggml_swiglu_split(c, ggml_mul_mat(c, layer.gate, h), ggml_mul_mat(c, layer.up, h));
        x = ggml_add(c, ggml_mul_mat(c, layer.down, inner), x);
    }
    graph.finish(ggml_mul_mat(c, model.head, norm(graph, model, x)));
}

/** x[0 … rows) += a, then x[rows − 1 … 2 rows − 1) + b: its first thread reads what the last one wrote last. */
void build_shifted(Graph& graph, Model& model, int64_t rows) {
    auto* c = graph.context;
    const int64_t width = 4096;
    auto* x = graph.input(GGML_TYPE_F32, {width, 2 * rows}, bytes_of(model.normal(width * 2 * rows)));
    auto* a = graph.input(GGML_TYPE_F32, {width, rows}, bytes_of(model.normal(width * rows)));
    auto* b = graph.input(GGML_TYPE_F32, {width, rows}, bytes_of(model.normal(width * rows)));
    const auto part = [&](int64_t first) {
        return ggml_view_2d(c, x, width, rows, x->nb[1], static_cast<size_t>(first) * x->nb[1]);
    };
    graph.also(ggml_add_inplace(c, part(0), a));
    graph.finish(ggml_add(c, part(rows - 1), b));
}

/** Heads of 64, then of 128: what the first one's threads keep is not to lie in the second one's way. */
void build_turned(Graph& graph, Model& model, int64_t rows) {
    auto* c = graph.context;
    std::vector<int32_t> positions(static_cast<size_t>(rows));
    std::iota(positions.begin(), positions.end(), 1);
    auto* position = graph.input(GGML_TYPE_I32, {rows}, bytes_of(positions));
    const auto turned = [&](int64_t width) {
        auto* x = graph.input(GGML_TYPE_F32, {width, HEADS, rows}, bytes_of(model.normal(width * HEADS * rows)));
        return ggml_rope(c, x, position, static_cast<int>(width), GGML_ROPE_TYPE_NEOX);
    };
    graph.also(turned(64));
    graph.finish(turned(128));
}

/** A product, a change of what it read, and a product of the same again. */
void build_changed(Graph& graph, Model& model, bool weights) {
    auto* c = graph.context;
    auto* x = graph.input(GGML_TYPE_F32, {HIDDEN, 1}, bytes_of(model.normal(HIDDEN)));
    auto* y = graph.input(GGML_TYPE_F32, {HIDDEN, HIDDEN}, bytes_of(model.normal(HIDDEN * HIDDEN)));
    graph.also(ggml_mul_mat(c, model.layers[0].q, x));
    graph.also(ggml_scale_inplace(c, weights ? y : x, 2.0f));
    graph.finish(ggml_mul_mat(c, weights ? y : model.layers[0].k, x));
}

size_t different(const Floats& a, const Floats& b) {
    size_t count = 0;
    for (size_t i = 0; i < a.size(); ++i)
        count += a[i] == b[i] ? 0 : 1;
    return count;
}

void compare_threads(const char* check, const Graph& graph, int64_t rows) {
    const Floats alone = graph.compute(1);
    // Three spin at barriers where there are two cores: slow, but one of them then comes late indeed.
    for (const auto& [threads, repeats] : {std::pair(2, 20), std::pair(3, 4)}) {
        size_t differences = 0;
        for (int i = 0; i < repeats; ++i)
            differences += different(alone, graph.compute(threads));
        std::printf("{\"check\": \"%s\", \"rows\": %d, \"threads\": %d, \"different\": %zu}\n", check,
                    static_cast<int>(rows), threads, differences);
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) fail("layer_check LIBRARY");
    const CpuLibrary library(argv[1]);
    std::mt19937 rng(7);
    Model model(library, rng);
    for (const int64_t rows : {1, 2, 3, 5, 8, 17, 72, 100}) {
        Graph graph(library);
        build_layers(graph, model, rows);
        const Floats single = graph.compute_node_by_node(), together = graph.compute(1);
        float difference = 0, greatest = 0;
        for (size_t i = 0; i < single.size(); ++i) {
            difference = std::max(difference, std::fabs(single[i] - together[i]));
            greatest = std::max(greatest, std::fabs(single[i]));
        }
        std::printf("{\"check\": \"nodes\", \"rows\": %d, \"threads\": 1, \"error\": %g}\n", static_cast<int>(rows),
                    static_cast<double>(difference / greatest));
        compare_threads("threads", graph, rows);
        if (rows == 1) continue;
        Graph shifted(library), turned(library);
        build_shifted(shifted, model, rows);
        compare_threads("shifted", shifted, rows);
        build_turned(turned, model, rows);
        compare_threads("turned", turned, rows);
    }
    Graph layers(library), activations(library), weights(library);
    build_layers(layers, model, 2);
    build_changed(activations, model, false);
    build_changed(weights, model, true);
    std::printf("{\"check\": \"order\", \"together\": %d, \"moved\": %d}\n", layers.products_together(),
                activations.products_together() + weights.products_together());
    return 0;
}
