#include "llama_block_network.h"

#include "abort_flag.h"
#include "error.h"
#include "log.h"

#include <llama-ext.h>
#include <llama.h>

#include <algorithm>
#include <cstring>
#include <string>
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

class LlamaBlockNetwork : public BlockNetwork {
  public:
    LlamaBlockNetwork(Model model, const DrafterMetadata& metadata, Target& target, ThreadPool& threads)
        : model_(std::move(model)), target_(target), threads_(threads),
          row_width_(metadata.taps.size() * static_cast<size_t>(target.model().width())), context_(nullptr, llama_free),
          injection_(CHUNK, static_cast<int>(row_width_)), block_(metadata.block_size, 0) {
        auto params = llama_context_default_params();
        params.n_ctx = static_cast<uint32_t>(target.context_tokens() + metadata.block_size);
        params.n_batch = CHUNK;
        params.n_ubatch = CHUNK; // attention within a block is not causal: a batch can't be split
        params.n_outputs_max = static_cast<uint32_t>(metadata.block_size);
        params.n_threads = threads.threads();
        params.n_threads_batch = threads.threads();
        params.ctx_other = target.context(); // lends its embedding and, without a reduced one, its output head
        params.abort_callback = abort_flag_is_set;
        params.abort_callback_data = abort_data(target.cancel_flag());
        const LogCapture captured;
        context_.reset(llama_init_from_model(model_.get(), params));
        if (context_ == nullptr) {
            throw Error("The drafter " + metadata.name + " can't be used: no context can be made for it (" +
                        captured.reason() + "); lower the context setting or free memory.");
        }
        llama_set_causal_attn(context_.get(), model_.metadata("dflash.attention.causal") == "true");
        threads.attach(context_.get());
    }

    int rows() const override { return rows_; }

    void truncate(int length) override {
        if (length >= rows_) return;
        forget_after(length);
        rows_ = length;
    }

    std::vector<SlotRow> denoise(const float* taps, int count, const std::vector<int32_t>& slots, int first) override {
        inject(taps, count);
        auto& batch = block_.get();
        batch.n_tokens = static_cast<int32_t>(slots.size());
        for (int slot = 0; slot < batch.n_tokens; ++slot) {
            batch.token[slot] = slots[static_cast<size_t>(slot)];
            // All of them: llama.cpp's graph computes every row's logits and hands out as many of the first as are
            // asked for.
            block_.place(slot, rows_ + slot, true);
        }
        const int result = threads_.decode(context_.get(), batch);
        const float* logits = result == 0 ? llama_get_logits_ith(context_.get(), first) : nullptr;
        forget_after(rows_); // slots are no text: they never stay in the cache
        check(result);
        std::vector<SlotRow> rows;
        for (int slot = first; slot < batch.n_tokens; ++slot, logits += target_.vocabulary().size())
            rows.push_back({logits, target_.vocabulary().size(), nullptr});
        return rows;
    }

    // Files of such drafters are refused where only llama.cpp has their graph.
    SlotRow denoise_next(int32_t /*token*/, int /*before*/) override {
        throw Error("This drafter's slots can't be drafted one by one; choose another drafter file.");
    }

  private:
    void forget_after(int length) { llama_memory_seq_rm(llama_get_memory(context_.get()), 0, length, -1); }

    void check(int result) const {
        if (result == 2) throw Cancelled();
        if (result != 0) throw Error("The drafter's pass failed with code " + std::to_string(result) + ".");
    }

    /** Fused into keys and values of every layer, the rows become the drafter's context. */
    void inject(const float* taps, int count) {
        for (int start = 0; start < count; start += CHUNK) {
            const int rows = std::min(CHUNK, count - start);
            auto& batch = injection_.get();
            batch.n_tokens = rows;
            std::memcpy(batch.embd, taps + static_cast<size_t>(start) * row_width_,
                        static_cast<size_t>(rows) * row_width_ * sizeof(float));
            for (int row = 0; row < rows; ++row)
                injection_.place(row, rows_ + row, false);
            const int result = threads_.decode(context_.get(), batch);
            if (result != 0) forget_after(rows_);
            check(result);
            rows_ += rows;
        }
    }

    Model model_;
    Target& target_;
    ThreadPool& threads_;
    /** Floats of one row's taps. */
    size_t row_width_;
    std::unique_ptr<llama_context, void (*)(llama_context*)> context_;
    Batch injection_;
    Batch block_;
    int rows_ = 0;
};

} // namespace

std::unique_ptr<BlockNetwork> make_llama_block_network(Model model, const DrafterMetadata& metadata, Target& target,
                                                       ThreadPool& threads) {
    return std::make_unique<LlamaBlockNetwork>(std::move(model), metadata, target, threads);
}

} // namespace specdiff
