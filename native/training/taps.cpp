// specdiff-taps: the target's hidden states and most probable tokens as serving computes them.
// Reads lines: SHARED FIRST TOKEN…  where the first SHARED tokens are those of the line before, already evaluated, and
// FIRST is the first position whose distribution is wanted. Writes for each line, little-endian: the inputs of the
// tapped layers (none without --layers) at positions SHARED.. as fp16 [rows, layers, width]; then for positions FIRST..
// the most probable next tokens, int32 [rows, top], and their probabilities, fp32 [rows, top].
#include "batch_context.h"
#include "program.h"

#include "../core/error.h"
#include "../core/vocabulary.h"

#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace specdiff;
using namespace specdiff::training;

struct Request {
    int shared = 0;
    int first = 0;
    std::vector<int32_t> tokens;
};

/** The most probable entries of one row of logits, best first. */
class Top {
  public:
    Top(int count, int vocabulary_size)
        : count_(static_cast<size_t>(std::min(count, vocabulary_size))), order_(static_cast<size_t>(vocabulary_size)) {}

    void add(const float* logits, std::vector<int32_t>& ids, std::vector<float>& p) {
        std::iota(order_.begin(), order_.end(), 0);
        const auto better = [logits](int32_t a, int32_t b) {
            return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
        };
        std::nth_element(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(count_ - 1), order_.end(),
                         better);
        std::sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(count_), better);
        const float most = logits[order_[0]];
        float sum = 0;
        for (size_t i = 0; i < order_.size(); ++i)
            sum += std::exp(logits[i] - most);
        for (size_t i = 0; i < count_; ++i) {
            ids.push_back(order_[i]);
            p.push_back(std::exp(logits[order_[i]] - most) / sum);
        }
    }

  private:
    size_t count_;
    std::vector<int32_t> order_;
};

template <class T> void write(const std::vector<T>& values) {
    std::cout.write(reinterpret_cast<const char*>(values.data()),
                    static_cast<std::streamsize>(values.size() * sizeof(T)));
}

Request read(const std::string& line, const std::vector<int32_t>& before, const BatchContext& context,
             const Vocabulary& vocabulary) {
    Request request;
    std::istringstream words(line);
    words >> request.shared >> request.first;
    for (int32_t token = 0; words >> token;)
        request.tokens.push_back(token);
    const auto length = static_cast<int>(request.tokens.size());
    if (!words.eof() || length == 0 || request.shared < 0 || request.shared >= length || request.first < request.shared)
        throw Error("This line is no request: " + line.substr(0, 80));
    if (length > context.tokens_each())
        throw Error("A sequence has " + std::to_string(length) + " tokens: raise --context.");
    const auto shared = static_cast<std::ptrdiff_t>(request.shared);
    if (before.size() < static_cast<size_t>(shared) ||
        !std::equal(request.tokens.begin(), request.tokens.begin() + shared, before.begin()))
        throw Error("A sequence does not begin as the one before it, which it says.");
    for (const auto token : request.tokens) {
        if (!vocabulary.contains(token))
            throw Error("Token " + std::to_string(token) + " is outside the target's vocabulary.");
    }
    return request;
}

void work(const Options& options, Model model) {
    ThreadPool threads(options.threads);
    const Vocabulary vocabulary(model.get());
    const auto width = static_cast<size_t>(model.width());
    BatchContext context(std::move(model), threads, 1, options.context_tokens, options.layers, options.exact_cache);
    Top top(options.top, vocabulary.size());
    std::vector<int32_t> before;
    std::vector<ggml_fp16_t> taps;
    std::vector<int32_t> ids;
    std::vector<float> p;
    for (std::string line; std::getline(std::cin, line);) {
        const auto request = read(line, before, context, vocabulary);
        const auto length = static_cast<int>(request.tokens.size());
        context.truncate(0, request.shared);
        ids.clear();
        p.clear();
        for (int position = request.shared; position < length;) {
            std::vector<BatchContext::Row> rows;
            const int start = position, end = std::min(length, position + BatchContext::MOST_ROWS);
            for (; position < end; ++position)
                rows.push_back({0, request.tokens[static_cast<size_t>(position)], position, position >= request.first});
            context.evaluate(rows);
            taps.resize(rows.size() * options.layers.size() * width);
            for (size_t layer = 0; layer < options.layers.size(); ++layer) {
                const float* from = context.layer_input(options.layers[layer]);
                for (size_t row = 0; row < rows.size(); ++row) {
                    ggml_fp32_to_fp16_row(from + row * width,
                                          taps.data() + (row * options.layers.size() + layer) * width,
                                          static_cast<int64_t>(width));
                }
            }
            write(taps);
            for (int row = std::max(0, request.first - start); row < static_cast<int>(rows.size()); ++row)
                top.add(context.logits(row), ids, p);
        }
        write(ids);
        write(p);
        std::cout.flush();
        if (!std::cout) throw Error("The taps can't be written: whoever read them has gone.");
        before = request.tokens;
    }
}

} // namespace

int main(int count, char** values) {
    return specdiff::training::run_program(count, values, work);
}
