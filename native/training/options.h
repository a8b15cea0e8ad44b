#pragma once

#include "../core/backend.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace specdiff::training {

/** What the programs are told on the command line; they compute on the CPU unless told otherwise. */
struct Options {
    std::filesystem::path target;
    /** A drafter's file (specdiff-logits). */
    std::filesystem::path model;
    BackendOptions backend;
    /** 0 takes the free cores. */
    int threads = 0;
    /** Sequences decoded together (specdiff-answers). */
    int sequences = 24;
    /** Tokens that one sequence may have, prompt and answer. */
    int context_tokens = 1024;
    /** Keys and values of the cache in fp32, not fp16: for comparison with exact references. */
    bool exact_cache = false;
    /** Layers whose inputs are written (specdiff-taps); none where only distributions are wanted. */
    std::vector<int32_t> layers;
    /** Most probable next tokens written a row (specdiff-taps). */
    int top = 16;
    /** Where not 0, specdiff-logits evaluates each window so often and writes the times, not the logits. */
    int repetitions = 0;
};

/** @throws Error for an unknown option, or a bad number. */
Options parse_options(int count, char** values);

} // namespace specdiff::training
