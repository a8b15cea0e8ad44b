#include "engine.h"

#include "backend.h"
#include "block_file.h"
#include "clock.h"
#include "cpu_weights.h"
#include "drafters.h"
#include "error.h"
#include "log.h"
#include "utf8.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

namespace specdiff {

namespace {

/**
 * After so many equal passes a time is settled: weights are in memory and the graph is there; the CUDA backend
 * records that one with the second pass and replays it from the third on.
 */
int settling_passes() {
    return gpu_computes() ? 3 : 2;
}

/** Pass sizes timed at load where nothing was learned before, the most telling first, and the time that may take. */
constexpr std::array<int, 6> CALIBRATED_ROWS = {8, 2, 4, 16, 3, 6};
constexpr double CALIBRATION_MS = 150;
/** About what a row more takes of a pass of one row (0.1 to 0.25 on CPUs). */
constexpr double CALIBRATED_ROW_COST = 0.25;
/** Passes of one row in a row, for how they get quicker, where they don't take longer than that again. */
constexpr size_t STEADY_PASSES = CostModel::STEADY + CostModel::COMPARED;

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

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

/** Why there is no drafter: memory that runs short says nothing of what to do. */
std::string reason_of(const std::exception& error) {
    if (dynamic_cast<const Error*>(&error) != nullptr) return error.what();
    return std::string("The drafter can't be used (") + error.what() + "): free memory, or choose another drafter.";
}

} // namespace

Engine::Engine(const LoadOptions& options) {
    const GgufFile file(std::filesystem::u8path(options.target_path));
    check_target_file(file);
    Model model(file);
    if (!options.drafter_path.empty()) load_drafter(options.drafter_path, file);

    pool_ = std::make_unique<ThreadPool>(options.threads);
    TargetOptions target_options;
    target_options.context_tokens = options.context_tokens;
    if (drafter_metadata_) target_options.taps = drafter_metadata_->taps;
    target_options.tree_nodes = options.tree_nodes;
    target_ = std::make_unique<Target>(std::move(model), *pool_, target_options);
    try {
        drafters_ = make_drafters({*target_, file, *pool_, drafter_model_, drafter_metadata_, drafter_file_});
    } catch (const Cancelled&) {
        throw;
    } catch (const std::exception& error) {
        drafter_note_ = reason_of(error);
        drafter_description_.reset();
        drafters_ = make_drafters({*target_, file, *pool_, std::nullopt, std::nullopt, std::nullopt});
    }
    if (!drafter_note_.empty()) log(LogLevel::warning, drafter_note_);
    weights_note_ = specdiff::weights_note(file);
    if (!weights_note_.empty()) log(LogLevel::info, weights_note_);
    decoder_ = std::make_unique<Decoder>(*target_, drafters_, controller_, now_ms);
    if (drafter_metadata_) {
        if (drafter_description_) decoder_->know_phrases(drafter_metadata_->phrases);
        drafter_metadata_->phrases = {};
    }

    target_description_.path = options.target_path;
    // Not general.name: that is often the trainer's label, which nobody recognises.
    target_description_.name = utf8(file.path().stem());
    target_description_.architecture = file.text("general.architecture").value_or("");
    target_description_.file_bytes = file.bytes();
    target_description_.vocabulary_size = vocabulary().size();
    target_description_.context_tokens = target_->context_tokens();
    target_description_.fill_in_the_middle = vocabulary().fill_in_the_middle().has_value();
    target_description_.chat_template = vocabulary().has_chat_template();
    warm_up(options.learned);
}

void Engine::load_drafter(const std::string& path, const GgufFile& target_file) {
    try {
        const GgufFile file(std::filesystem::u8path(path));
        drafter_metadata_ = check_drafter_file(file, target_file);
        const auto kind = drafter_metadata_->kind;
        const bool own_graph = kind == DrafterKind::tapped_causal ||
                               (kind == DrafterKind::diffusion && block_shape(file, target_file).has_value());
        if (own_graph || is_standalone_diffusion(kind))
            drafter_file_ = file;
        else
            drafter_model_.emplace(file);
        drafter_description_ = {path, drafter_metadata_->name, drafter_metadata_->kind,
                                drafter_metadata_->max_draft_length(), drafter_metadata_->slots_from_lookup};
    } catch (const Cancelled&) {
        throw;
    } catch (const std::exception& error) {
        drafter_note_ = reason_of(error);
        drafter_metadata_.reset();
        drafter_model_.reset();
        drafter_file_.reset();
    }
}

void Engine::warm_up(const std::string& learned) {
    const auto passes = settling_ms(1);
    touch_memory(passes.back());
    const bool known = !learned.empty() && controller_.restore(learned);
    if (!learned.empty() && !known) log(LogLevel::info, "What was learned before can't be read: measuring afresh.");
    controller_.costs().calibrate(1, *std::min_element(passes.begin(), passes.end()));
    expect_drafts();
    if (known) return;
    calibrate_costs();
    calibrate_drafts();
}

/**
 * A pass of the longest draft's rows, unless it takes long: a user would wait for memory that nothing has touched yet
 * (10 to 20 ms for a new number of rows on a virtual machine).
 */
void Engine::touch_memory(double plain_ms) {
    int longest = 0;
    for (const auto& drafter : drafters_)
        longest = std::max(longest, drafter->max_draft_length());
    const int rows = std::min(longest + 1, Target::MAX_ROWS);
    if (rows * plain_ms * CALIBRATED_ROW_COST <= CALIBRATION_MS) pass_ms(rows);
}

/** What the drafter's file says of drafts that lookup has part in. */
void Engine::expect_drafts() {
    if (!drafter_metadata_) return;
    const auto& reached = drafter_metadata_->chances.reached;
    if (reached.empty()) return;
    for (const auto& drafter : drafters_) {
        if (drafter->part() != nullptr) controller_.expect(drafter->name(), reached);
    }
}

/** Times of passes of `rows` rows over an empty cache, until they are settled. */
std::vector<double> Engine::settling_ms(int rows) {
    std::vector<double> times(static_cast<size_t>(settling_passes()));
    for (auto& ms : times)
        ms = pass_ms(rows);
    return times;
}

/** Time of one pass of `rows` rows over an empty cache. */
double Engine::pass_ms(int rows) {
    Tree chain;
    for (int row = 1; row < rows; ++row)
        chain.append(0);
    const double start = now_ms();
    target_->verify(0, chain, Want::argmax);
    const double ms = now_ms() - start;
    target_->forget();
    return ms;
}

/**
 * Times passes of several sizes. What the first takes longer than the settled one is the cost of another size, and so
 * is what the second does; medians, since noise is as large.
 */
void Engine::calibrate_costs() {
    const double begun = now_ms();
    std::array<double, CALIBRATED_ROWS.size()> again{};
    std::vector<double> longer;
    std::vector<double> behind;
    for (size_t i = 0; i < CALIBRATED_ROWS.size(); ++i) {
        if (i > 0 && now_ms() - begun > CALIBRATION_MS) break;
        const auto several = settling_ms(CALIBRATED_ROWS[i]);
        again[i] = *std::min_element(several.begin(), several.end());
        // The switch is timed with one row, whose memory was touched before.
        const auto one = settling_ms(1);
        const double settled = one.back();
        longer.push_back(one.front() - settled);
        behind.push_back(one[one.size() / 2] - settled);
        controller_.costs().calibrate(1, std::min(controller_.plain_ms(), settled));
    }
    for (size_t i = 0; i < CALIBRATED_ROWS.size(); ++i)
        controller_.costs().calibrate(CALIBRATED_ROWS[i], again[i]);
    controller_.costs().calibrate_switch(median(longer), median(behind));
    if (static_cast<double>(STEADY_PASSES) * controller_.plain_ms() > CALIBRATION_MS) return; // learned while running
    std::vector<double> plain(STEADY_PASSES);
    pass_ms(CALIBRATED_ROWS.back());
    for (auto& ms : plain)
        ms = pass_ms(1);
    controller_.costs().calibrate_lingering(plain);
}

/** One draft of each drafter that takes time, after one that finds its weights cold. */
void Engine::calibrate_drafts() {
    Rng rng(0);
    const Lookup lookup;
    std::vector<int32_t> tokens{0};
    for (auto& drafter : drafters_) {
        // One that another is made of is timed with it.
        if (drafter->free() || drafter->part() != nullptr) continue;
        double quickest = 0;
        try {
            for (int i = 0; i < settling_passes(); ++i) {
                tokens.assign(1, 0);
                drafter->truncate(0);
                target_->verify(0, Tree(), Want::argmax);
                drafter->rows(target_->commit({}));
                tokens.push_back(0);
                const DraftContext context{tokens, lookup, 0, rng};
                if (!drafter->outlook(context)) break;
                const double start = now_ms();
                drafter->propose(context, {drafter->sequential() ? 1 : drafter->usual_draft_length(), nullptr});
                const double ms = now_ms() - start;
                quickest = i == 0 ? ms : std::min(quickest, ms);
                target_->forget();
                drafter->truncate(0);
            }
        } catch (const Cancelled&) {
            throw;
        } catch (const std::exception& error) {
            log(LogLevel::warning, "drafter " + drafter->name() + " can't draft: " + error.what());
            target_->forget();
        }
        for (const auto& user : drafters_) {
            if (user == drafter || user->part() == drafter.get())
                controller_.calibrate_draft(user->name(), user->usual_steps(), quickest);
        }
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
