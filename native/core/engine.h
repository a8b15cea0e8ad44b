#pragma once

#include "controller.h"
#include "decoder.h"
#include "drafter.h"
#include "model_file.h"
#include "target.h"
#include "threads.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace specdiff {

struct LoadOptions {
    std::string target_path;
    /** Empty for none. */
    std::string drafter_path;
    /** 0 chooses the physical cores left to us. */
    int threads = 0;
    /** 0 takes the model's own context. */
    int context_tokens = 0;
    /** What an engine with the same files on this machine had learned (Engine::learned()); empty for nothing. */
    std::string learned;
    /** Most nodes of a tree that jobs may ask for; 0 for chains alone. */
    int tree_nodes = 0;
};

struct TargetDescription {
    std::string path;
    std::string name;
    std::string architecture;
    uint64_t file_bytes = 0;
    int vocabulary_size = 0;
    int context_tokens = 0;
    bool fill_in_the_middle = false;
    bool chat_template = false;
};

struct DrafterDescription {
    std::string path;
    std::string name;
    DrafterKind kind = DrafterKind::diffusion;
    int max_draft_length = 0;
    bool slots_from_lookup = false;
};

struct JobResult {
    FinishReason reason = FinishReason::max_tokens;
    /** Running estimate of a one-row pass's time; empty before the first one was measured. */
    std::optional<double> plain_pass_ms;
};

/** Everything of one loaded target, for the addon and for the native executable. Backends must be initialized first. */
class Engine {
  public:
    /** @throws Error for a target that can't be used; a drafter that can't is left out and drafter_note() says why. */
    explicit Engine(const LoadOptions& options);

    const TargetDescription& target() const { return target_description_; }
    const std::optional<DrafterDescription>& drafter() const { return drafter_description_; }
    const std::string& drafter_note() const { return drafter_note_; }
    /** See weights_note(); empty for none. */
    const std::string& weights_note() const { return weights_note_; }
    int threads() const { return pool_->threads(); }
    const Vocabulary& vocabulary() const { return target_->vocabulary(); }

    /** What the controller knows of this machine and these models, for LoadOptions::learned; not while a job runs. */
    std::string learned() const { return controller_.state(); }

    /** Runs one job on the calling thread. @throws Error, also where a job is running already. */
    JobResult generate(const Job& job, const JobEvents& events);
    /** Ends the running job, or the next one, within one decoding step; from any thread. */
    void cancel() { target_->cancel(); }
    /** Forgets a cancel() that came before; called by whoever starts jobs, before each. */
    void reset_cancel() { target_->clear_cancel(); }

    /** For tests: the loop itself. */
    Decoder& decoder() { return *decoder_; }
    Target& target_model() { return *target_; }

  private:
    void load_drafter(const std::string& path, const GgufFile& target_file);
    void warm_up(const std::string& learned);
    double pass_ms(int rows);
    std::vector<double> settling_ms(int rows);
    void touch_memory(double plain_ms);
    void expect_drafts();
    void calibrate_costs();
    void calibrate_drafts();

    std::unique_ptr<ThreadPool> pool_;
    std::unique_ptr<Target> target_;
    std::optional<Model> drafter_model_;
    std::optional<DrafterMetadata> drafter_metadata_;
    /** Of a drafter that llama.cpp does not load. */
    std::optional<GgufFile> drafter_file_;
    std::vector<std::unique_ptr<Drafter>> drafters_;
    Controller controller_;
    std::unique_ptr<Decoder> decoder_;
    TargetDescription target_description_;
    std::optional<DrafterDescription> drafter_description_;
    std::string drafter_note_;
    std::string weights_note_;
    std::atomic<bool> busy_{false};
};

} // namespace specdiff
