#include "arguments.h"

#include "../core/error.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

namespace specdiff::cli {

namespace {

/** Takes the option's value. */
using Setter = std::function<void(Arguments&, const std::string&)>;

double number(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(value)) throw Error("'" + text + "' is not a number.");
    return value;
}

int integer(const std::string& text) {
    const double value = number(text);
    if (value != std::floor(value) || value < 0 || value > std::numeric_limits<int>::max()) {
        throw Error("'" + text + "' is not a whole number from 0 on.");
    }
    return static_cast<int>(value);
}

bool on_or_off(const std::string& text) {
    if (text != "on" && text != "off") throw Error("'" + text + "' is neither on nor off.");
    return text == "on";
}

BackendChoice choice(const std::string& name) {
    const auto found = backend_choice(name);
    if (!found) throw Error("--backend must be auto, cpu, cuda, vulkan or metal.");
    return *found;
}

/** "none,diffusion/64": drafters' names, each perhaps with its trees' nodes. */
std::vector<Arm> arm_list(const std::string& text) {
    std::vector<Arm> arms;
    std::istringstream parts(text + ",");
    for (std::string part; std::getline(parts, part, ',');) {
        const auto slash = part.find('/');
        Arm arm{part.substr(0, slash), std::nullopt};
        if (slash != std::string::npos) arm.tree_nodes = integer(part.substr(slash + 1));
        if (arm.drafter.empty()) throw Error("--drafter must name a drafter between commas: see --help.");
        arms.push_back(arm);
    }
    return arms;
}

const std::map<std::string, Setter>& setters() {
    static const std::map<std::string, Setter> all = {
        {"--target", [](Arguments& a, const std::string& v) { a.load.target_path = v; }},
        {"--drafter-model", [](Arguments& a, const std::string& v) { a.load.drafter_path = v; }},
        {"--threads", [](Arguments& a, const std::string& v) { a.load.threads = integer(v); }},
        {"--context", [](Arguments& a, const std::string& v) { a.load.context_tokens = integer(v); }},
        {"--native",
         [](Arguments& a, const std::string& v) { a.backend.native_directory = std::filesystem::u8path(v); }},
        {"--backend", [](Arguments& a, const std::string& v) { a.backend.choice = choice(v); }},
        {"--backend-directory",
         [](Arguments& a, const std::string& v) {
             a.backend.backend_directories.push_back(std::filesystem::u8path(v));
         }},
        {"--tree-nodes", [](Arguments& a, const std::string& v) { a.load.tree_nodes = a.job.tree_nodes = integer(v); }},
        {"--acceptance", [](Arguments& a, const std::string& v) { a.job.acceptance = rule_choice(v); }},
        {"--cpu-library", [](Arguments& a, const std::string& v) { a.backend.cpu_library = v; }},
        {"--prompt-file", [](Arguments& a, const std::string& v) { a.prompt_files.push_back(v); }},
        {"--drafter", [](Arguments& a, const std::string& v) { a.arms = arm_list(v); }},
        {"--draft-length", [](Arguments& a, const std::string& v) { a.job.draft_length = integer(v); }},
        {"--denoising-steps",
         [](Arguments& a, const std::string& v) {
             a.job.denoising.steps = integer(v);
             if (a.job.denoising.steps > MOST_DENOISING_STEPS)
                 throw Error("--denoising-steps must be from 0 to " + std::to_string(MOST_DENOISING_STEPS) + ".");
         }},
        {"--denoising-sampler",
         [](Arguments& a, const std::string& v) { a.job.denoising.sampler = denoising_sampler(v); }},
        {"--hot-start", [](Arguments& a, const std::string& v) { a.job.denoising.hot_start = on_or_off(v); }},
        {"--suffix-file", [](Arguments& a, const std::string& v) { a.suffix_file = v; }},
        {"--max-tokens", [](Arguments& a, const std::string& v) { a.job.max_tokens = integer(v); }},
        {"--temperature", [](Arguments& a, const std::string& v) { a.job.sampling.temperature = number(v); }},
        {"--top-k", [](Arguments& a, const std::string& v) { a.job.sampling.top_k = integer(v); }},
        {"--top-p", [](Arguments& a, const std::string& v) { a.job.sampling.top_p = number(v); }},
        {"--min-p", [](Arguments& a, const std::string& v) { a.job.sampling.min_p = number(v); }},
        {"--repetition-penalty",
         [](Arguments& a, const std::string& v) { a.job.sampling.repetition_penalty = number(v); }},
        {"--seed", [](Arguments& a, const std::string& v) { a.job.sampling.seed = static_cast<uint64_t>(integer(v)); }},
        {"--learned", [](Arguments& a, const std::string& v) { a.learned_file = v; }},
        {"--repeat", [](Arguments& a, const std::string& v) { a.repeat = integer(v); }},
    };
    return all;
}

bool set_flag(Arguments& arguments, const std::string& name) {
    if (name == "--json")
        arguments.json = true;
    else if (name == "--parse-special")
        arguments.parse_special = true;
    else if (name == "--verbose")
        arguments.verbose = true;
    else if (name == "--fresh")
        arguments.fresh = true;
    else if (name == "--help")
        arguments.help = true;
    else
        return false;
    return true;
}

} // namespace

std::string usage() {
    return "specdiff-engine --target FILE --prompt-file FILE [--prompt-file FILE …] [options]\n"
           "Completes each raw prompt and prints the text, then one line of statistics as JSON.\n"
           "  --drafter none|ngram|diffusion|joint|causal|sedd|mdlm|auto   --drafter-model FILE   "
           "--draft-length N (0: chosen while running)\n"
           "  --drafter NAME[/NODES],NAME[/NODES],… (take turns on each prompt; NODES: --tree-nodes of this one)\n"
           "  --tree-nodes N (0: chains)   --acceptance auto|tokens|block|match|hybrid (with a temperature)\n"
           "  --acceptance paper (SpecDiff's published rule: with more than one denoising step it is approximate)\n"
           "  --denoising-steps N (0: the drafter's choice)   --denoising-sampler confidence|euler|tweedie|denoiser\n"
           "  --hot-start on|off   --suffix-file FILE (text after the place where it writes; sedd, mdlm)\n"
           "  --max-tokens N   --temperature X   --top-k N   --top-p X   --min-p X   --repetition-penalty X   --seed "
           "N\n"
           "  --threads N   --context N   --backend auto|cpu|cuda|vulkan|metal   --backend-directory DIR   "
           "--cpu-library FILE\n"
           "  --native DIR (llama.cpp's libraries; default: beside this program)\n"
           "  --learned FILE (what earlier runs measured; read, and written at the end)\n"
           "  --repeat N (rounds; round i, from 0 on, takes the seed + i)   --fresh (no run begins from another's "
           "cache)\n"
           "  --json (statistics with the tokens' ids, no text)   --parse-special   --verbose   --help\n";
}

Arguments parse(int count, char** values) {
    Arguments arguments;
    arguments.job.max_tokens = 64;
    arguments.load.context_tokens = 2048;
    arguments.arms = {{NO_DRAFTER, std::nullopt}};
    std::error_code ignored;
    arguments.backend.native_directory =
        std::filesystem::absolute(std::filesystem::u8path(values[0]), ignored).parent_path();
    for (int i = 1; i < count; ++i) {
        const std::string name = values[i];
        if (set_flag(arguments, name)) continue;
        const auto setter = setters().find(name);
        if (setter == setters().end()) throw Error("Unknown option " + name + ": see --help.");
        if (++i >= count) throw Error("Option " + name + " needs a value: see --help.");
        setter->second(arguments, values[i]);
    }
    if (arguments.help) return arguments;
    if (arguments.load.target_path.empty()) throw Error("--target is missing: see --help.");
    if (arguments.prompt_files.empty()) throw Error("--prompt-file is missing: see --help.");
    for (const auto& arm : arguments.arms)
        arguments.load.tree_nodes = std::max(arguments.load.tree_nodes, arm.tree_nodes.value_or(0));
    return arguments;
}

} // namespace specdiff::cli
