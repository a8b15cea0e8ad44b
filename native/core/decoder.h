#pragma once

#include "controller.h"
#include "drafter.h"
#include "lookup.h"
#include "sampler.h"
#include "target.h"
#include "verifier.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace specdiff {

/** A drafter's name besides the drafters' own. */
inline const std::string NO_DRAFTER = "none";
inline const std::string AUTO_DRAFTER = "auto";

struct Job {
    std::vector<int32_t> prompt;
    /** Tokens beside the prompt that prompt lookup may copy from, newest last. */
    std::vector<int32_t> lookup;
    int max_tokens = 0;
    /** "none", "auto" (the controller's choice among all) or a drafter's name. */
    std::string drafter = NO_DRAFTER;
    /** γ; 0 lets the controller choose; with "auto" the most it may choose. */
    int draft_length = 0;
    /** Nodes of the trees to draft, at most the target's tree_nodes(); 0 for chains. */
    int tree_nodes = 0;
    SamplingOptions sampling;
    DenoisingWish denoising;
    /** What it writes is counted among the target's turns of phrase, for later jobs that remember; without, what was
     * counted is forgotten. */
    bool remember = false;
    /** Acceptance rule with a temperature; greedy jobs have their own. */
    RuleChoice acceptance = RuleChoice::automatic;
};

struct PrefillStats {
    int prompt_tokens = 0;
    /** Tokens that were not in the prefix cache. */
    int prefill_tokens = 0;
    double prefill_ms = 0;
};

/** Drafted and accepted; the target's own after a rejection; after a wholly accepted draft; of a pass without a draft.
 */
enum class Origin { draft, correction, bonus, plain };

struct EmittedToken {
    int32_t token = 0;
    Origin origin = Origin::plain;
    /** UTF-8; a character may be split between tokens. */
    std::string bytes;
};

/**
 * One verification pass. The first token of a job comes from the prefill's last row: it is reported as a plain pass
 * of its own whose time is 0, since its pass is counted as prefill.
 */
struct Pass {
    /** The drafter that wrote the draft; "none" for a plain pass. */
    std::string drafter = NO_DRAFTER;
    /** Tokens that could have been accepted: of a tree those of its longest path. */
    int drafted = 0;
    int accepted = 0;
    /** Drafted tokens that were verified; more than `drafted` for a tree. */
    int nodes = 0;
    /** Target::verify's, with those that filled it up. */
    int rows = 1;
    double draft_ms = 0;
    double verify_ms = 0;
    std::vector<EmittedToken> tokens;
    /** Draft::steps. */
    std::vector<int> denoising_steps;
    /** Why it was planned so, and what was expected of it. */
    Reason reason = Reason::nothing;
    double expected_tokens = 1;
};

enum class FinishReason { end_of_text, max_tokens, context_full, cancelled };

struct JobEvents {
    std::function<void(const PrefillStats&)> on_prefill;
    std::function<void(const Pass&)> on_pass;
};

/** Milliseconds from any fixed start. */
using Clock = std::function<double()>;

/** The loop: prefill, then draft, verify, commit, emit until a reason to stop. */
class Decoder {
  public:
    Decoder(Target& target, std::vector<std::unique_ptr<Drafter>>& drafters, Controller& controller, Clock clock);

    /** For tests: replaces the acceptance rule that sampled jobs ask for; nullptr gives it back to them. */
    void set_acceptance_rule(AcceptanceRule rule) { replaced_rule_ = std::move(rule); }

    /** Turns of phrase of the target's that drafts are made from besides. */
    void know_phrases(const std::vector<Phrases::Entry>& entries) { lookup_.know(entries); }

    /** Events come on the calling thread. @throws Error. */
    FinishReason run(const Job& job, const JobEvents& events);

  private:
    class Run;

    Target& target_;
    std::vector<std::unique_ptr<Drafter>>& drafters_;
    Controller& controller_;
    Clock clock_;
    /** The running job's texts, and what is remembered of earlier ones. */
    Lookup lookup_;
    AcceptanceRule replaced_rule_;
};

} // namespace specdiff
