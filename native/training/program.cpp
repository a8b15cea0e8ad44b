#include "program.h"

#include "../core/backend.h"
#include "../core/gguf_file.h"
#include "../core/log.h"
#include "../core/model_file.h"

#include <exception>
#include <iostream>

namespace specdiff::training {

int run_program(int count, char** values, const std::function<void(const Options&, Model)>& work) {
    try {
        set_log_sink([](LogLevel level, const std::string& text) {
            if (level >= LogLevel::warning) std::cerr << text << '\n';
        });
        const auto options = parse_options(count, values);
        initialize_backends(options.backend);
        check_target_file(GgufFile(options.target));
        work(options, Model(options.target));
        set_log_sink({});
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}

} // namespace specdiff::training
