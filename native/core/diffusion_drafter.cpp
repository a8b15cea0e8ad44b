#include "diffusion_drafter.h"

#include "block_file.h"
#include "block_guesses.h"
#include "embedding_rows.h"
#include "error.h"
#include "llama_block_network.h"
#include "network.h"
#include "outlook.h"
#include "own_block_network.h"
#include "sampler.h"

#include <algorithm>
#include <utility>

namespace specdiff {

namespace {

/** Of a text behind its prompt, that taps find memory for at once. */
constexpr int ROWS_BEHIND = 64;

int32_t token_of(const SlotRow& row, int entry) {
    return row.tokens == nullptr ? entry : row.tokens[entry];
}

class DiffusionDrafter : public BlockDrafter {
  public:
    DiffusionDrafter(std::unique_ptr<BlockNetwork> network, DrafterMetadata metadata, const Target& target)
        : network_(std::move(network)), metadata_(std::move(metadata)), width_(target.model().width()),
          row_width_(metadata_.taps.size() * static_cast<size_t>(width_)),
          vocabulary_size_(target.vocabulary().size()) {}

    const std::string& name() const override { return outlook::DIFFUSION; }
    int max_draft_length() const override { return metadata_.max_draft_length(); }

    int reusable_prefix(int cached) const override { return std::min(cached, known_rows()); }

    void truncate(int length) override {
        if (length >= known_rows()) return;
        const int waiting = std::max(length - network_->rows(), 0);
        network_->truncate(length);
        left_out_ = std::min(left_out_, length);
        taps_.resize(floats(left_out_ + waiting));
        if (taps_.empty()) taps_.shrink_to_fit(); // 11 KB a row of the default target
    }

    void begin() override {}

    void rows(const TapRows& rows) override {
        if (rows.position != known_rows()) throw Error("The drafter missed rows of the target: restart the engine.");
        const auto width = static_cast<size_t>(width_);
        // Of a prompt's first pieces, mostly all of it, at once, and of some text behind them.
        if (taps_.empty()) taps_.reserve(floats(rows.count + ROWS_BEHIND));
        for (int row = 0; row < rows.count; ++row) {
            for (const float* tap : rows.taps) {
                const float* values = tap + static_cast<size_t>(row) * width;
                taps_.insert(taps_.end(), values, values + width);
            }
        }
    }

    /** Judged by how long the slots' lookup matched; 0 where they start from masks. */
    std::optional<Outlook> outlook(const DraftContext& context) override {
        match_ = metadata_.slots_from_lookup ? context.lookup.find(metadata_.lookup_longest) : Lookup::Match();
        return Outlook{match_.length, pending_rows()};
    }

    int slots(const Budget& budget) const override {
        const int most = std::min(budget.tokens, max_draft_length());
        return budget.slots > 0 ? std::min(most, rounded_up(budget.slots, network_->slot_step())) : most;
    }

    bool starts_from_guesses() const override { return metadata_.slots_from_lookup; }
    int vocabulary_size() const override { return vocabulary_size_; }

    std::vector<DenoisedSlot> denoise(const DraftContext& context, int count,
                                      const std::vector<int32_t>& guesses) override {
        const int position = static_cast<int>(context.tokens.size()) - 1;
        if (known_rows() != position) throw Error("The drafter missed rows of the target: restart the engine.");
        const int first = metadata_.sample_from_anchor ? 0 : 1; // slot that predicts the first drafted token
        const int slots = std::min(count, max_draft_length()) + first;
        fill_block(context.tokens.back(), slots, guesses);
        std::vector<DenoisedSlot> denoised;
        for (const auto& row : evaluated(first)) {
            TopFew top = top_few(row.values, row.size);
            for (auto& token : top.tokens)
                token = token_of(row, token);
            denoised.push_back({top, row});
        }
        return denoised;
    }

    const PlaceChances& chances() const override { return metadata_.chances; }

    /**
     * Greedy jobs take each slot's best token; sampled ones draw it from the slot's distribution at the job's
     * temperature, which is q: the slots are independent given the context, so q(x_i | x_<i) = q_i(x_i). A tree has
     * looked-up tokens too.
     */
    Draft propose(const DraftContext& context, const Budget& budget) override {
        const int wanted = slots(budget);
        auto copy = context.lookup.copy(match_, wanted);
        const auto slots = denoise(context, wanted, copy);
        const BlockGuesses guesses(chances(), context.lookup, slots, std::move(copy));
        const bool drawn = context.temperature > 0 && context.drawn;
        if (budget.nodes > 0 && !(drawn && budget.judge != nullptr)) {
            const auto after = [&](const std::vector<int32_t>& path) {
                return guesses.after(path, outlook::DIFFUSION, budget.judge);
            };
            return grown_draft(after, budget);
        }
        std::vector<Slot> places;
        std::vector<int32_t> path;
        for (const auto& slot : slots) {
            const auto all = guesses.after(path, outlook::DIFFUSION, nullptr);
            const auto own =
                std::find_if(all.begin(), all.end(), [&](const Guess& guess) { return guess.token == slot.best(); });
            places.push_back(own->slot);
            path.push_back(slot.best());
        }
        const int length = budget.judge == nullptr ? wanted : budget.judge->length(places);
        Draft draft;
        for (int i = 0; i < length; ++i) {
            const auto place = static_cast<size_t>(i);
            append_slot(draft.tree, slots[place], vocabulary_size_, context);
            draft.judged.push_back(places[place]);
        }
        return draft;
    }

    void observe(const DraftOutcome& /*outcome*/) override {}

  private:
    size_t floats(int rows) const { return static_cast<size_t>(rows) * row_width_; }
    std::ptrdiff_t place(int rows) const { return static_cast<std::ptrdiff_t>(floats(rows)); }
    int waiting() const { return static_cast<int>(taps_.size() / row_width_) - left_out_; }
    int known_rows() const { return network_->rows() + waiting(); }
    /** The network's cache has no row of the text. */
    bool empty() const { return network_->rows() == left_out_; }

    /** Rows that the network would add before the next draft. */
    int pending_rows() const {
        const int seen = network_->first_seen(known_rows());
        return empty() ? known_rows() - seen : waiting() + std::max(left_out_ - seen, 0);
    }

    /** An empty network leaves out the rows that no slot will see; later the text may be cut so that one does. */
    void leave_out_unseen() {
        const int seen = network_->first_seen(known_rows());
        if (empty() && seen > left_out_) {
            network_->leave_out(seen - left_out_);
            left_out_ = seen;
        } else if (seen < left_out_) {
            network_->add_late(seen, taps_.data() + place(seen), left_out_ - seen);
            taps_.erase(taps_.begin() + place(seen), taps_.begin() + place(left_out_));
            left_out_ = seen;
        }
    }

    /** The block's rows; what waited is then in the network's cache, as far as it came where it throws. */
    std::vector<SlotRow> evaluated(int first) {
        leave_out_unseen();
        const int before = network_->rows();
        const auto begin = place(left_out_);
        try {
            auto rows = network_->denoise(taps_.data() + begin, waiting(), block_, first);
            taps_.resize(floats(left_out_));
            return rows;
        } catch (...) {
            const auto added = place(network_->rows() - before);
            taps_.erase(taps_.begin() + begin, taps_.begin() + begin + added);
            throw;
        }
    }

    /** [anchor, slots…]: a slot holds the guess for its own place where there is one, else the mask. */
    void fill_block(int32_t anchor, int slots, const std::vector<int32_t>& guesses) {
        block_.assign(static_cast<size_t>(slots), metadata_.mask);
        block_.front() = anchor;
        if (!metadata_.slots_from_lookup) return;
        const auto known = std::min(guesses.size(), block_.size() - 1);
        std::copy_n(guesses.begin(), known, block_.begin() + 1);
    }

    std::unique_ptr<BlockNetwork> network_;
    DrafterMetadata metadata_;
    /** Floats of one tap, and of one row's taps. */
    int width_;
    size_t row_width_;
    int vocabulary_size_;
    /** The anchor, then the slots' tokens. */
    std::vector<int32_t> block_;
    /**
     * Taps of the rows that the network's cache lacks [rows, taps · width]: of the text's first ones, which were left
     * out, then of those that go into it with the next draft.
     */
    std::vector<float> taps_;
    int left_out_ = 0;
    Lookup::Match match_;
};

} // namespace

void append_slot(Tree& tree, const DenoisedSlot& slot, int vocabulary_size, const DraftContext& context) {
    if (context.temperature <= 0 || !context.drawn) return tree.append(slot.best());
    std::vector<float> q;
    softmax(slot.row.values, slot.row.size, context.temperature, q);
    if (slot.row.tokens != nullptr) {
        std::vector<float> all(static_cast<size_t>(vocabulary_size), 0.0F);
        for (int entry = 0; entry < slot.row.size; ++entry)
            all[static_cast<size_t>(token_of(slot.row, entry))] = q[static_cast<size_t>(entry)];
        q = std::move(all);
    }
    tree.q.push_back(std::move(q));
    tree.append(draw(tree.q.back(), context.rng), static_cast<int>(tree.q.size()) - 1);
}

std::unique_ptr<BlockDrafter> make_diffusion_drafter(const DrafterResources& resources) {
    if (!resources.metadata || resources.metadata->kind != DrafterKind::diffusion) return nullptr;
    std::unique_ptr<BlockNetwork> network;
    auto& target = resources.target;
    if (const auto layer = target.unreadable_tap()) {
        throw Error("The drafter " + resources.metadata->name + " can't be used: the input of layer " +
                    std::to_string(*layer) + " can't be read from " +
                    resources.target_file.text("general.architecture").value_or("these") +
                    " models; the n-gram drafter works with every target.");
    }
    if (resources.file) {
        const auto shape = block_shape(*resources.file, resources.target_file);
        if (!shape) return nullptr;
        const int cells = target.context_tokens() + resources.metadata->block_size;
        network = make_own_block_network(*resources.file, EmbeddingRows(resources.target_file, target.embedding()),
                                         *shape, cells, resources.threads, target.cancel_flag());
    } else if (resources.model) {
        network = make_llama_block_network(*resources.model, *resources.metadata, target, resources.threads);
    }
    if (network == nullptr) return nullptr;
    return std::make_unique<DiffusionDrafter>(std::move(network), *resources.metadata, target);
}

} // namespace specdiff
