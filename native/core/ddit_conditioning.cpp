#include "ddit_conditioning.h"

#include "row_floats.h"

#include <ggml.h>

#include <cmath>
#include <cstring>
#include <utility>

namespace specdiff {

namespace {

/** Noise levels whose vectors are kept; a drafter rounds its σ and so seldom has more. */
constexpr size_t KEPT = 64;
/** Longest period of the sinusoids (Vaswani et al., arXiv 1706.03762, section 3.5). */
constexpr double LONGEST_PERIOD = 10000;

void silu(std::vector<float>& values) {
    for (auto& value : values)
        value /= 1 + std::exp(-value);
}

} // namespace

DditConditioning::DditConditioning(const GgufFile& file, const DditShape& shape)
    : shape_(shape), first_(linear(file, "time.0")), second_(linear(file, "time.1")) {
    for (int layer = 0; layer < shape.layers; ++layer) {
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        modulations_.push_back(linear(file, prefix + "modulation"));
        norms_.push_back(vector(file, prefix + "attn_norm.weight"));
        norms_.push_back(vector(file, prefix + "ffn_norm.weight"));
    }
    modulations_.push_back(linear(file, "output_modulation"));
    norms_.push_back(vector(file, "output_norm.weight"));
}

std::vector<float> DditConditioning::vector(const GgufFile& file, const std::string& name) {
    const auto bytes = file.read_bytes(*file.tensor(name));
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

DditConditioning::Linear DditConditioning::linear(const GgufFile& file, const std::string& name) {
    const auto& weights = *file.tensor(name + ".weight");
    return {weights.type, weights.shape[0], weights.shape[1], file.read_bytes(weights), vector(file, name + ".bias")};
}

std::vector<float> DditConditioning::Linear::operator()(const std::vector<float>& x) const {
    const size_t row_bytes = ggml_row_size(static_cast<ggml_type>(type), columns);
    std::vector<float> row(static_cast<size_t>(columns));
    std::vector<float> y(bias);
    for (size_t i = 0; i < y.size(); ++i) {
        to_floats(type, weights.data() + i * row_bytes, row.data(), columns);
        float sum = 0;
        for (size_t k = 0; k < row.size(); ++k)
            sum += row[k] * x[k];
        y[i] += sum;
    }
    return y;
}

/** SiLU(W1 · SiLU(W0 · e + b0) + b1), e the sinusoids of σ: cosines, then sines. */
std::vector<float> DditConditioning::condition(double sigma) const {
    const auto half = static_cast<size_t>(shape_.frequencies) / 2;
    std::vector<float> sinusoids(2 * half);
    for (size_t k = 0; k < half; ++k) {
        const double angle =
            sigma * std::exp(-std::log(LONGEST_PERIOD) * static_cast<double>(k) / static_cast<double>(half));
        sinusoids[k] = static_cast<float>(std::cos(angle));
        sinusoids[half + k] = static_cast<float>(std::sin(angle));
    }
    auto hidden = first_(sinusoids);
    silu(hidden);
    auto result = second_(hidden);
    silu(result);
    return result;
}

/** `values`: rows of shift, scale and, in layers, gate, for each norm. Appends factor, shift and gate. */
void DditConditioning::add(std::vector<float>& out, const std::vector<float>& values,
                           const std::vector<float>& norm) const {
    const auto width = static_cast<size_t>(shape_.width);
    for (size_t i = 0; i < width; ++i)
        out.push_back(norm[i] * (1 + values[width + i]));
    out.insert(out.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(width));
    out.insert(out.end(), values.begin() + static_cast<std::ptrdiff_t>(2 * width), values.end());
}

const std::vector<float>& DditConditioning::at(double sigma) {
    if (!shape_.time_conditioned) sigma = 0;
    const auto found = known_.find(sigma);
    if (found != known_.end()) return found->second;
    if (known_.size() >= KEPT) known_.clear();
    const auto c = condition(sigma);
    std::vector<float> all;
    for (size_t layer = 0; layer + 1 < modulations_.size(); ++layer) {
        const auto values = modulations_[layer](c);
        const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
        add(all, {values.begin(), middle}, norms_[2 * layer]);
        add(all, {middle, values.end()}, norms_[2 * layer + 1]);
    }
    add(all, modulations_.back()(c), norms_.back());
    return known_.emplace(sigma, std::move(all)).first->second;
}

} // namespace specdiff
