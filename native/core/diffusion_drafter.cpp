#include "diffusion_drafter.h"

#include "error.h"
#include "log.h"
#include "lookup_branches.h"
#include "outlook.h"
#include "sampler.h"

#include <llama-ext.h>
#include <llama.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace specdiff {

namespace {

/** Rows injected in one call. llama.cpp reserves logits for all of them: 512 rows would take 100 MB and more. */
constexpr int CHUNK = 64;

/** A llama_batch with its memory. */
class Batch {
  public:
    Batch(int rows, int width) : batch_(llama_batch_init(rows, width, 1)) {}
    ~Batch() { llama_batch_free(batch_); }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    llama_batch& get() { return batch_; }
    /** Sets all but the row's content. */
    void place(int row, int position, bool output) {
        batch_.pos[row] = position;
        batch_.n_seq_id[row] = 1;
        batch_.seq_id[row][0] = 0;
        batch_.logits[row] = output ? 1 : 0;
    }

  private:
    llama_batch batch_;
};

/** Guesses kept of a slot: a tree of 256 nodes seldom asks for more. */
constexpr int SLOT_GUESSES = 16;
/** A slot's likeliest token is the target's best one more often than its probability says. Chosen, not fitted. */
constexpr double GREEDY_TEMPERATURE = 0.5;

/** The slot's likeliest tokens with their probabilities at `temperature`, likeliest first. */
std::vector<Guess> likeliest(const float* logits, int size, double temperature) {
    std::vector<float> p;
    softmax(logits, size, temperature, p);
    std::vector<Guess> guesses;
    for (int32_t token = 0; token < size; ++token) {
        const double chance = p[static_cast<size_t>(token)];
        if (guesses.size() == SLOT_GUESSES && chance <= guesses.back().chance) continue;
        const auto place = std::find_if(guesses.begin(), guesses.end(),
                                        [chance](const Guess& guess) { return guess.chance < chance; });
        guesses.insert(place, {token, chance});
        if (guesses.size() > SLOT_GUESSES) guesses.pop_back();
    }
    return guesses;
}

class DiffusionDrafter : public BlockDrafter {
  public:
    DiffusionDrafter(Model model, DrafterMetadata metadata, Target& target, ThreadPool& threads)
        : model_(std::move(model)), metadata_(std::move(metadata)), target_(target), threads_(threads),
          vocabulary_size_(target.vocabulary().size()), mask_(llama_vocab_mask(llama_model_get_vocab(model_.get()))),
          row_width_(metadata_.taps.size() * static_cast<size_t>(target.model().width())),
          context_(nullptr, llama_free), injection_(CHUNK, static_cast<int>(row_width_)),
          block_(metadata_.block_size, 0) {
        auto params = llama_context_default_params();
        params.n_ctx = static_cast<uint32_t>(target.context_tokens() + metadata_.block_size);
        params.n_batch = CHUNK;
        params.n_ubatch = CHUNK; // attention within a block is not causal: a batch can't be split
        params.n_outputs_max = static_cast<uint32_t>(metadata_.block_size);
        params.n_threads = threads.threads();
        params.n_threads_batch = threads.threads();
        params.ctx_other = target.context(); // lends its embedding and, without a reduced one, its output head
        params.abort_callback = [](void* target_model) { return static_cast<Target*>(target_model)->cancelled(); };
        params.abort_callback_data = &target_;
        const LogCapture captured;
        context_.reset(llama_init_from_model(model_.get(), params));
        if (context_ == nullptr) {
            throw Error("The drafter " + metadata_.name + " can't be used: no context can be made for it (" +
                        captured.reason() + "); lower the context setting or free memory.");
        }
        llama_set_causal_attn(context_.get(), model_.metadata("dflash.attention.causal") == "true");
        threads.attach(context_.get());
    }

    const std::string& name() const override { return name_; }
    int max_draft_length() const override { return metadata_.max_draft_length(); }

    int reusable_prefix(int cached) const override { return std::min(cached, known_rows()); }

    void truncate(int length) override {
        if (length >= known_rows()) return;
        if (length < injected_) {
            forget_after(length);
            injected_ = length;
            waiting_.clear();
        } else {
            waiting_.resize(static_cast<size_t>(length - injected_) * row_width_);
        }
    }

    void begin() override {}

    /** Copies the taps; they go into the drafter's cache with the next draft, all at once. */
    void rows(const TapRows& rows) override {
        if (rows.position != known_rows()) throw Error("The drafter missed rows of the target: restart the engine.");
        const auto width = static_cast<size_t>(target_.model().width());
        for (int row = 0; row < rows.count; ++row) {
            for (const float* tap : rows.taps) {
                const float* values = tap + static_cast<size_t>(row) * width;
                waiting_.insert(waiting_.end(), values, values + width);
            }
        }
    }

    /** Judged by how long the slots' lookup matched; 0 where they start from masks. */
    std::optional<Outlook> outlook(const DraftContext& context) override {
        match_ = metadata_.slots_from_lookup ? context.lookup.find(metadata_.lookup_longest) : NgramIndex::Match();
        return Outlook{match_.length, static_cast<int>(waiting_.size() / row_width_)};
    }

    int vocabulary_size() const override { return vocabulary_size_; }

    std::vector<DenoisedSlot> denoise(const DraftContext& context, int count,
                                      const std::vector<int32_t>& guesses) override {
        const int position = static_cast<int>(context.tokens.size()) - 1;
        if (known_rows() != position) throw Error("The drafter missed rows of the target: restart the engine.");
        inject();
        const int first = metadata_.sample_from_anchor ? 0 : 1; // slot that predicts the first drafted token
        const int slots = std::min(count, max_draft_length()) + first;
        static const std::vector<int32_t> none;
        fill_block(context.tokens.back(), position, slots, first, metadata_.slots_from_lookup ? guesses : none);
        const int result = threads_.decode(context_.get(), block_.get());
        std::vector<DenoisedSlot> denoised;
        for (int slot = first; slot < slots && result == 0; ++slot) {
            const float* logits = llama_get_logits_ith(context_.get(), slot);
            const TopTwo top = top_two(logits, vocabulary_size_);
            denoised.push_back({top.best, top.margin, logits});
        }
        forget_after(injected_); // slots are no text: they never stay in the cache
        check(result);
        return denoised;
    }

    /**
     * Greedy jobs take each slot's best token; sampled ones draw it from the slot's distribution at the job's
     * temperature, which is q: the slots are independent given the context, so q(x_i | x_<i) = q_i(x_i).
     */
    Draft propose(const DraftContext& context, const Budget& budget) override {
        const int wanted = std::min(budget.tokens, max_draft_length());
        const auto slots = denoise(context, wanted, context.lookup.copy(match_, wanted));
        if (budget.nodes > 0) return {grown(slots, budget.nodes, context), {}, {}};
        std::vector<Slot> judged;
        for (const auto& slot : slots) {
            const int place = static_cast<int>(judged.size());
            judged.push_back({outlook::DIFFUSION, outlook::of_slot(slot.margin, outlook::Agreement::alone), place});
        }
        const int length = budget.judge == nullptr ? wanted : budget.judge->length(judged);
        Draft draft;
        for (int i = 0; i < length; ++i) {
            const auto place = static_cast<size_t>(i);
            append_slot(draft.tree, slots[place], vocabulary_size_, context);
            draft.judged.push_back({judged[place], draft.tree.nodes.back().token, -1, {}});
        }
        return draft;
    }

    void observe(const DraftOutcome& /*outcome*/) override {}

  private:
    int known_rows() const { return injected_ + static_cast<int>(waiting_.size() / row_width_); }

    void forget_after(int length) { llama_memory_seq_rm(llama_get_memory(context_.get()), 0, length, -1); }

    void check(int result) const {
        if (result == 2) throw Cancelled();
        if (result != 0) throw Error("The drafter's pass failed with code " + std::to_string(result) + ".");
    }

    /** Fused into keys and values of every layer, the waiting rows become the drafter's context. */
    void inject() {
        const auto count = static_cast<int>(waiting_.size() / row_width_);
        for (int start = 0; start < count; start += CHUNK) {
            const int rows = std::min(CHUNK, count - start);
            auto& batch = injection_.get();
            batch.n_tokens = rows;
            std::memcpy(batch.embd, waiting_.data() + static_cast<size_t>(start) * row_width_,
                        static_cast<size_t>(rows) * row_width_ * sizeof(float));
            for (int row = 0; row < rows; ++row)
                injection_.place(row, injected_ + start + row, false);
            const int result = threads_.decode(context_.get(), batch);
            if (result != 0) {
                // Nothing of this call counts: the rows keep waiting.
                forget_after(injected_);
                check(result);
            }
        }
        injected_ += count;
        waiting_.clear();
    }

    /** [anchor, slots…]: a slot holds the guess for its own place where there is one, else the mask. */
    void fill_block(int32_t anchor, int position, int slots, int first, const std::vector<int32_t>& guesses) {
        auto& batch = block_.get();
        batch.n_tokens = slots;
        for (int slot = 0; slot < slots; ++slot) {
            const bool guessed = slot > 0 && slot <= static_cast<int>(guesses.size());
            batch.token[slot] = slot == 0 ? anchor : guessed ? guesses[static_cast<size_t>(slot - 1)] : mask_;
            block_.place(slot, position + slot, slot >= first);
        }
    }

    /** The likeliest paths through the slots, and the looked-up one: none is drawn, so all are point masses. */
    Tree grown(const std::vector<DenoisedSlot>& slots, int nodes, const DraftContext& context) const {
        Guesses guesses;
        // The chance of being the target's choice: greedy, that of being its best token.
        const double temperature = context.temperature > 0 ? context.temperature : GREEDY_TEMPERATURE;
        for (const auto& slot : slots)
            guesses.slots.push_back(likeliest(slot.logits, vocabulary_size_, temperature));
        const auto length = static_cast<int>(slots.size());
        guesses.branches = lookup_branches(context.lookup, match_, length, 1);
        return tree_of(grow(guesses, length, nodes), nodes);
    }

    std::string name_ = "diffusion";
    Model model_;
    DrafterMetadata metadata_;
    Target& target_;
    ThreadPool& threads_;
    int vocabulary_size_;
    int32_t mask_;
    /** Floats of one row's taps. */
    size_t row_width_;
    std::unique_ptr<llama_context, void (*)(llama_context*)> context_;
    Batch injection_;
    Batch block_;
    /** Rows whose keys and values are in the drafter's cache. */
    int injected_ = 0;
    /** Taps of the rows after them, [rows, taps · width]. */
    std::vector<float> waiting_;
    NgramIndex::Match match_;
};

} // namespace

void append_slot(Tree& tree, const DenoisedSlot& slot, int vocabulary_size, const DraftContext& context) {
    if (context.temperature <= 0 || !context.drawn) return tree.append(slot.best);
    tree.q.emplace_back();
    softmax(slot.logits, vocabulary_size, context.temperature, tree.q.back());
    tree.append(draw(tree.q.back(), context.rng), static_cast<int>(tree.q.size()) - 1);
}

std::unique_ptr<BlockDrafter> make_diffusion_drafter(const DrafterResources& resources) {
    if (!resources.model || !resources.metadata || resources.metadata->kind != DrafterKind::diffusion) return nullptr;
    return std::make_unique<DiffusionDrafter>(*resources.model, *resources.metadata, resources.target,
                                              resources.threads);
}

} // namespace specdiff
