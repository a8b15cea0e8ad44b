#pragma once

#include "ddit_file.h"
#include "gguf_file.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace specdiff {

/**
 * What the noise level does to a DDiT network: adaptive layer norm, "adaLN-Zero" (Peebles and Xie, arXiv 2212.09748,
 * section 3.2). Computed here, on the host, once for each σ: the network's own graph then only multiplies and adds.
 */
class DditConditioning {
  public:
    /** Vectors of a layer, in the order in which they lie in at(): what the normalized input is multiplied with
     * (norm · (1 + scale)), what is added to it, and what the branch's output is multiplied with. */
    enum Part { attention_factor, attention_shift, attention_gate, mlp_factor, mlp_shift, mlp_gate, PARTS };
    /** After all layers: factor and shift of the output. */
    static constexpr int OUTPUT_PARTS = 2;

    /** `file` as check_ddit_file() found it. @throws Error where reading fails. */
    DditConditioning(const GgufFile& file, const DditShape& shape);

    /** [layers · PARTS + OUTPUT_PARTS, width]; valid until the next call. `sigma`: total noise, σ ≥ 0. */
    const std::vector<float>& at(double sigma);

  private:
    /** y = W x + b, W kept in the file's type. */
    struct Linear {
        int type = 0;
        int64_t columns = 0;
        int64_t rows = 0;
        std::vector<uint8_t> weights;
        std::vector<float> bias;
        std::vector<float> operator()(const std::vector<float>& x) const;
    };
    static Linear linear(const GgufFile& file, const std::string& name);
    static std::vector<float> vector(const GgufFile& file, const std::string& name);
    std::vector<float> condition(double sigma) const;
    void add(std::vector<float>& out, const std::vector<float>& values, const std::vector<float>& norm) const;

    DditShape shape_;
    Linear first_;
    Linear second_;
    /** Of each layer, then of the output. */
    std::vector<Linear> modulations_;
    /** Weights of the layer norms: two of each layer, then the output's. */
    std::vector<std::vector<float>> norms_;
    std::map<double, std::vector<float>> known_;
};

} // namespace specdiff
