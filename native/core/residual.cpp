#include "residual.h"

#include "sampler.h"
#include "sums.h"

#include <algorithm>

namespace specdiff {

bool Residual::accepts(const Tree& tree, int node, Rng& rng) const {
    const auto token = static_cast<size_t>(tree.at(node).token);
    const auto* row = tree.row_of(node);
    const double q = row == nullptr ? 1.0 : (*row)[token];
    return rng.uniform() * q * total_ < weights()[token];
}

void Residual::reject(const Tree& tree, int node) {
    auto rest = excess(weights(), 1 / total_, tree, node);
    const double total = sum_of(rest.data(), static_cast<int>(rest.size()));
    if (total <= 0) return;
    rest_ = std::move(rest);
    total_ = total;
}

int32_t Residual::draw(Rng& rng) const {
    return specdiff::draw(weights(), rng);
}

std::vector<float> excess(const std::vector<float>& p, double scale, const Tree& tree, int node) {
    std::vector<float> rest(p);
    const auto factor = static_cast<float>(scale);
    const auto* row = tree.row_of(node);
    if (row == nullptr) {
        for (auto& value : rest)
            value *= factor;
        rest[static_cast<size_t>(tree.at(node).token)] = 0;
        return rest;
    }
    for (size_t i = 0; i < rest.size(); ++i)
        rest[i] = std::max(rest[i] * factor - (*row)[i], 0.0F);
    return rest;
}

} // namespace specdiff
