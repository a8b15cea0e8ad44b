#include "program.h"

#include "../core/backend.h"
#include "../core/error.h"
#include "../core/gguf_file.h"
#include "../core/log.h"
#include "../core/model_file.h"

#include <exception>
#include <iostream>

namespace specdiff::training {

int run_model_program(int count, char** values, const std::function<void(const Options&)>& work) {
    try {
        set_log_sink([](LogLevel level, const std::string& text) {
            if (level >= LogLevel::warning) std::cerr << text << '\n';
        });
        const auto options = parse_options(count, values);
        initialize_backends(options.backend);
        work(options);
        set_log_sink({});
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}

int run_program(int count, char** values, const std::function<void(const Options&, Model)>& work) {
    return run_model_program(count, values, [&](const Options& options) {
        if (options.target.empty()) throw Error("--target is missing: give the target's GGUF file.");
        const GgufFile file(options.target);
        check_target_file(file);
        work(options, Model(file));
    });
}

} // namespace specdiff::training
