#pragma once

#include "rng.h"
#include "target.h"
#include "tree.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace specdiff {

/** What a drafter sees of a job. */
struct DraftContext {
    /** Prompt and emitted tokens; the last one is the root, whose row the target has not evaluated yet. */
    const std::vector<int32_t>& tokens;
    /** Temperature that the target samples with; 0 is greedy. */
    double temperature;
    Rng& rng;
    /** The acceptance rule gains from tokens drawn from q; without, each slot's best is drafted, as a point mass. */
    bool drawn = true;
};

/** How much may be drafted. */
struct Budget {
    /** γ; of a tree: tokens of its longest path. */
    int tokens = 0;
    /** Nodes of a tree; 0 for a chain. A drafter that grows no trees drafts a chain. */
    int nodes = 0;
};

/** What became of a draft. */
struct DraftOutcome {
    int drafted = 0;
    int accepted = 0;
};

/**
 * Proposes continuations that the target verifies. A drafter never changes what is emitted, only how fast: whatever it
 * proposes, with the q that it says, the acceptance rule keeps the target's distribution.
 */
class Drafter {
  public:
    Drafter() = default;
    virtual ~Drafter() = default;
    Drafter(const Drafter&) = delete;
    Drafter& operator=(const Drafter&) = delete;

    /** The name in settings, CLI and telemetry. */
    virtual const std::string& name() const = 0;
    virtual int max_draft_length() const = 0;

    /** Leading tokens of the prompt that it need not see evaluated again; the prefix reuse is limited to them. */
    virtual int reusable_prefix(int cached) const = 0;
    /** The target keeps the first `length` rows of its cache and drops the others. Called before every job, used or
     * not. */
    virtual void truncate(int length) = 0;
    /** A job starts that may use it. `lookup`: tokens beside the prompt to copy from, newest last. */
    virtual void begin(const std::vector<int32_t>& prompt, const std::vector<int32_t>& lookup) = 0;
    /** Rows that the target evaluated and kept, in order and without gaps from the reused prefix on. */
    virtual void rows(const TapRows& rows) = 0;
    /** Tokens were emitted; `tokens` is the whole text, the last `count` are new. */
    virtual void emitted(const std::vector<int32_t>& tokens, int count) = 0;

    /**
     * How promising a draft would be now, from what costs nothing to look at: a small class number that the controller
     * keeps its statistics by; nothing where there is no draft to be had.
     */
    virtual std::optional<int> outlook(const DraftContext& context) = 0;
    /** A draft of at most `budget`; may be empty. @throws Cancelled, Error. */
    virtual Tree propose(const DraftContext& context, Budget budget) = 0;
    virtual void observe(const DraftOutcome& outcome) = 0;
};

} // namespace specdiff
