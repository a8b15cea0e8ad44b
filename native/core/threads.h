#pragma once

struct llama_context;
struct ggml_threadpool;

namespace specdiff {

/** Physical cores that this process may use: CPU affinity, hyper-threads and cgroup limits respected; at least 1. */
int available_cores();

/** A persistent pool of compute threads, shared by contexts that never decode at the same time. */
class ThreadPool {
  public:
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return threads_; }
    void attach(llama_context* context) const;

  private:
    int threads_;
    ggml_threadpool* pool_ = nullptr;
};

} // namespace specdiff
