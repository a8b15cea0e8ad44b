#pragma once

#include "layer_inputs.h"
#include "model.h"
#include "threads.h"
#include "tree.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct ggml_tensor;
struct llama_context;

namespace specdiff {

/** What evaluates a model's rows: `automatic` keeps llama.cpp's graphs where they can be kept, unless
 * SPECDIFF_RUNNER=llama. */
enum class RunnerChoice { automatic, llama };

struct RunnerOptions {
    /** Whose rows they are, in errors. */
    std::string who;
    int context_tokens = 0;
    /** Most rows of a pass that get logits. */
    int outputs = 1;
    /** Most nodes of a tree; 0 for chains alone, which then cost what they cost without trees. */
    int tree_nodes = 0;
    /** Layers whose input is read with each pass; empty for none. */
    std::vector<int32_t> taps;
    /** How LlamaRunner reads them. */
    LayerInputs::Way taps_way = LayerInputs::Way::automatic;
    RunnerChoice choice = RunnerChoice::automatic;
};

/** Results of ModelRunner::run(), llama_decode()'s; others are failures. */
constexpr int RUN_DONE = 0;
constexpr int RUN_FULL = 1;
constexpr int RUN_CANCELLED = 2;

/** Rows of one pass, behind text that has been evaluated. */
struct RunnerRows {
    const int32_t* tokens = nullptr;
    int count = 0;
    /** Of the first row. */
    int position = 0;
    /** Of the rows behind the first, which is its root; null for a chain. */
    const Tree* tree = nullptr;
    /** Rows from this one on get logits; none where it is `count`. */
    int first_output = 0;
};

/** Evaluates a causal model's rows, and keeps keys and values of one text. */
class ModelRunner {
  public:
    ModelRunner() = default;
    virtual ~ModelRunner() = default;
    ModelRunner(const ModelRunner&) = delete;
    ModelRunner& operator=(const ModelRunner&) = delete;

    virtual llama_context* context() const = 0;
    /** Whether a pass takes as long after one with another number of rows as after one with the same. */
    virtual bool keeps_graphs() const = 0;
    /** Most rows of a pass. */
    virtual int most_rows() const = 0;
    /** Layers whose input is read; empty where one of them can't be. */
    virtual const std::vector<int32_t>& taps() const = 0;
    virtual std::optional<int32_t> unreadable_tap() const = 0;

    /** The model's token embedding [width, vocabulary] as its file has it, in memory that can be read; null where
     * nobody knows where. */
    virtual const ggml_tensor* embedding() const { return nullptr; }

    /** RUN_DONE or what went wrong, after which truncate() is to remove what the rows have left. */
    virtual int run(const RunnerRows& rows) = 0;
    /** Of a row of the last pass [V]. Valid until the next. */
    virtual const float* logits(int row) const = 0;
    /** Of all rows of the last pass: [rows, width]. Valid until the next. @throws Error where they are missing. */
    virtual const float* tap(int32_t layer) const = 0;

    /** Keeps the first row of the last pass, a tree at `position`, and those of `path`. */
    virtual void commit(int position, const Tree& tree, const std::vector<int>& path) = 0;
    /** Keeps the text's first `rows` rows; false where none can be kept then. */
    virtual bool truncate(int rows) = 0;
    virtual void forget() = 0;

    /** Cells that rejected rows of trees hold, until free_dead(), which keeps the rows before them alone. */
    virtual int dead_cells() const { return 0; }
    /** Whether they have to be freed before the next tree. */
    virtual bool short_of_cells() const { return false; }
    virtual int rows_before_dead() const { return 0; }
    virtual void free_dead() {}
};

/** `cancelled`, which outlives it, ends a running pass. @throws Error where memory is short. */
std::unique_ptr<ModelRunner> make_runner(const Model& model, ThreadPool& threads, const RunnerOptions& options,
                                         const std::atomic<bool>& cancelled);

} // namespace specdiff
