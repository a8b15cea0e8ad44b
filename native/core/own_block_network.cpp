#include "own_block_network.h"

#include "cache_view.h"
#include "error.h"
#include "low_rank.h"
#include "network.h"
#include "shortlist.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace specdiff {

namespace {

/**
 * Rows of the text that are added in one pass: on a CPU more than a prompt's first draft needs. Where there are kernels
 * for prompts (invariant_rows()) they round in another way than a few rows do.
 */
constexpr int CHUNK = 160;
/** On a CPU more than so many have a pass for themselves, in steps of so many, so that few graphs serve all. */
constexpr int FEW_ROWS = 9;
constexpr int ADDED_STEP = 16;
/**
 * Rows of the text that slots see, at least. A prompt's other rows need not be added, which takes more time than
 * several drafts. τ of drafts of seven on prompts of 257 tokens in the middle: 3.64 with 192, 3.63 with 128, 3.61 with
 * 96, 3.62 with 64; of 192 rows a draft takes 7 % longer than of 128, the first one 16 %.
 */
constexpr int WINDOW = 128;
/** One for each number of new rows and of slots; 30 kB each. */
constexpr size_t MOST_GRAPHS = 32;
constexpr size_t NODES_PER_LAYER = 64;
constexpr size_t OTHER_NODES = 32;

class OwnBlockNetwork : public BlockNetwork {
  public:
    OwnBlockNetwork(const GgufFile& drafter, EmbeddingRows embedding, const BlockShape& shape, int cells,
                    ThreadPool& threads, const std::atomic<bool>& cancelled)
        : shape_(shape), embedding_(std::move(embedding)), network_(threads, cancelled),
          cell_step_(network_.cell_step()), row_step_(network_.row_step()), cells_(rounded_up(cells, cell_step_)) {
        if (shape.reduced) {
            const auto ids = drafter.read_int64(*drafter.tensor("d2t"));
            tokens_.assign(ids.begin(), ids.end());
        }
        fuse_ = network_.matrix(drafter, "fc.weight");
        fused_norm_ = network_.values(drafter, "enc.output_norm.weight");
        output_norm_ = network_.values(drafter, "output_norm.weight");
        add_head(drafter);
        const int64_t kept = int64_t{shape.key_heads} * shape.head_width;
        for (int i = 0; i < shape.layers; ++i) {
            const std::string prefix = "blk." + std::to_string(i) + ".";
            const auto matrix = [&](const char* name) { return network_.matrix(drafter, prefix + name + ".weight"); };
            const auto vector = [&](const char* name) { return network_.values(drafter, prefix + name + ".weight"); };
            layers_.push_back({vector("attn_norm"), matrix("attn_q"), matrix("attn_k"), matrix("attn_v"),
                               matrix("attn_output"), vector("attn_q_norm"), vector("attn_k_norm"), vector("ffn_norm"),
                               matrix("ffn_gate"), matrix("ffn_up"), matrix("ffn_down"),
                               network_.memory(GGML_TYPE_F16, kept, cells_ + 1),
                               network_.memory(GGML_TYPE_F16, kept, cells_ + 1)});
        }
        network_.load(drafter, NODES_PER_LAYER * static_cast<size_t>(shape.layers) + OTHER_NODES);
        if (shortlist_) {
            write_values(down_, shortlist_->down());
            write_values(head_, shortlist_->up());
            shortlist_->forget_matrices();
        }
        touch_memory();
    }

    int slot_step() const override { return row_step_; }
    int rows() const override { return rows_; }
    void truncate(int length) override { rows_ = std::min(rows_, length); }
    int first_seen(int length) const override { return std::max(length - WINDOW, 0) / cell_step_ * cell_step_; }
    void leave_out(int rows) override { rows_ += rows; }

    void add_late(int position, const float* taps, int count) override {
        for (; count > 0; count -= CHUNK, position += CHUNK, taps += CHUNK * row_width())
            pass(position, taps, std::min(count, CHUNK), {}, 0);
    }

    std::vector<SlotRow> denoise(const float* taps, int count, const std::vector<int32_t>& slots, int first) override {
        require_room(rows_ + count + static_cast<int>(slots.size()));
        const int few = network_.on_cpu() ? FEW_ROWS : CHUNK;
        while (count > few) {
            const int added = std::min(count - 1, CHUNK);
            pass(rows_, taps, added, {}, 0);
            rows_ += added;
            count -= added;
            taps += static_cast<size_t>(added) * row_width();
        }
        pass(rows_, taps, count, slots, first);
        rows_ += count;
        // A graph may have more slots, which only fill it up.
        const size_t asked = slots.size() - static_cast<size_t>(first);
        return denoised_rows(asked);
    }

    // Their keys and values still stand in the cells behind the text's.
    SlotRow denoise_next(int32_t token, int before) override {
        require_room(rows_ + before + 1);
        pass(rows_ + before, nullptr, 0, {token}, 0);
        return denoised_rows(1).front();
    }

  private:
    struct Layer {
        ggml_tensor* attention_norm;
        ggml_tensor* query;
        ggml_tensor* key;
        ggml_tensor* value;
        ggml_tensor* output;
        ggml_tensor* query_norm;
        ggml_tensor* key_norm;
        ggml_tensor* mlp_norm;
        ggml_tensor* gate;
        ggml_tensor* up;
        ggml_tensor* down;
        ggml_tensor* keys;
        ggml_tensor* values;
    };
    /**
     * Rows that keys and values are made of: their positions, and the cells that they go to, which are the same. Rows
     * that only fill up a graph go to the cell behind all others, which no slot sees.
     */
    struct Places {
        ggml_tensor* positions = nullptr;
        ggml_tensor* cells = nullptr;
    };
    /** What a graph was built for, and its inputs. */
    struct Graph {
        NetworkGraph built;
        int rows = 0;
        int slots = 0;
        int first = 0;
        /** The cells that the slots see, from `begin` on. */
        int begin = 0;
        int cells = 0;
        std::vector<CacheView> views;
        Places row_places;
        Places slot_places;
        ggml_tensor* taps = nullptr;
        ggml_tensor* embeddings = nullptr;
        ggml_tensor* mask = nullptr;
        /** The slots' logits; with a shortlist the node that has them scored, and nothing to be read. */
        ggml_tensor* last = nullptr;
    };

    /** Of the most rows' graph, which others' lies in too: a user would wait for it (10 ms on a virtual machine). */
    void touch_memory() {
        const int rows = std::min(CHUNK, cells_);
        const std::vector<float> nothing(static_cast<size_t>(rows) * row_width());
        pass(0, nothing.data(), rows, {}, 0);
    }

    void require_room(int cells) const {
        if (cells > cells_) throw Error("The drafter's cache of " + std::to_string(cells_) + " tokens is full.");
    }

    /** Of the first slots that were denoised. */
    std::vector<SlotRow> denoised_rows(size_t slots) { return shortlist_ ? likeliest(slots) : whole(slots); }

    size_t row_width() const { return static_cast<size_t>(shape_.taps) * static_cast<size_t>(shape_.width); }

    /** Adds rows at a position, and denoises the slots behind them. */
    void pass(int position, const float* taps, int count, const std::vector<int32_t>& slots, int first) {
        const auto slot_count = static_cast<int>(slots.size());
        const int all_rows = rounded_up(count, slot_count > 0 ? row_step_ : rounded_up(ADDED_STEP, row_step_));
        const int all_slots = rounded_up(slot_count, row_step_);
        const int begin = first_seen(position + count);
        const int end = position + count + slot_count;
        const int cells = rounded_up(end, cell_step_) - begin;
        auto& graph = graph_of(all_rows, all_slots, first, begin, cells);
        see(graph, begin, cells);
        if (count > 0) {
            write_rows(graph.taps, taps, count);
            place(graph.row_places, position, count, all_rows);
        }
        if (slot_count > 0) {
            const auto width = static_cast<size_t>(shape_.width);
            embedded_.assign(static_cast<size_t>(all_slots) * width, 0);
            for (size_t i = 0; i < slots.size(); ++i)
                embedding_.read(slots[i], embedded_.data() + i * width);
            write_values(graph.embeddings, embedded_);
            place(graph.slot_places, position + count, slot_count, all_slots);
            hide(end - begin, cells, all_slots);
            write_values(graph.mask, hidden_);
        }
        network_.compute(graph.built);
    }

    /** The first `count` rows of an input; zeros fill it up. */
    void write_rows(ggml_tensor* input, const float* values, int count) {
        const size_t written = static_cast<size_t>(count) * input->nb[1];
        write_values(input, values, written);
        zeros_.resize((ggml_nbytes(input) - written) / sizeof(float));
        write_values(input, zeros_.data(), zeros_.size() * sizeof(float), written);
    }

    /** `count` rows from a position on, and such that fill them up to `all`. */
    void place(const Places& places, int first, int count, int all) const {
        std::vector<int32_t> positions(static_cast<size_t>(all), 0);
        std::vector<int64_t> cells(positions.size(), cells_);
        for (int i = 0; i < count; ++i) {
            positions[static_cast<size_t>(i)] = first + i;
            cells[static_cast<size_t>(i)] = first + i;
        }
        write_values(places.positions, positions);
        write_values(places.cells, cells);
    }

    /** The mask of cells from `end` on, for every slot. */
    void hide(int end, int cells, int slots) {
        const auto columns = static_cast<std::ptrdiff_t>(cells);
        hidden_.assign(static_cast<size_t>(cells) * static_cast<size_t>(slots), ggml_fp32_to_fp16(0));
        const auto hidden = ggml_fp32_to_fp16(-std::numeric_limits<float>::infinity());
        for (auto row = hidden_.begin(); row != hidden_.end(); row += columns)
            std::fill(row + end, row + columns, hidden);
    }

    /** One of late, or a new one; in front then. */
    Graph& graph_of(int rows, int slots, int first, int begin, int cells) {
        graphs_.remove_if([this](const Graph& graph) { return !network_.keeps(graph.built); });
        const auto fits = [&](const Graph& graph) {
            const bool same = graph.rows == rows && graph.slots == slots && graph.first == first;
            const bool sees = slots == 0 || network_.on_cpu() || (graph.begin == begin && graph.cells == cells);
            return same && sees;
        };
        const auto found = std::find_if(graphs_.begin(), graphs_.end(), fits);
        if (found != graphs_.end()) {
            graphs_.splice(graphs_.begin(), graphs_, found);
        } else {
            if (graphs_.size() == MOST_GRAPHS) graphs_.pop_back();
            graphs_.push_front(built(rows, slots, first, begin, network_.on_cpu() ? most_cells(slots) : cells));
        }
        return graphs_.front();
    }

    /** Cells that so many slots see at most. */
    int most_cells(int slots) const {
        return std::min(rounded_up(WINDOW + cell_step_ - 1 + slots, cell_step_), cells_);
    }

    /** Has the slots see these cells. */
    static void see(Graph& graph, int begin, int cells) {
        if (graph.slots == 0 || (graph.begin == begin && graph.cells == cells)) return;
        graph.begin = begin;
        graph.cells = cells;
        for (const auto& view : graph.views)
            view.see(begin, cells);
        see_cells(*graph.mask, cells);
    }

    Graph built(int count, int slots, int first, int begin, int cells) {
        auto* const context = network_.begin();
        Graph next;
        next.rows = count;
        next.slots = slots;
        next.first = first;
        next.begin = std::min(begin, cells_ - cells);
        next.cells = cells;
        if (count > 0) {
            next.taps = network_.input(GGML_TYPE_F32, int64_t{shape_.taps} * shape_.width, count);
            next.row_places = places(count);
            auto* fused = normalized(context, ggml_mul_mat(context, fuse_, next.taps), fused_norm_);
            for (const auto& layer : layers_)
                keep(context, layer, fused, next.row_places);
        }
        if (slots > 0) {
            next.embeddings = network_.input(GGML_TYPE_F32, shape_.width, slots);
            next.slot_places = places(slots);
            next.mask = network_.input(GGML_TYPE_F16, cells, slots);
            auto* const hidden = denoised(context, next);
            next.last = shortlist_ ? scored(context, hidden) : ggml_mul_mat(context, head_, hidden);
            next.built = network_.finish({next.last});
        } else {
            next.built = network_.finish({});
        }
        return next;
    }

    /** The head itself on a GPU, which has its memory's whole speed; on a CPU one of low rank where the file has it. */
    void add_head(const GgufFile& drafter) {
        const bool fits = network_.on_cpu() && shape_.draft_vocabulary <= Shortlist::MOST_ENTRIES;
        const auto factors = fits ? low_rank(drafter, shape_.width) : std::nullopt;
        if (!factors) {
            head_ = network_.matrix(drafter, "output.weight");
            return;
        }
        shortlist_ = std::make_unique<Shortlist>(drafter, *drafter.tensor("output.weight"), *factors);
        down_ = network_.matrix(Shortlist::DOWN_TYPE, shape_.width, factors->rank);
        head_ = network_.matrix(Shortlist::UP_TYPE, factors->rank, shape_.draft_vocabulary);
    }

    /** The first slots that were denoised, with all entries. */
    std::vector<SlotRow> whole(size_t slots) {
        read_values(graphs_.front().last, logits_);
        std::vector<SlotRow> rows;
        const auto size = static_cast<size_t>(shape_.draft_vocabulary);
        for (size_t slot = 0; slot < slots; ++slot) {
            const float* const logits = logits_.data() + slot * size;
            rows.push_back({logits, shape_.draft_vocabulary, shape_.reduced ? tokens_.data() : nullptr});
        }
        return rows;
    }

    /** Has the pass score the slots' likeliest entries, shared among its threads: into scored_. */
    ggml_tensor* scored(ggml_context* context, ggml_tensor* hidden) {
        while (static_cast<int64_t>(scored_.size()) < hidden->ne[1])
            scored_.push_back(shortlist_->make_slot());
        auto* const estimates = ggml_mul_mat(context, head_, ggml_mul_mat(context, down_, hidden));
        std::array<ggml_tensor*, 2> sources = {hidden, estimates};
        return ggml_custom_4d(context, GGML_TYPE_F32, 1, 1, 1, 1, sources.data(), static_cast<int>(sources.size()),
                              score_slots, GGML_N_TASKS_MAX, this);
    }

    static void score_slots(ggml_tensor* node, int thread, int threads, void* network) {
        auto& self = *static_cast<OwnBlockNetwork*>(network);
        const auto row = [](const ggml_tensor* tensor, int64_t slot) {
            return static_cast<const float*>(tensor->data) + slot * tensor->ne[0];
        };
        const auto* const hidden = node->src[0];
        for (int64_t slot = thread; slot < hidden->ne[1]; slot += threads)
            self.shortlist_->score(row(hidden, slot), row(node->src[1], slot), self.scored_[static_cast<size_t>(slot)]);
    }

    /** The first slots that were denoised, with their likeliest entries. */
    std::vector<SlotRow> likeliest(size_t slots) {
        std::vector<SlotRow> rows;
        for (size_t i = 0; i < slots; ++i) {
            auto& slot = scored_[i];
            if (shape_.reduced) {
                for (auto& entry : slot.entries)
                    entry = tokens_[static_cast<size_t>(entry)];
            }
            rows.push_back({slot.logits.data(), static_cast<int>(slot.logits.size()), slot.entries.data()});
        }
        return rows;
    }

    Places places(int count) {
        return {network_.input(GGML_TYPE_I32, count, 1), network_.input(GGML_TYPE_I64, count, 1)};
    }

    ggml_tensor* normalized(ggml_context* context, ggml_tensor* x, ggml_tensor* factor) const {
        return ggml_mul(context, ggml_rms_norm(context, x, shape_.epsilon), factor);
    }

    /** Heads of x, normalized and turned by their positions: [head width, heads, rows]. */
    ggml_tensor* turned(ggml_context* context, ggml_tensor* x, int heads, ggml_tensor* norm,
                        ggml_tensor* positions) const {
        auto* parts = ggml_reshape_3d(context, x, shape_.head_width, heads, x->ne[1]);
        return ggml_rope_ext(context, normalized(context, parts, norm), positions, nullptr, shape_.rotated,
                             GGML_ROPE_TYPE_NEOX, 0, shape_.rope_base, 1, 0, 1, 0, 0);
    }

    /** Puts keys and values of the rows into their cells. */
    void keep(ggml_context* context, const Layer& layer, ggml_tensor* x, const Places& places) {
        auto* keys =
            turned(context, ggml_mul_mat(context, layer.key, x), shape_.key_heads, layer.key_norm, places.positions);
        keys = ggml_reshape_2d(context, keys, layer.keys->ne[0], x->ne[1]);
        ggml_build_forward_expand(network_.graph(), ggml_set_rows(context, layer.keys, keys, places.cells));
        auto* values = ggml_mul_mat(context, layer.value, x);
        ggml_build_forward_expand(network_.graph(), ggml_set_rows(context, layer.values, values, places.cells));
    }

    /** All cells of a cache that the graph sees, by heads. */
    ggml_tensor* seen(ggml_context* context, ggml_tensor* cache, Graph& graph) const {
        auto* view = ggml_view_3d(context, cache, shape_.head_width, shape_.key_heads, graph.cells,
                                  static_cast<size_t>(shape_.head_width) * ggml_type_size(cache->type), cache->nb[1],
                                  static_cast<size_t>(graph.begin) * cache->nb[1]);
        auto* turned = ggml_permute(context, view, 0, 2, 1, 3);
        graph.views.push_back({view, turned});
        return turned;
    }

    /** Hidden states of the slots: [width, slots − first]. */
    ggml_tensor* denoised(ggml_context* context, Graph& next) {
        auto* x = next.embeddings;
        const float scale = 1 / std::sqrt(static_cast<float>(shape_.head_width));
        for (const auto& layer : layers_) {
            auto* input = normalized(context, x, layer.attention_norm);
            keep(context, layer, input, next.slot_places);
            auto* queries = turned(context, ggml_mul_mat(context, layer.query, input), shape_.heads, layer.query_norm,
                                   next.slot_places.positions);
            auto* attended = ggml_flash_attn_ext(context, ggml_permute(context, queries, 0, 2, 1, 3),
                                                 seen(context, layer.keys, next), seen(context, layer.values, next),
                                                 next.mask, scale, 0, 0);
            attended = ggml_reshape_2d(context, attended, layer.output->ne[0], next.slots);
            x = ggml_add(context, ggml_mul_mat(context, layer.output, attended), x);
            input = normalized(context, x, layer.mlp_norm);
            auto* gated = ggml_swiglu_split(context, ggml_mul_mat(context, layer.gate, input),
                                            ggml_mul_mat(context, layer.up, input));
            x = ggml_add(context, ggml_mul_mat(context, layer.down, gated), x);
        }
        if (next.first > 0) {
            x = ggml_view_2d(context, x, shape_.width, next.slots - next.first, x->nb[1],
                             static_cast<size_t>(next.first) * x->nb[1]);
        }
        return normalized(context, x, output_norm_);
    }

    BlockShape shape_;
    EmbeddingRows embedding_;
    Network network_;
    int cell_step_;
    int row_step_;
    /** Cells of the caches, without the one for rows that fill up. */
    int cells_;
    std::vector<int32_t> tokens_;
    ggml_tensor* fuse_ = nullptr;
    ggml_tensor* fused_norm_ = nullptr;
    ggml_tensor* output_norm_ = nullptr;
    /** Of low rank, behind down_, with a shortlist. */
    ggml_tensor* head_ = nullptr;
    ggml_tensor* down_ = nullptr;
    std::unique_ptr<Shortlist> shortlist_;
    std::vector<Layer> layers_;
    std::list<Graph> graphs_;
    int rows_ = 0;
    std::vector<float> zeros_;
    std::vector<float> embedded_;
    std::vector<uint16_t> hidden_;
    std::vector<float> logits_;
    std::vector<Shortlist::Slot> scored_;
};

} // namespace

std::unique_ptr<BlockNetwork> make_own_block_network(const GgufFile& drafter, EmbeddingRows embedding,
                                                     const BlockShape& shape, int cells, ThreadPool& threads,
                                                     const std::atomic<bool>& cancelled) {
    return std::make_unique<OwnBlockNetwork>(drafter, std::move(embedding), shape, cells, threads, cancelled);
}

} // namespace specdiff
