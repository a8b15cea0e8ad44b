#include "engine.h"

#include "clock.h"
#include "cpu_weights.h"
#include "drafters.h"
#include "error.h"
#include "log.h"

#include <filesystem>
#include <utility>

namespace specdiff {

namespace {

/** Rows evaluated once at load, so that the first job finds the weights in memory and a first estimate of c(1). */
constexpr int WARM_UP_PASSES = 2;

/** Clears the flag of the running job, whatever way it ends. */
class BusyGuard {
  public:
    explicit BusyGuard(std::atomic<bool>& busy) : busy_(busy) {}
    ~BusyGuard() { busy_.store(false); }
    BusyGuard(const BusyGuard&) = delete;
    BusyGuard& operator=(const BusyGuard&) = delete;

  private:
    std::atomic<bool>& busy_;
};

} // namespace

Engine::Engine(const LoadOptions& options) {
    const GgufFile file(std::filesystem::u8path(options.target_path));
    check_target_file(file);
    Model model(file.path());
    if (!options.drafter_path.empty()) load_drafter(options.drafter_path, file);

    pool_ = std::make_unique<ThreadPool>(options.threads);
    TargetOptions target_options;
    target_options.context_tokens = options.context_tokens;
    if (drafter_metadata_) target_options.taps = drafter_metadata_->taps;
    target_options.tree_nodes = options.tree_nodes;
    target_ = std::make_unique<Target>(std::move(model), *pool_, target_options);
    try {
        drafters_ = make_drafters({*target_, *pool_, drafter_model_, drafter_metadata_});
    } catch (const Error& error) {
        drafter_note_ = error.what();
        drafter_description_.reset();
        drafters_ = make_drafters({*target_, *pool_, std::nullopt, std::nullopt});
    }
    if (!drafter_note_.empty()) log(LogLevel::warning, drafter_note_);
    weights_note_ = specdiff::weights_note(file);
    if (!weights_note_.empty()) log(LogLevel::info, weights_note_);
    decoder_ = std::make_unique<Decoder>(*target_, drafters_, controller_, now_ms);

    target_description_.path = options.target_path;
    // Not general.name: that is often the trainer's label, which nobody recognises.
    target_description_.name = file.path().stem().string();
    target_description_.architecture = file.text("general.architecture").value_or("");
    target_description_.file_bytes = file.bytes();
    target_description_.vocabulary_size = vocabulary().size();
    target_description_.context_tokens = target_->context_tokens();
    target_description_.fill_in_the_middle = vocabulary().fill_in_the_middle().has_value();
    target_description_.chat_template = vocabulary().has_chat_template();
    warm_up();
}

void Engine::load_drafter(const std::string& path, const GgufFile& target_file) {
    try {
        const GgufFile file(std::filesystem::u8path(path));
        drafter_metadata_ = check_drafter_file(file, target_file);
        drafter_model_.emplace(file.path());
        drafter_description_ = {path, drafter_metadata_->name, drafter_metadata_->max_draft_length(),
                                drafter_metadata_->slots_from_lookup};
    } catch (const Error& error) {
        drafter_note_ = error.what();
        drafter_metadata_.reset();
        drafter_model_.reset();
    }
}

void Engine::warm_up() {
    for (int i = 0; i < WARM_UP_PASSES; ++i) {
        const double start = now_ms();
        target_->verify(0, Tree(), Want::argmax);
        target_->forget();
        PassMeasure measure;
        measure.target_ms = now_ms() - start;
        if (i + 1 == WARM_UP_PASSES) controller_.observe(measure);
    }
}

JobResult Engine::generate(const Job& job, const JobEvents& events) {
    if (busy_.exchange(true)) throw Error("A generation is running: wait for it or cancel it first.");
    const BusyGuard guard(busy_);
    JobResult result;
    result.reason = decoder_->run(job, events);
    if (controller_.plain_ms() > 0) result.plain_pass_ms = controller_.plain_ms();
    return result;
}

} // namespace specdiff
