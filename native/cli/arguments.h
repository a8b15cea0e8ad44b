#pragma once

#include "../core/backend.h"
#include "../core/engine.h"

#include <optional>
#include <string>
#include <vector>

namespace specdiff::cli {

/** One way to write the text: who drafts, and the nodes of the trees (--tree-nodes where it says nothing of its own).
 */
struct Arm {
    std::string drafter;
    std::optional<int> tree_nodes;
};

/** What the command line asks for. */
struct Arguments {
    BackendOptions backend;
    LoadOptions load;
    /** All but the prompt's tokens and what an arm says. */
    Job job;
    std::vector<std::string> prompt_files;
    /** Take turns on each prompt. */
    std::vector<Arm> arms;
    /** Text after the place where the job writes; empty for none. */
    std::string suffix_file;
    bool parse_special = false;
    /** Statistics only, no text. */
    bool json = false;
    /** Rounds: times that all arms write each prompt's text. */
    int repeat = 1;
    /** Every run evaluates its whole prompt, so that none begins from another one's cache. */
    bool fresh = false;
    /** Where what was learned is kept; empty for nowhere. */
    std::string learned_file;
    bool verbose = false;
    bool help = false;
};

std::string usage();

/** @throws Error for an unknown option or a value out of its bounds. */
Arguments parse(int count, char** values);

} // namespace specdiff::cli
