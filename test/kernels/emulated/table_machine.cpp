// The product's own operations (matrix_op.cpp, attention_op.cpp) on one kernel table, with threads of their own instead
// of llama.cpp's pool, so that the table may be one that this CPU doesn't run.
#include "../machine.h"
#include "instruction.h"

#include "amx/permission.h"
#include "amx/table.h"
#include "attention_op.h"
#include "avx2/table.h"
#include "avx512/table.h"
#include "graph_hooks.h"
#include "kernel_table.h"
#include "matrix_op.h"
#include "repack.h"

#include <ggml-cpu-impl.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

// What the operations call of llama.cpp's pool.
struct ggml_threadpool {
    explicit ggml_threadpool(int count) : threads(count) {}
    const int threads;
    std::atomic<int> chunk{0}, piece{0};
    std::mutex mutex;
    std::condition_variable all_here;
    int waiting = 0, round = 0;
};

void ggml_barrier(ggml_threadpool* pool) {
    std::unique_lock<std::mutex> lock(pool->mutex);
    const int round = pool->round;
    if (++pool->waiting == pool->threads) {
        pool->waiting = 0;
        pool->piece = 0;
        ++pool->round;
        pool->all_here.notify_all();
    } else {
        pool->all_here.wait(lock, [&] { return pool->round != round; });
    }
}
void ggml_threadpool_chunk_set(ggml_threadpool* pool, int value) {
    pool->chunk = value;
}
int ggml_threadpool_chunk_add(ggml_threadpool* pool, int value) {
    return pool->chunk.fetch_add(value);
}
int specdiff_barriers(const ggml_threadpool* pool) {
    return pool->round;
}
int specdiff_next_piece(ggml_threadpool* pool, int /*barriers*/) {
    return pool->piece.fetch_add(1);
}

namespace {

using namespace specdiff::kernels;

const KernelTable& table_named(const std::string& name) {
    for (const auto* table : {&avx512::table(), &amx::table(), &avx2::table(), &avx2::vnni_table()}) {
        if (name == table->name) return *table;
    }
    fail("no table " + name);
}

std::shared_ptr<void> memory(size_t bytes) {
    return {std::aligned_alloc(64, (bytes + 63) / 64 * 64), std::free};
}

class TableMachine : public Machine {
  public:
    explicit TableMachine(const char* name) : kernels_(table_named(name)) {}

    void threads(int count) override { threads_ = count; }

    std::shared_ptr<void> hold(ggml_context* /*context*/, ggml_tensor* weights, const void* data) const override {
        auto owner = memory(panel_bytes(weights->type, weights->ne[1], weights->ne[0]));
        weights->data = owner.get();
        repack(weights->type, weights->ne[1], weights->ne[0], data, weights->data);
        return owner;
    }

    bool supports(const ggml_tensor* op) const override { return fits_panels(op->src[0]); }

    Floats compute(ggml_context* context, ggml_tensor* result, const Inputs& inputs) const override {
        std::vector<std::shared_ptr<void>> owners;
        for (auto* t = ggml_get_first_tensor(context); t != nullptr; t = ggml_get_next_tensor(context, t)) {
            if (t->view_src != nullptr) continue;
            owners.push_back(memory(ggml_nbytes(t)));
            t->data = owners.back().get();
        }
        for (auto* t = ggml_get_first_tensor(context); t != nullptr; t = ggml_get_next_tensor(context, t)) {
            if (t->view_src != nullptr) t->data = static_cast<char*>(t->view_src->data) + t->view_offs;
        }
        for (const auto& [tensor, data] : inputs)
            std::memcpy(tensor->data, data, ggml_nbytes(tensor));
        if (result->op == GGML_OP_MUL_MAT)
            multiply(result);
        else
            attend(result);
        const auto* out = static_cast<const float*>(result->data);
        note(out, ggml_nbytes(result));
        return {out, out + ggml_nelements(result)};
    }

    std::string report() const override {
        std::string names;
        for (const auto& name : emulated::Instruction::seen())
            names += (names.empty() ? "\"" : ", \"") + name + '"';
        char sum[17];
        std::snprintf(sum, sizeof(sum), "%016llx", static_cast<unsigned long long>(bits_));
        return "{\"emulated\": [" + names + "], \"bits\": \"" + sum + "\"}";
    }

  private:
    void multiply(ggml_tensor* op) const {
        const auto& kernels = kernels_.matrix[static_cast<size_t>(*layout_of(op->src[0]->type))];
        run(matrix_work_bytes(kernels, op, threads_),
            [&](const ggml_compute_params& params) { compute_matrices(kernels, &params, {{op}, 1}); });
    }

    void attend(ggml_tensor* op) const {
        if (!attention_is_ours(op)) fail("not an attention for our kernels");
        run(attention_work_bytes(kernels_, op, threads_),
            [&](const ggml_compute_params& params) { compute_attention(kernels_, &params, op); });
    }

    void run(size_t work_bytes, const std::function<void(const ggml_compute_params&)>& part) const {
        const auto work = memory(work_bytes);
        ggml_threadpool pool(threads_);
        std::vector<std::thread> others;
        const auto params = [&](int index) {
            ggml_compute_params p{};
            p.ith = index;
            p.nth = threads_;
            p.wsize = work_bytes;
            p.wdata = work.get();
            p.threadpool = &pool;
            return p;
        };
        for (int i = 1; i < threads_; ++i)
            others.emplace_back([&, i] { part(params(i)); });
        part(params(0));
        for (auto& thread : others)
            thread.join();
    }

    /** A sum over all results (FNV-1a), so that two tables, or emulation and hardware, can be compared bit for bit. */
    void note(const void* data, size_t bytes) const {
        for (size_t i = 0; i < bytes / sizeof(uint32_t); ++i) {
            uint32_t word;
            std::memcpy(&word, static_cast<const char*>(data) + i * sizeof(word), sizeof(word));
            bits_ = (bits_ ^ word) * 0x100000001B3ULL;
        }
    }

    const KernelTable& kernels_;
    int threads_ = 1;
    mutable uint64_t bits_ = 0xCBF29CE484222325ULL;
};

} // namespace

std::unique_ptr<Machine> open_machine(const char* name) {
    amx::tiles_permitted(); // only the CPU's own tiles need it
    return std::make_unique<TableMachine>(name);
}
