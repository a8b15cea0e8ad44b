#pragma once

#include "denoising.h"
#include "lookup.h"
#include "rng.h"
#include "survival.h"
#include "target.h"
#include "tree.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace specdiff {

/** How a job wants a drafter that takes several denoising steps to go about it. */
struct DenoisingWish {
    /** T; 0 lets the controller choose. */
    int steps = 0;
    DenoisingSampler sampler = DenoisingSampler::confidence;
    /** What the last draft's rejected slots looked like starts the next one part-way, with fewer steps. */
    bool hot_start = true;
    /** Text after the place where the job writes, which a denoised block can look at; its beginning counts most. */
    std::vector<int32_t> suffix;
};

/** What a drafter sees of a job. */
struct DraftContext {
    /** Prompt and emitted tokens; the last one is the root, whose row the target has not evaluated yet. */
    const std::vector<int32_t>& tokens;
    /** Of the job's other texts, then `tokens`, and of the target's turns of phrase. */
    const Lookup& lookup;
    /** Temperature that the target samples with; 0 is greedy. */
    double temperature;
    Rng& rng;
    /** The acceptance rule gains from tokens drawn from q; without, each slot's best is drafted, as a point mass. */
    bool drawn = true;
    /** See wants_step_rows(). */
    bool step_rows = false;
    const DenoisingWish& denoising = ANY_DENOISING;

    inline static const DenoisingWish ANY_DENOISING{};
};

/**
 * Where a draft should end, from measured costs and chances. Ask it only about what was known before the token in
 * question was drawn: cutting a draft because of a drawn token that stays in it would change the text's distribution.
 */
class Judge {
  public:
    Judge() = default;
    virtual ~Judge() = default;
    Judge(const Judge&) = delete;
    Judge& operator=(const Judge&) = delete;

    /** Chance that the slot is accepted where all before it were. */
    virtual double chance(const Slot& slot) const = 0;
    /** How many of these slots, in order, are worth their rows in the target's pass. */
    virtual int length(const std::vector<Slot>& slots) const = 0;
    /** The first so many nodes, and the tokens that they gain above what their time is worth. */
    struct Prefix {
        int nodes = 0;
        double worth = 0;
    };
    /**
     * How many of a tree's or a chain's nodes are, in the order in which they grew. @param chances ρ of each: that its
     * whole path is accepted.
     */
    virtual Prefix prefix(const std::vector<double>& chances) const = 0;
    /**
     * Whether one more slot after `drafted` is worth its row, and `steps` passes of the drafter that are still to be
     * paid for it. `path`: chance that the draft is accepted up to and with it.
     */
    virtual bool worth(double path, int drafted, int steps) const = 0;
};

/** How much may be drafted. */
struct Budget {
    /** γ: the most; of a tree, tokens of its longest path. */
    int tokens = 0;
    /** Null where exactly γ tokens are wanted. */
    const Judge* judge = nullptr;
    /** Nodes of a tree; 0 for a chain. A drafter that grows no trees drafts a chain. */
    int nodes = 0;
    /** T of a drafter that denoises; 0 for its usual one. */
    int steps = 0;
    /** Slots that a block drafter need not go beyond, as its drafts are seldom longer; 0 for all it has. */
    int slots = 0;
};

/** A proposal. */
struct Draft {
    Tree tree;
    /** What each node is judged by; empty where the whole is judged by the drafter's outlook. */
    std::vector<Slot> judged;
    /** For each node of a chain that was denoised: the step it was revealed in, from 1 on; 0 for a hot start. */
    std::vector<int> steps;
};

/** What became of a draft. */
struct DraftOutcome {
    int drafted = 0;
    int accepted = 0;
};

/** A drafter's view of the moment before a pass. */
struct Outlook {
    /** How promising a draft would be, from what costs nothing to look at: a small class number. */
    int value = 0;
    /** Rows that it must catch up on before it can draft (a prompt it has not read). */
    int pending_rows = 0;
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
    /** What it drafts where nobody asks for a length; its time is measured with this. */
    virtual int usual_draft_length() const { return max_draft_length(); }
    /** Its drafts take no time: they can be judged by the text that comes, without being verified. */
    virtual bool free() const { return false; }
    /** Every drafted token takes a pass of its own. */
    virtual bool sequential() const { return false; }
    /** Its drafts are denoised, γ slots in T steps. */
    virtual bool denoises() const { return false; }
    /** T where nobody asks for one; its time is measured with this. */
    virtual int usual_steps() const { return 0; }
    /** The drafter that it is made of; under "auto" it takes that one's place. */
    virtual Drafter* part() const { return nullptr; }

    /** Leading tokens of the prompt that it need not see evaluated again; the prefix reuse is limited to them. */
    virtual int reusable_prefix(int cached) const = 0;
    /** The target keeps the first `length` rows of its cache and drops the others. Called before every job, used or
     * not. */
    virtual void truncate(int length) = 0;
    /** A job starts that may use it. */
    virtual void begin() = 0;
    /** Rows that the target evaluated and kept, in order and without gaps from the reused prefix on. */
    virtual void rows(const TapRows& rows) = 0;

    /** Nothing where there is no draft to be had. */
    virtual std::optional<Outlook> outlook(const DraftContext& context) = 0;
    /** A draft of at most `budget`; may be empty. @throws Cancelled, Error. */
    virtual Draft propose(const DraftContext& context, const Budget& budget) = 0;
    virtual void observe(const DraftOutcome& outcome) = 0;
};

} // namespace specdiff
