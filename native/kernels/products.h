// Products of the same activations with one or several matrices of one layout.
#pragma once

#include "panel.h"

#include <ggml.h>

#include <algorithm>
#include <cstdint>

namespace specdiff::kernels {

/** Operations of GGML_OP_MUL_MAT with one src[1], whose panels are counted one operation after the other. */
struct Products {
    /** A layer's queries, keys and values, or its gate and up. */
    static constexpr int MOST = 4;

    ggml_tensor* ops[MOST];
    int count;

    /** All panels, in units of `unit` of them; an operation's last unit may have fewer. */
    int64_t units(int64_t unit) const {
        int64_t all = 0;
        for (int i = 0; i < count; ++i)
            all += units_of(ops[i], unit);
        return all;
    }

    /** Calls work(op, first panel, last panel) for what lies in units [begin, end) of each operation. */
    template <class Work> void each(int64_t unit, int64_t begin, int64_t end, Work&& work) const {
        for (int i = 0; i < count; ++i) {
            const int64_t units = units_of(ops[i], unit), first = std::max<int64_t>(begin, 0),
                          last = std::min(end, units);
            if (first < last) work(ops[i], first * unit, std::min(last * unit, panels_of(ops[i]->src[0]->ne[1])));
            begin -= units;
            end -= units;
        }
    }

  private:
    static int64_t units_of(const ggml_tensor* op, int64_t unit) {
        return (panels_of(op->src[0]->ne[1]) + unit - 1) / unit;
    }
};

} // namespace specdiff::kernels
