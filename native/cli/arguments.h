#pragma once

#include "../core/backend.h"
#include "../core/engine.h"

#include <string>

namespace specdiff::cli {

/** What the command line asks for. */
struct Arguments {
    BackendOptions backend;
    LoadOptions load;
    /** All but the prompt's tokens. */
    Job job;
    std::string prompt_file;
    /** Text after the place where the job writes; empty for none. */
    std::string suffix_file;
    bool parse_special = false;
    /** Statistics only, no text. */
    bool json = false;
    /** Times the job runs, one after the other in one process. */
    int repeat = 1;
    /** Where what was learned is kept; empty for nowhere. */
    std::string learned_file;
    bool verbose = false;
    bool help = false;
};

std::string usage();

/** @throws Error for an unknown option or a value out of its bounds. */
Arguments parse(int count, char** values);

} // namespace specdiff::cli
