#include "row_op.h"

#include <binary-ops.h>
#include <ggml-cpu-impl.h>
#include <ops.h>

#include <algorithm>

namespace specdiff::kernels {

namespace {

/** Sources that an operation on rows may have: a rotation's are values, positions and frequencies' factors. */
constexpr int SOURCES = 3;

/** Which dimension of source `index` counts the tokens. */
int source_dimension(const ggml_tensor* op, int index, const RowOp& rows) {
    const bool by_index = index == 1 && (op->op == GGML_OP_ROPE || op->op == GGML_OP_SET_ROWS);
    return by_index ? 0 : rows.dimension;
}

/** Whether a source has a part for every token; others are read whole by all. */
bool counts_tokens(const ggml_tensor* op, int index, const RowOp& rows) {
    const bool whole = index == 2; // a rotation's factors; the tensor that SET_ROWS' result is a view of
    return !whole && op->src[index]->ne[source_dimension(op, index, rows)] == rows.tokens;
}

/** Whether the values of each step along `dimension` lie within that step's stride. */
bool steps_apart(const ggml_tensor* x, int dimension) {
    size_t extent = ggml_type_size(x->type);
    for (int i = 0; i < GGML_MAX_DIMS; ++i) {
        if (i != dimension) extent += static_cast<size_t>(x->ne[i] - 1) * x->nb[i];
    }
    return x->ne[dimension] == 1 || extent <= x->nb[dimension];
}

bool is_float(const ggml_tensor* x) {
    return x->type == GGML_TYPE_F32 && x->nb[0] == sizeof(float);
}

/** The result's dimension of tokens: the third where there is one, as heads have. */
int token_dimension(const ggml_tensor* op) {
    if (op->op == GGML_OP_ROPE) return 2;
    return op->op != GGML_OP_SET_ROWS && op->ne[2] > 1 ? 2 : 1;
}

bool is_row_op(const ggml_tensor* op) {
    const auto *x = op->src[0], *other = op->src[1];
    switch (op->op) {
    case GGML_OP_RMS_NORM:
    case GGML_OP_NORM:
    case GGML_OP_UNARY:
        return is_float(op) && is_float(x) && ggml_are_same_shape(x, op);
    case GGML_OP_ADD:
    case GGML_OP_MUL:
        return is_float(op) && is_float(x) && is_float(other) && ggml_are_same_shape(x, op) && other->ne[3] == 1 &&
               (other->ne[2] == 1 || other->ne[2] == op->ne[2]) && (other->ne[1] == 1 || other->ne[1] == op->ne[1]);
    case GGML_OP_GLU:
        return is_float(op) && is_float(x) && x->ne[1] == op->ne[1] && x->ne[2] == op->ne[2] &&
               (other == nullptr || (is_float(other) && ggml_are_same_shape(other, op)));
    case GGML_OP_ROPE:
        return is_float(op) && is_float(x) && ggml_are_same_shape(x, op) && other->type == GGML_TYPE_I32 &&
               ggml_is_vector(other) && other->ne[0] == op->ne[2];
    case GGML_OP_SET_ROWS:
        return is_float(x) && x->ne[2] == 1 && ggml_is_vector(other) && other->ne[0] == x->ne[1];
    default:
        return false;
    }
}

Region region_of(const ggml_tensor* x, bool counts_tokens, int dimension) {
    const auto* begin = static_cast<const char*>(x->data);
    return {begin, begin + ggml_nbytes(x), counts_tokens && steps_apart(x, dimension), x->nb[dimension]};
}

ggml_tensor part_of(const ggml_tensor* x, bool counts, int dimension, int64_t begin, int64_t end) {
    ggml_tensor part = *x;
    if (!counts) return part;
    part.ne[dimension] = end - begin;
    part.data = static_cast<char*>(x->data) + static_cast<size_t>(begin) * x->nb[dimension];
    return part;
}

void compute(const ggml_compute_params* params, ggml_tensor* op) {
    switch (op->op) {
    case GGML_OP_RMS_NORM:
        return ggml_compute_forward_rms_norm(params, op);
    case GGML_OP_NORM:
        return ggml_compute_forward_norm(params, op);
    case GGML_OP_UNARY:
        return ggml_compute_forward_unary(params, op);
    case GGML_OP_ADD:
        return ggml_compute_forward_add(params, op);
    case GGML_OP_MUL:
        return ggml_compute_forward_mul(params, op);
    case GGML_OP_GLU:
        return ggml_compute_forward_glu(params, op);
    case GGML_OP_ROPE:
        return ggml_compute_forward_rope(params, op);
    default:
        return ggml_compute_forward_set_rows(params, op);
    }
}

} // namespace

bool Region::agrees_with(const Region& other) const {
    if (end <= other.begin || other.end <= begin) return true;
    return counts && other.counts && begin == other.begin && stride == other.stride;
}

RowOp row_op(const ggml_tensor* op) {
    RowOp rows;
    if (ggml_is_empty(op) || !is_row_op(op) || op->ne[3] != 1) return rows;
    const bool into_cache = op->op == GGML_OP_SET_ROWS;
    rows.dimension = token_dimension(op);
    rows.tokens = (into_cache ? op->src[0] : op)->ne[rows.dimension];
    if (rows.tokens == 1) return rows;
    rows.written = region_of(op, !into_cache, rows.dimension);
    for (int i = 0; i < SOURCES; ++i) {
        if (op->src[i] == nullptr || (i == 2 && into_cache)) continue;
        rows.reads_too(region_of(op->src[i], counts_tokens(op, i, rows), source_dimension(op, i, rows)));
    }
    return rows;
}

bool rows_follow(const RowOp& op, const RowOp& next) {
    if (op.tokens != next.tokens) return false;
    if (next.tokens == 1) return true;
    return op.written.agrees_with(next.written) &&
           std::all_of(next.read, next.read + next.reads,
                       [&](const Region& region) { return op.written.agrees_with(region); }) &&
           std::all_of(op.read, op.read + op.reads,
                       [&](const Region& region) { return region.agrees_with(next.written); });
}

void compute_rows(const ggml_compute_params* params, const ggml_tensor* op, const RowOp& rows, int64_t begin,
                  int64_t end) {
    if (begin == end) return;
    ggml_tensor part = part_of(op, op->op != GGML_OP_SET_ROWS, rows.dimension, begin, end);
    ggml_tensor sources[SOURCES];
    for (int i = 0; i < SOURCES; ++i) {
        if (op->src[i] == nullptr) continue;
        sources[i] = part_of(op->src[i], counts_tokens(op, i, rows), source_dimension(op, i, rows), begin, end);
        part.src[i] = &sources[i];
    }
    // As the only thread, with this one's share of the working memory, the same in all operations: a rotation keeps
    // sines and cosines there, while another thread may be at another operation.
    ggml_compute_params alone = *params;
    alone.ith = 0;
    alone.nth = 1;
    alone.wsize = params->wsize / static_cast<size_t>(params->nth) / CACHE_LINE_SIZE * CACHE_LINE_SIZE;
    alone.wdata = static_cast<char*>(params->wdata) + static_cast<size_t>(params->ith) * alone.wsize;
    compute(&alone, &part);
}

} // namespace specdiff::kernels
