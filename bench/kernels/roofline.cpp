// What the hardware allows and what the matrix kernels reach, on one core, as one line of JSON each:
//
//   roofline [REPETITIONS]
//
//   int8 peak        products of 8 bits a second from registers alone, with the instruction the kernels use
//   memory, cache    bytes a second read from 256 MB and from 8 MB
//   a layout and n   products a second of the kernel for n rows on ffn shapes (576 × 1536 and 1536 × 576 of the default
//                    model), and its share of the peak; n > 72 with the kernels for prompts, where there are some, and
//                    without a share: their products are of 16 bits
//
// Times are this thread's processor time, the least of many, so that other programs disturb little.
#include "cpu_features.h"
#include "kernel_table.h"

#include <immintrin.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace specdiff::kernels;

double seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double least_time(int repetitions, const std::function<void()>& work) {
    double least = 1e30;
    for (int i = 0; i < repetitions; ++i) {
        const double start = seconds();
        work();
        least = std::min(least, seconds() - start);
    }
    return least;
}

/** 8-bit products a second: twelve independent chains (AVX2: eight), the weights' and activations' registers unchanged.
 */
double int8_peak(int repetitions, bool vnni) {
    constexpr int STEPS = 20000;
    double time = 0;
    int products = 0;
    if (vnni) {
#ifdef __AVX512VNNI__
        time = least_time(repetitions, [] {
        // Written out: arrays of registers end up in memory here, at half the speed.
#define CHAIN(n) "vpdpbusd %%zmm31, %%zmm31, %%zmm" #n "\n"
            for (int i = 0; i < STEPS; ++i)
                __asm__ volatile(CHAIN(0) CHAIN(1) CHAIN(2) CHAIN(3) CHAIN(4) CHAIN(5) CHAIN(6) CHAIN(7) CHAIN(8)
                                     CHAIN(9) CHAIN(10) CHAIN(11)
                                 :
                                 :
                                 : "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9",
                                   "zmm10", "zmm11");
#undef CHAIN
        });
        products = 12 * 64;
#endif
    } else {
        time = least_time(repetitions, [] {
            __m256i b[8];
            const __m256i a = _mm256_set1_epi8(3);
            for (int i = 0; i < 8; ++i)
                b[i] = _mm256_set1_epi8(static_cast<char>(i));
            for (int i = 0; i < STEPS; ++i) {
#pragma GCC unroll 8
                for (auto& x : b) {
                    __m256i pairs;
                    __asm__ volatile("vpmaddubsw %2, %1, %0" : "=x"(pairs) : "x"(a), "x"(x));
                }
            }
        });
        products = 8 * 32;
    }
    return static_cast<double>(products) * STEPS / time;
}

double read_rate(int repetitions, size_t bytes) {
    std::vector<char> data(bytes, 1);
    volatile int keep = 0;
    const double time = least_time(std::max(3, repetitions / 10), [&] {
        __m256i sum[4] = {};
        for (size_t i = 0; i < bytes; i += 128) {
            for (int j = 0; j < 4; ++j) {
                const auto* from = reinterpret_cast<const __m256i*>(&data[i + 32 * static_cast<size_t>(j)]);
                sum[j] = _mm256_or_si256(sum[j], _mm256_loadu_si256(from));
            }
        }
        for (auto& s : sum)
            keep = keep + _mm256_extract_epi32(s, 0);
    });
    return static_cast<double>(bytes) / time;
}

constexpr const char* LAYOUTS[] = {"u4 (Q4_0)",           "u4_min (Q4_1, Q4_K)", "u5 (Q5_0)",
                                   "u5_min (Q5_1, Q5_K)", "u6 (Q6_K)",           "u8 (Q8_0)"};

/** Panels of so many blocks altogether, and room behind them for what is fetched ahead. */
std::vector<char> random_weights(const MatrixKernels& kernels, int64_t blocks, std::mt19937& rng) {
    std::vector<char> weights(static_cast<size_t>(blocks) * kernels.panel_block_bytes + 4096);
    for (auto& byte : weights)
        byte = static_cast<char>(rng() & 0x3b); // scales stay small and finite
    return weights;
}

double products_per_second(const MatrixKernels& kernels, int n, int64_t columns, int64_t rows, int repetitions) {
    const int64_t blocks = columns / BLOCK, panels = rows / PANEL_ROWS;
    std::mt19937 rng(1);
    const auto weights = random_weights(kernels, panels * blocks, rng);
    std::vector<char> tile(static_cast<size_t>(blocks * n) * kernels.activation_block_bytes);
    std::vector<float> x(BLOCK);
    for (int64_t i = 0; i < blocks * n; ++i) {
        for (float& value : x)
            value = static_cast<float>(rng() % 100) - 50;
        kernels.quantize(x.data(), &tile[static_cast<size_t>(i) * kernels.activation_block_bytes]);
    }
    std::vector<float> out(static_cast<size_t>(n * rows));
    const double time = least_time(repetitions, [&] {
        for (int64_t panel = 0; panel < panels; ++panel) {
            const auto* from = &weights[static_cast<size_t>(panel * blocks) * kernels.panel_block_bytes];
            kernels.multiply[n - 1](from, blocks, tile.data(), &out[static_cast<size_t>(panel) * PANEL_ROWS],
                                    static_cast<size_t>(rows), from);
        }
    });
    return static_cast<double>(columns * rows * n) / time;
}

/** As above with the kernels for prompts, packing of the activations included. */
double prompt_products_per_second(const MatrixKernels& kernels, int n, int64_t columns, int64_t rows, int repetitions) {
    const auto aligned = [](size_t bytes) {
        return std::unique_ptr<char, decltype(&std::free)>(
            static_cast<char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)), std::free);
    };
    const int64_t blocks = columns / BLOCK, panels = rows / PANEL_ROWS;
    std::mt19937 rng(1);
    const auto weights = random_weights(kernels, panels * blocks, rng);
    std::vector<float> x(static_cast<size_t>(columns * n));
    for (float& value : x)
        value = static_cast<float>(rng() % 100) - 50;
    const auto packed = aligned(kernels.prompt->packed_bytes(n, blocks)),
               scratch = aligned(kernels.prompt->scratch_bytes);
    std::vector<float> out(static_cast<size_t>(n * rows));
    const double time = least_time(repetitions, [&] {
        for (int64_t row = 0; row < n; ++row)
            kernels.prompt->pack(&x[static_cast<size_t>(row * columns)], blocks, row, packed.get());
        kernels.prompt->multiply(weights.data(), panels, blocks, packed.get(), n, out.data(), static_cast<size_t>(rows),
                                 scratch.get());
    });
    return static_cast<double>(columns * rows * n) / time;
}

} // namespace

int main(int argc, char** argv) {
    const int repetitions = argc > 1 ? std::atoi(argv[1]) : 200;
    const KernelTable* table = kernels();
    if (table == nullptr) {
        std::fprintf(stderr, "There are no kernels for this CPU.\n");
        return 1;
    }
    const std::string name = table->name;
    const bool vnni = name.find("vnni") != std::string::npos || name == "amx";
    const double peak = int8_peak(repetitions, vnni);
    std::printf("{\"kernels\": \"%s\", \"what\": \"int8 peak\", \"gmacs\": %.1f}\n", table->name, peak / 1e9);
    std::printf("{\"what\": \"memory\", \"gb_per_s\": %.1f}\n", read_rate(repetitions, size_t{256} << 20) / 1e9);
    std::printf("{\"what\": \"cache\", \"gb_per_s\": %.1f}\n", read_rate(repetitions, size_t{8} << 20) / 1e9);
    for (int layout = 0; layout < 6; ++layout) {
        const auto& kernels = table->matrix[layout];
        for (const int n : {1, 2, 3, 4, 5, 8, 12, 16}) {
            const double up = products_per_second(kernels, n, 576, 1536, repetitions),
                         down = products_per_second(kernels, n, 1536, 576, repetitions);
            std::printf("{\"what\": \"%s\", \"n\": %d, \"up_gmacs\": %.1f, \"down_gmacs\": %.1f, \"share\": %.3f, "
                        "\"weights_gb_per_s\": %.1f}\n",
                        LAYOUTS[layout], n, up / 1e9, down / 1e9, 2 / (1 / up + 1 / down) / peak,
                        up / n * static_cast<double>(kernels.panel_block_bytes) / (PANEL_ROWS * BLOCK) / 1e9);
            std::fflush(stdout);
        }
        if (kernels.prompt == nullptr) continue;
        for (const int n : {80, 256, 512}) {
            std::printf("{\"what\": \"%s\", \"n\": %d, \"up_gmacs\": %.1f, \"down_gmacs\": %.1f}\n", LAYOUTS[layout], n,
                        prompt_products_per_second(kernels, n, 576, 1536, repetitions) / 1e9,
                        prompt_products_per_second(kernels, n, 1536, 576, repetitions) / 1e9);
            std::fflush(stdout);
        }
    }
    return 0;
}
