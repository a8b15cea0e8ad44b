// specdiff-engine: generations without Node, for scripts and for machines that have none.
#include "arguments.h"

#include "../core/backend.h"
#include "../core/engine.h"
#include "../core/error.h"
#include "../core/log.h"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using specdiff::cli::Arguments;

/** Sums over the passes of one job. */
struct Totals {
    specdiff::PrefillStats prefill;
    int tokens = 0;
    int passes = 0;
    int drafted = 0;
    int accepted = 0;
    int nodes = 0;
    double draft_ms = 0;
    double verify_ms = 0;
    /** Of the text's tokens. */
    std::vector<int> ids;
    /** Passes by drafter, γ and reason, as a JSON array's entries. */
    std::string plans;
};

std::string read_prompt(const std::string& path) {
    std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
    if (!file) throw specdiff::Error("The prompt file " + path + " can't be read: check the path.");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string read_if_there(const std::string& path) {
    std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/** A JSON string; text from models and devices may hold anything. */
std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (byte < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
            result += escape;
        } else {
            result += c;
        }
    }
    return result + "\"";
}

std::string listed(const std::vector<int>& values) {
    std::string text;
    for (const int value : values)
        text += (text.empty() ? "" : ",") + std::to_string(value);
    return "[" + text + "]";
}

/** What one line of figures is about. */
struct Generation {
    std::string prompt;
    specdiff::Job job;
    int round = 0;
};

std::string stats_line(const Generation& generation, const Totals& totals, const specdiff::JobResult& result,
                       const std::string& backend, bool with_ids) {
    const double decode_ms = totals.draft_ms + totals.verify_ms;
    // The first token's pass is the prefill, so it is not counted as decoded.
    const int decoded = totals.tokens - 1;
    const auto number = [](double value) { return std::to_string(value); };
    std::string line = "{\"tokens\":" + std::to_string(totals.tokens);
    line += ",\"verifications\":" + std::to_string(totals.passes);
    line += ",\"tau\":" + (totals.passes > 0 ? number(static_cast<double>(totals.tokens) / totals.passes) : "null");
    line += ",\"draftAcceptance\":" +
            (totals.drafted > 0 ? number(static_cast<double>(totals.accepted) / totals.drafted) : "null");
    line += ",\"nodes\":" + std::to_string(totals.nodes);
    line += ",\"tokensPerSecond\":" + (decode_ms > 0 ? number(1000 * decoded / decode_ms) : "null");
    line += ",\"draftMs\":" + number(totals.draft_ms) + ",\"verifyMs\":" + number(totals.verify_ms);
    line += ",\"promptTokens\":" + std::to_string(totals.prefill.prompt_tokens);
    line += ",\"prefillTokens\":" + std::to_string(totals.prefill.prefill_tokens);
    line += ",\"prefillMs\":" + number(totals.prefill.prefill_ms);
    line += ",\"plainPassMs\":" + (result.plain_pass_ms ? number(*result.plain_pass_ms) : "null");
    line += ",\"passes\":[" + totals.plans + "]";
    if (with_ids) line += ",\"ids\":" + listed(totals.ids);
    line += ",\"prompt\":" + quoted(generation.prompt) + ",\"round\":" + std::to_string(generation.round);
    line += ",\"treeNodes\":" + std::to_string(generation.job.tree_nodes);
    line += ",\"drafter\":" + quoted(generation.job.drafter) + ",\"backend\":" + quoted(backend) + "}";
    return line;
}

specdiff::JobResult generate(specdiff::Engine& engine, const specdiff::Job& job, bool print, Totals& totals) {
    specdiff::JobEvents events;
    events.on_prefill = [&](const specdiff::PrefillStats& prefill) { totals.prefill = prefill; };
    events.on_pass = [&](const specdiff::Pass& pass) {
        totals.tokens += static_cast<int>(pass.tokens.size());
        totals.passes += 1;
        totals.drafted += pass.drafted;
        totals.accepted += pass.accepted;
        totals.nodes += pass.nodes;
        totals.draft_ms += pass.draft_ms;
        totals.verify_ms += pass.verify_ms;
        totals.plans +=
            (totals.plans.empty() ? "" : ",") + std::string("{\"drafter\":") + quoted(pass.drafter) +
            ",\"drafted\":" + std::to_string(pass.drafted) + ",\"rows\":" + std::to_string(pass.rows) +
            ",\"accepted\":" + std::to_string(pass.accepted) + ",\"reason\":" + quoted(specdiff::name_of(pass.reason)) +
            ",\"expectedTokens\":" + std::to_string(pass.expected_tokens) +
            ",\"draftMs\":" + std::to_string(pass.draft_ms) + ",\"verifyMs\":" + std::to_string(pass.verify_ms) +
            ",\"denoisingSteps\":" + listed(pass.denoising_steps) + "}";
        for (const auto& token : pass.tokens)
            totals.ids.push_back(token.token);
        if (!print) return;
        for (const auto& token : pass.tokens)
            std::cout << token.bytes;
        std::cout.flush();
    };
    return engine.generate(job, events);
}

int run(const Arguments& arguments) {
    const bool verbose = arguments.verbose;
    specdiff::set_log_sink([verbose](specdiff::LogLevel level, const std::string& text) {
        if (verbose || level >= specdiff::LogLevel::warning) std::cerr << text << '\n';
    });
    const auto backend = specdiff::initialize_backends(arguments.backend);
    specdiff::LoadOptions load = arguments.load;
    if (!arguments.learned_file.empty()) load.learned = read_if_there(arguments.learned_file);
    specdiff::Engine engine(load);
    std::vector<int32_t> suffix;
    if (!arguments.suffix_file.empty())
        suffix = engine.vocabulary().tokenize(read_prompt(arguments.suffix_file), false, false);
    for (const auto& prompt : arguments.prompt_files) {
        Generation generation{prompt, arguments.job};
        generation.job.prompt = engine.vocabulary().tokenize(read_prompt(prompt), true, arguments.parse_special);
        generation.job.denoising.suffix = suffix;
        for (generation.round = 0; generation.round < arguments.repeat; ++generation.round) {
            generation.job.sampling.seed = arguments.job.sampling.seed + static_cast<uint64_t>(generation.round);
            for (const auto& arm : arguments.arms) {
                generation.job.drafter = arm.drafter;
                generation.job.tree_nodes = arm.tree_nodes.value_or(arguments.job.tree_nodes);
                if (arguments.fresh) engine.target_model().forget();
                Totals totals;
                const auto result = generate(engine, generation.job, !arguments.json, totals);
                if (!arguments.json) std::cout << '\n';
                std::cout << stats_line(generation, totals, result, backend.name, arguments.json) << '\n' << std::flush;
            }
        }
    }
    if (!arguments.learned_file.empty()) {
        std::ofstream file(std::filesystem::u8path(arguments.learned_file), std::ios::binary);
        if (!(file << engine.learned()))
            throw specdiff::Error(arguments.learned_file + " can't be written: check the path.");
    }
    specdiff::set_log_sink({});
    return 0;
}

} // namespace

int main(int count, char** values) {
    try {
        const auto arguments = specdiff::cli::parse(count, values);
        if (arguments.help) {
            std::cout << specdiff::cli::usage();
            return 0;
        }
        return run(arguments);
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
