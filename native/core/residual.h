#pragma once

#include "rng.h"
#include "tree.h"

#include <cstdint>
#include <vector>

namespace specdiff {

/** What is left of p [V] after drafted tokens were rejected: norm(max(p − q, 0)), one q after the other. */
class Residual {
  public:
    /** `p` must live until the first reject(). */
    explicit Residual(const std::vector<float>& p) : p_(&p) {}

    /** min(1, p(x)/q(x)) with p what is left: draws one uniform number. */
    bool accepts(const Tree& tree, int node, Rng& rng) const;
    /** Takes the node's q away. Where rounding would leave nothing, p stays as it is. */
    void reject(const Tree& tree, int node);
    int32_t draw(Rng& rng) const;

  private:
    const std::vector<float>& weights() const { return rest_.empty() ? *p_ : rest_; }

    const std::vector<float>* p_;
    std::vector<float> rest_;
    double total_ = 1;
};

/** max(scale · p − q(node), 0) [V]. */
std::vector<float> excess(const std::vector<float>& p, double scale, const Tree& tree, int node);

} // namespace specdiff
