// specdiff-logits: what a discrete-diffusion drafter's network gives for windows, for comparison with its reference.
// Reads lines: SIGMA FROZEN FIRST COUNT TOKEN… (tokens at positions 0, 1, …; the first FROZEN of them are evaluated by
// themselves before the others). Writes for each line, little-endian, the logits of rows FIRST.. as fp32 [COUNT, V];
// with --time N a line of JSON instead: the least and the middle one of the times of N evaluations of the others, and
// the model's memory.
#include "program.h"

#include "../core/ddit_model.h"
#include "../core/error.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace specdiff;
using namespace specdiff::training;

struct Request {
    double sigma = 0;
    int frozen = 0;
    DditPass pass;
};

Request read(const std::string& line) {
    Request request;
    auto& pass = request.pass;
    std::istringstream words(line);
    words >> request.sigma >> request.frozen >> pass.first >> pass.outputs;
    for (int32_t token = 0; words >> token;)
        pass.tokens.push_back(token);
    const auto length = static_cast<int>(pass.tokens.size());
    const bool fine = words.eof() && request.sigma >= 0 && request.frozen >= 0 && request.frozen < length &&
                      pass.first >= request.frozen && pass.outputs > 0 && pass.first + pass.outputs <= length;
    if (!fine) throw Error("This line is no request: " + line.substr(0, 80));
    pass.cells = length;
    return request;
}

/** Evaluates the pass once for the graph that it needs, then `repetitions` times. */
std::string timed(DditModel& model, const DditPass& pass, double sigma, int repetitions) {
    using Clock = std::chrono::steady_clock;
    std::vector<double> times;
    for (int i = 0; i <= repetitions; ++i) {
        const auto start = Clock::now();
        model.evaluate(pass, sigma);
        if (i > 0) times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    std::ostringstream line;
    line << "{\"least\": " << times.front() << ", \"median\": " << times[times.size() / 2]
         << ", \"bytes\": " << model.bytes() << "}\n";
    return line.str();
}

void work(const Options& options) {
    const GgufFile file(options.model);
    const DditShape shape = check_ddit_file(file);
    ThreadPool threads(options.threads);
    const std::atomic<bool> cancelled{false};
    DditModel model(file, shape, threads, cancelled);
    for (std::string line; std::getline(std::cin, line);) {
        auto [sigma, frozen, pass] = read(line);
        if (frozen > 0) {
            const auto end = pass.tokens.begin() + frozen;
            model.evaluate({{pass.tokens.begin(), end}, 0, frozen, 0, 1}, sigma);
            pass.tokens.erase(pass.tokens.begin(), end);
            pass.position = frozen;
            pass.first -= frozen;
        }
        if (options.repetitions > 0) {
            std::cout << timed(model, pass, sigma, options.repetitions) << std::flush;
            continue;
        }
        const float* logits = model.evaluate(pass, sigma);
        for (int row = 0; row < pass.outputs; ++row) {
            std::cout.write(reinterpret_cast<const char*>(logits + static_cast<size_t>(row) * model.output_stride()),
                            static_cast<std::streamsize>(static_cast<size_t>(shape.vocabulary) * sizeof(float)));
        }
        std::cout.flush();
        if (!std::cout) throw Error("The logits can't be written: whoever read them has gone.");
    }
}

} // namespace

int main(int count, char** values) {
    return specdiff::training::run_model_program(count, values, work);
}
