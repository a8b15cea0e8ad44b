#pragma once

#include "core_waits.h"
#include "thread_governor.h"

struct llama_batch;
struct llama_context;
struct ggml_backend;
struct ggml_backend_sched;
struct ggml_cgraph;
struct ggml_threadpool;

namespace specdiff {

/** Physical cores that this process may use: CPU affinity, hyper-threads and cgroup limits respected; at least 1. */
int available_cores();

/** A persistent pool of compute threads, shared by contexts that never decode at the same time. */
class ThreadPool {
  public:
    /** 0 takes available_cores(), and fewer while other processes want them, or one beside a GPU; any other number is
     * kept to. */
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return threads_; }
    void attach(llama_context* context) const;
    void attach(ggml_backend* cpu) const;
    /** llama_decode, finished, on as many threads as pay now. */
    int decode(llama_context* context, const llama_batch& batch);
    /** A graph of our own, in the same way; ggml's status. `cpu`: the scheduler's CPU backend. */
    int compute(ggml_backend_sched* scheduler, ggml_backend* cpu, ggml_cgraph* graph);
    /** One that the CPU backend computes alone. */
    int compute(ggml_backend* cpu, ggml_cgraph* graph);

  private:
    template <typename Work> int timed(Work&& work);

    bool adaptive_;
    int threads_;
    ThreadGovernor governor_;
    CoreWaits waits_;
    ggml_threadpool* pool_ = nullptr;
    void (*release_)(ggml_threadpool*) = nullptr;
    void (*set_threads_)(ggml_backend*, int) = nullptr;
    void (*set_pool_)(ggml_backend*, ggml_threadpool*) = nullptr;
};

} // namespace specdiff
