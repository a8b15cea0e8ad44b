#include "options.h"

#include "../core/error.h"

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <sstream>

namespace specdiff::training {

namespace {

int whole(const std::string& name, const std::string& text, int least) {
    char* end = nullptr;
    errno = 0;
    const long value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || errno != 0 || value < least || value > std::numeric_limits<int>::max())
        throw Error(name + " must be a whole number from " + std::to_string(least) + " on, not '" + text + "'.");
    return static_cast<int>(value);
}

std::vector<int32_t> layer_list(const std::string& name, const std::string& text) {
    std::vector<int32_t> layers;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');)
        layers.push_back(whole(name, part, 0));
    return layers;
}

BackendChoice backend(const std::string& name) {
    const auto found = backend_choice(name);
    if (!found) throw Error("--backend must be auto, cpu, cuda, vulkan or metal, not '" + name + "'.");
    return *found;
}

} // namespace

Options parse_options(int count, char** values) {
    Options options;
    std::error_code ignored;
    options.backend.choice = BackendChoice::cpu;
    options.backend.native_directory =
        std::filesystem::absolute(std::filesystem::u8path(values[0]), ignored).parent_path();
    for (int i = 1; i < count; ++i) {
        const std::string name = values[i];
        if (++i >= count) throw Error("Option " + name + " needs a value.");
        const std::string value = values[i];
        if (name == "--target")
            options.target = std::filesystem::u8path(value);
        else if (name == "--model")
            options.model = std::filesystem::u8path(value);
        else if (name == "--cpu-library")
            options.backend.cpu_library = value;
        else if (name == "--backend")
            options.backend.choice = backend(value);
        else if (name == "--native")
            options.backend.native_directory = std::filesystem::u8path(value);
        else if (name == "--threads")
            options.threads = whole(name, value, 0);
        else if (name == "--sequences")
            options.sequences = whole(name, value, 1);
        else if (name == "--context")
            options.context_tokens = whole(name, value, 1);
        else if (name == "--cache" && (value == "f16" || value == "f32"))
            options.exact_cache = value == "f32";
        else if (name == "--cache")
            throw Error("--cache must be f16 or f32, not '" + value + "'.");
        else if (name == "--layers")
            options.layers = layer_list(name, value);
        else if (name == "--top")
            options.top = whole(name, value, 1);
        else if (name == "--time")
            options.repetitions = whole(name, value, 1);
        else
            throw Error("Unknown option " + name +
                        "; known are --target --model --backend --native --cpu-library --threads --sequences --context "
                        "--cache --layers --top --time.");
    }
    return options;
}

} // namespace specdiff::training
