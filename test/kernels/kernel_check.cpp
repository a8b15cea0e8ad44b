// Checks kernels: those of a CPU library through ggml's own interface, as llama.cpp would call them, or those of one
// table under emulation (machine.h).
//
//   kernel_check LIBRARY kernels                        the instruction sets that SPECDIFF_KERNELS may choose here
//   kernel_check LIBRARY|TABLE matrix TYPE [quick]      one line of JSON per shape and row count
//   kernel_check LIBRARY|TABLE attention TYPE [quick]   … per head size, group, row count and number of cells
//   kernel_check LIBRARY fill                           … per number of elements
//
// `quick` leaves out row counts and sizes that take the same ways through the code. The environment variable
// SPECDIFF_KERNELS chooses a library's instruction set.
#include "machine.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

void fail(const std::string& reason) {
    std::fprintf(stderr, "%s\n", reason.c_str());
    std::exit(2);
}

namespace {

Floats normal(std::mt19937& rng, size_t count) {
    std::normal_distribution<float> distribution;
    Floats values(count);
    for (float& value : values)
        value = distribution(rng);
    return values;
}

struct Context {
    ggml_context* context;
    Context() : context(ggml_init({16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true})) {}
    ~Context() { ggml_free(context); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
};

bool same_bits(const float* a, const float* b, size_t count) {
    return std::memcmp(a, b, count * sizeof(float)) == 0;
}

/** Rows up to which a row has the bits that it has alone (INVARIANT_ROWS); a prompt's have those of any prompt. */
constexpr size_t MOST_ROWS = 72;

size_t different_rows(const Floats& a, const Floats& b, size_t width) {
    size_t different = 0;
    for (size_t i = 0; i + width <= std::min(a.size(), b.size()); i += width)
        different += same_bits(&a[i], &b[i], width) ? 0 : 1;
    return different;
}

// ---- matrices

class Matrix {
  public:
    Matrix(const Machine& machine, ggml_type type, int64_t rows, int64_t columns, std::mt19937& rng)
        : machine_(machine), type_(type), rows_(rows), columns_(columns) {
        exact_ = normal(rng, static_cast<size_t>(rows * columns));
        packed_.resize(ggml_row_size(type, columns) * static_cast<size_t>(rows));
        ggml_quantize_chunk(type, exact_.data(), packed_.data(), 0, rows, columns, nullptr);
        quantized_.resize(exact_.size());
        ggml_get_type_traits(type)->to_float(packed_.data(), quantized_.data(), rows * columns);
        weights_ = ggml_new_tensor_2d(context_.context, type, columns, rows);
        memory_ = machine.hold(context_.context, weights_, packed_.data());
    }

    /** [n × rows] for x [n × columns]. */
    Floats times(const Floats& x) const {
        Context c;
        auto* input = ggml_new_tensor_2d(c.context, GGML_TYPE_F32, columns_, static_cast<int64_t>(x.size()) / columns_);
        return machine_.compute(c.context, ggml_mul_mat(c.context, weights_, input), {{input, x.data()}});
    }

    bool supported() const {
        Context c;
        auto* op = ggml_mul_mat(c.context, weights_, ggml_new_tensor_2d(c.context, GGML_TYPE_F32, columns_, 1));
        return machine_.supports(op);
    }

    /** [n × rows] in double precision: with the weights as they were and as they are after quantization. */
    struct Reference {
        std::vector<double> exact, quantized;
    };

    Reference reference(const Floats& x) const {
        Reference result;
        const size_t n = x.size() / static_cast<size_t>(columns_);
        for (size_t t = 0; t < n; ++t) {
            for (int64_t r = 0; r < rows_; ++r) {
                double exact = 0, quantized = 0;
                for (int64_t k = 0; k < columns_; ++k) {
                    const double activation = x[t * columns_ + k];
                    exact += activation * exact_[r * columns_ + k];
                    quantized += activation * quantized_[r * columns_ + k];
                }
                result.exact.push_back(exact);
                result.quantized.push_back(quantized);
            }
        }
        return result;
    }

    struct Error {
        double ours, of_type; // root mean square, relative to the exact product's
    };

    /** y: the product of the reference's first rows. */
    static Error error(const Reference& reference, const Floats& y) {
        double ours = 0, of_type = 0, size = 0;
        for (size_t i = 0; i < y.size(); ++i) {
            const double exact = reference.exact[i], quantized = reference.quantized[i];
            ours += (y[i] - quantized) * (y[i] - quantized);
            of_type += (quantized - exact) * (quantized - exact);
            size += exact * exact;
        }
        return {std::sqrt(ours / size), std::sqrt(of_type / size)};
    }

  private:
    const Machine& machine_;
    ggml_type type_;
    int64_t rows_, columns_;
    Floats exact_, quantized_;
    std::vector<char> packed_;
    Context context_;
    ggml_tensor* weights_ = nullptr;
    std::shared_ptr<void> memory_;
};

bool all_nan(const float* y, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (!std::isnan(y[i])) return false;
    }
    return true;
}

/** Row counts on both sides of every tile and thread boundary. */
bool telling(size_t n) {
    return n <= 5 || (n >= 7 && n <= 9) || (n >= 15 && n <= 18) || n == 32 || n == 33 || n >= 72;
}

void check_matrix(Machine& machine, ggml_type type, bool quick) {
    std::mt19937 rng(1);
    const int64_t block = ggml_blck_size(type);
    struct Shape {
        int64_t rows, columns;
        bool every_count;
    };
    // Whole panels, and a last one of fewer rows.
    const Shape shapes[] = {
        {16, block, false},     {112, 9 * block, true}, {1040, 3 * block, false},
        {49, 5 * block, false}, {33, 9 * block, false},
    };
    for (const auto& shape : shapes) {
        const Matrix matrix(machine, type, shape.rows, shape.columns, rng);
        const auto columns = static_cast<size_t>(shape.columns), rows = static_cast<size_t>(shape.rows);
        const Floats x = normal(rng, 512 * columns);
        const auto reference = matrix.reference(x);
        machine.threads(1);
        const auto first_rows = [&](size_t n) {
            return Floats(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n * columns));
        };
        Floats alone;
        for (size_t t = 0; t <= MOST_ROWS; ++t) {
            const Floats y = matrix.times(Floats(&x[t * columns], &x[t * columns] + columns));
            alone.insert(alone.end(), y.begin(), y.end());
        }
        const Floats prompt = matrix.times(first_rows(MOST_ROWS + 1));
        const auto expected = [&](size_t n) -> const Floats& { return n > MOST_ROWS ? prompt : alone; };
        for (size_t n = 1; n <= 512; n = n < 73 ? n + 1 : n == 73 ? 255 : n + 257) {
            if (!shape.every_count && n > 2 && n != 17 && n != 512) continue;
            if (quick && !telling(n)) continue;
            machine.threads(static_cast<int>(n % 3) + 1);
            const Floats y = matrix.times(first_rows(n));
            const auto error = Matrix::error(reference, y);
            std::printf("{\"rows\": %zu, \"columns\": %zu, \"n\": %zu, \"error\": %.3e, \"typeError\": %.3e, "
                        "\"differentRows\": %zu, \"unlikeAlone\": %zu}\n",
                        rows, columns, n, error.ours, error.of_type, different_rows(y, expected(n), rows),
                        different_rows(y, alone, rows));
        }
        // One bad activation: its row shows it, the others stay as they were.
        for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity()}) {
            for (const size_t n : {1, 5, 33, 80}) {
                Floats input = first_rows(n);
                const size_t row = n / 2;
                input[row * columns + columns / 2] = bad;
                const Floats y = matrix.times(input);
                Floats others = y;
                std::copy_n(&expected(n)[row * rows], rows, &others[row * rows]);
                const size_t different = different_rows(others, expected(n), rows);
                std::printf("{\"rows\": %zu, \"columns\": %zu, \"n\": %zu, \"bad\": \"%f\", \"shown\": %s, "
                            "\"differentRows\": %zu}\n",
                            rows, columns, n, bad, all_nan(&y[row * rows], rows) ? "true" : "false", different);
            }
        }
    }
    const Matrix narrow(machine, type, 15, block, rng);
    std::printf("{\"rows\": 15, \"supported\": %s}\n", narrow.supported() ? "true" : "false");
}

// ---- attention

struct Heads {
    int dim, group, cache_heads;
};

class Cache {
  public:
    Cache(ggml_type type, Heads heads, int cells, std::mt19937& rng)
        : type_(type), heads_(heads), cells_(cells), row_(ggml_row_size(type, heads.dim)) {
        for (auto* side : {&k_, &v_}) {
            const Floats values = normal(rng, static_cast<size_t>(cells) * heads.cache_heads * heads.dim);
            side->resize(row_ * static_cast<size_t>(cells) * heads.cache_heads);
            ggml_quantize_chunk(type, values.data(), side->data(), 0, static_cast<int64_t>(cells) * heads.cache_heads,
                                heads.dim, nullptr);
        }
    }

    /** The same cells at the places `to`, in a larger cache whose other cells are infinite in dimension `bad` alone. */
    Cache spread(const std::vector<int>& to, int cells, int bad) const {
        constexpr int BLOCK_BYTES = 34; // of q8_0: a scale in front of 32 values, which makes all of them so
        const ggml_fp16_t infinity = ggml_fp32_to_fp16(INFINITY);
        const int at = type_ == GGML_TYPE_F16 ? bad * static_cast<int>(sizeof(infinity)) : bad / 32 * BLOCK_BYTES;
        Cache wide(*this);
        wide.cells_ = cells;
        const size_t bytes = row_ * heads_.cache_heads;
        for (auto side : {&Cache::k_, &Cache::v_}) {
            (wide.*side).assign(bytes * static_cast<size_t>(cells), 0);
            for (size_t row = 0; row < (wide.*side).size(); row += row_)
                std::memcpy(&(wide.*side)[row + static_cast<size_t>(at)], &infinity, sizeof(infinity));
            for (size_t i = 0; i < to.size(); ++i) {
                std::memcpy(&(wide.*side)[bytes * static_cast<size_t>(to[i])], &(this->*side)[bytes * i], bytes);
            }
        }
        return wide;
    }

    /** q: [n][heads][dim]; mask: [n][cells], 0 or −infinity; null for all visible. */
    Floats attend(const Machine& machine, const Floats& q, const Floats* mask) const {
        Context c;
        const int heads = heads_.group * heads_.cache_heads;
        const int64_t n = static_cast<int64_t>(q.size()) / (heads * heads_.dim);
        auto* queries = ggml_new_tensor_3d(c.context, GGML_TYPE_F32, heads_.dim, heads, n);
        auto* keys = ggml_new_tensor_3d(c.context, type_, heads_.dim, heads_.cache_heads, cells_);
        auto* values = ggml_new_tensor_3d(c.context, type_, heads_.dim, heads_.cache_heads, cells_);
        Inputs inputs = {{queries, q.data()}, {keys, k_.data()}, {values, v_.data()}};
        ggml_tensor* hidden = nullptr;
        std::vector<ggml_fp16_t> half;
        if (mask != nullptr) {
            hidden = ggml_new_tensor_2d(c.context, GGML_TYPE_F16, cells_, n);
            half.resize(mask->size());
            ggml_fp32_to_fp16_row(mask->data(), half.data(), static_cast<int64_t>(half.size()));
            inputs.emplace_back(hidden, half.data());
        }
        auto* op = ggml_flash_attn_ext(c.context, ggml_permute(c.context, queries, 0, 2, 1, 3),
                                       ggml_permute(c.context, keys, 0, 2, 1, 3),
                                       ggml_permute(c.context, values, 0, 2, 1, 3), hidden, scale(), 0.0f, 0.0f);
        return machine.compute(c.context, op, inputs);
    }

    /** Largest deviation from double precision. */
    double error(const Floats& q, const Floats* mask, const Floats& out) const {
        const Floats keys = floats(k_), values = floats(v_);
        const int heads = heads_.group * heads_.cache_heads, dim = heads_.dim;
        const size_t n = q.size() / static_cast<size_t>(heads * dim);
        double worst = 0;
        for (size_t t = 0; t < n; ++t) {
            for (int h = 0; h < heads; ++h) {
                std::vector<double> weights(static_cast<size_t>(cells_));
                const float* query = &q[(t * heads + h) * dim];
                double top = -INFINITY, total = 0;
                for (int cell = 0; cell < cells_; ++cell) {
                    const float* key = &keys[static_cast<size_t>(cell * heads_.cache_heads + h / heads_.group) * dim];
                    double s = 0;
                    for (int d = 0; d < dim; ++d)
                        s += static_cast<double>(query[d]) * key[d];
                    weights[cell] = s * scale() + (mask != nullptr ? (*mask)[t * cells_ + cell] : 0.0f);
                    top = std::max(top, weights[cell]);
                }
                for (double& w : weights)
                    total += w = std::exp(w - top);
                for (int d = 0; d < dim; ++d) {
                    double sum = 0;
                    for (int cell = 0; cell < cells_; ++cell) {
                        sum += weights[cell] *
                               values[static_cast<size_t>(cell * heads_.cache_heads + h / heads_.group) * dim + d];
                    }
                    worst = std::max(worst, std::fabs(sum / total - out[(t * heads + h) * dim + d]));
                }
            }
        }
        return worst;
    }

  private:
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(heads_.dim)); }
    Floats floats(const std::vector<char>& side) const {
        Floats out(static_cast<size_t>(cells_) * heads_.cache_heads * heads_.dim);
        ggml_get_type_traits(type_)->to_float(side.data(), out.data(), static_cast<int64_t>(out.size()));
        return out;
    }

    ggml_type type_;
    Heads heads_;
    int cells_;
    size_t row_;
    std::vector<char> k_, v_;
};

void check_attention(Machine& machine, ggml_type type, bool quick) {
    std::mt19937 rng(2);
    const Heads all_heads[] = {{64, 3, 3}, {64, 1, 2}, {80, 2, 2}, {96, 4, 1}, {128, 6, 2}, {256, 8, 1}};
    for (const auto& heads : all_heads) {
        if (heads.dim % ggml_blck_size(type) != 0) continue;
        for (const int cells : {16, 272, 1024}) {
            const Cache cache(type, heads, cells, rng);
            const size_t width = static_cast<size_t>(heads.group) * heads.cache_heads * heads.dim;
            for (const int n : {1, 2, 3, 4, 5, 8, 16, 17, 33, 72, 73, 90, 200}) {
                if (n > cells || (n > 90 && heads.dim != 64)) continue;
                if (quick && (cells > 272 || n == 3 || n == 33 || n == 73)) continue;
                // Random trees: a row sees all cells before the batch's own and some of those, always itself.
                Floats mask(static_cast<size_t>(n) * cells, -INFINITY);
                for (int t = 0; t < n; ++t) {
                    for (int cell = 0; cell <= cells - n + t; ++cell) {
                        const bool visible = cell < cells - n || cell == cells - n + t || rng() % 3 != 0;
                        if (visible) mask[static_cast<size_t>(t) * cells + cell] = 0.0f;
                    }
                }
                const Floats q = normal(rng, static_cast<size_t>(n) * width);
                machine.threads(n % 3 + 1);
                const Floats out = cache.attend(machine, q, &mask), open = cache.attend(machine, q, nullptr);
                // Hidden cells that are not finite between the visible ones change nothing.
                std::vector<int> to;
                for (int cell = 0, place = 0; cell < cells; ++cell, ++place) {
                    while (rng() % 4 == 0)
                        ++place;
                    to.push_back(place);
                }
                const int more = (to.back() + 256) / 256 * 256;
                const Cache wide = cache.spread(to, more, static_cast<int>(rng() % static_cast<unsigned>(heads.dim)));
                Floats wide_mask(static_cast<size_t>(n) * more, -INFINITY);
                for (int t = 0; t < n; ++t) {
                    for (int cell = 0; cell < cells; ++cell) {
                        wide_mask[static_cast<size_t>(t) * more + to[cell]] =
                            mask[static_cast<size_t>(t) * cells + cell];
                    }
                }
                const Floats spread = wide.attend(machine, q, &wide_mask);
                machine.threads(2);
                // The same rows in other batches: each alone, or a prompt's in two shorter prompts.
                const auto in_batches = [&](int size) {
                    Floats rows(out.size());
                    for (int done = 0; done < n;) {
                        const int first = std::min(done, n - size);
                        const Floats part(&q[first * width], &q[first * width] + size * width);
                        const Floats part_mask(&mask[static_cast<size_t>(first) * cells],
                                               &mask[static_cast<size_t>(first) * cells] +
                                                   static_cast<size_t>(size) * cells);
                        const Floats result = cache.attend(machine, part, &part_mask);
                        std::copy(result.begin(), result.end(), &rows[first * width]);
                        done = first + size;
                    }
                    return rows;
                };
                const Floats alone = in_batches(1);
                const int prompt = std::max(static_cast<int>(MOST_ROWS) + 1, n / 2);
                const size_t different =
                    different_rows(out, n > static_cast<int>(MOST_ROWS) ? in_batches(prompt) : alone, width);
                double spread_error = 0;
                for (size_t i = 0; i < out.size(); ++i)
                    spread_error = std::max(spread_error, std::fabs(static_cast<double>(out[i]) - spread[i]));
                std::printf(
                    "{\"dim\": %d, \"group\": %d, \"cells\": %d, \"n\": %d, \"error\": %.3e, \"openError\": %.3e, "
                    "\"differentRows\": %zu, \"unlikeAlone\": %zu, \"sameSpread\": %s, \"spreadError\": %.3e}\n",
                    heads.dim, heads.group, cells, n, cache.error(q, &mask, out), cache.error(q, nullptr, open),
                    different, different_rows(out, alone, width),
                    same_bits(out.data(), spread.data(), out.size()) ? "true" : "false",
                    std::isfinite(spread_error) ? spread_error : 1e30);
            }
        }
    }
}

void check_fill(Machine& machine) {
    for (const int64_t count : {int64_t{1}, int64_t{33}, int64_t{7 * 49152 + 5}}) {
        for (const float value : {-INFINITY, 1.5f}) {
            machine.threads(static_cast<int>(count % 3) + 1);
            Context c;
            // Rows of one element, as a scatter by token ids wants them.
            auto* shape = ggml_new_tensor_3d(c.context, GGML_TYPE_F32, 1, count, 1);
            const Floats zeros(static_cast<size_t>(count), 0.0f);
            const Floats out = machine.compute(c.context, ggml_fill(c.context, shape, value), {{shape, zeros.data()}});
            int64_t different = count - static_cast<int64_t>(out.size());
            for (const float each : out)
                different += each == value ? 0 : 1;
            std::printf("{\"count\": %lld, \"different\": %lld}\n", static_cast<long long>(count),
                        static_cast<long long>(different));
        }
    }
}

ggml_type type_named(const std::string& name) {
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (ggml_type_name(type) != nullptr && name == ggml_type_name(type)) return type;
    }
    fail("no type " + name);
}

void list_kernels(const char* library) {
    auto* handle = dlopen(library, RTLD_NOW);
    if (handle == nullptr) fail(dlerror());
    auto* name = reinterpret_cast<const char* (*)(size_t)>(dlsym(handle, "specdiff_usable_kernels"));
    if (name == nullptr) fail("not a library of ours");
    for (size_t i = 0; name(i) != nullptr; ++i)
        std::puts(name(i));
}

} // namespace

int main(int argc, char** argv) {
    const bool quick = argc == 5 && std::strcmp(argv[4], "quick") == 0;
    if (argc == 3 && std::strcmp(argv[2], "kernels") == 0) {
        list_kernels(argv[1]);
        return 0;
    }
    const bool fill = argc == 3 && std::strcmp(argv[2], "fill") == 0;
    if (argc != 4 && !quick && !fill)
        fail("kernel_check LIBRARY kernels|fill | LIBRARY|TABLE matrix|attention TYPE [quick]");
    ggml_log_set(
        [](ggml_log_level level, const char* text, void*) {
            if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
        },
        nullptr);
    const auto machine = open_machine(argv[1]);
    if (fill)
        check_fill(*machine);
    else if (std::strcmp(argv[2], "matrix") == 0)
        check_matrix(*machine, type_named(argv[3]), quick);
    else
        check_attention(*machine, type_named(argv[3]), quick);
    const auto report = machine->report();
    if (!report.empty()) std::printf("%s\n", report.c_str());
    return 0;
}
