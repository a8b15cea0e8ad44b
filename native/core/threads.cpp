#include "threads.h"

#include "backend.h"
#include "clock.h"
#include "error.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace specdiff {

namespace {

/**
 * Polling level of waiting workers: 1 is about 2 ms of spinning after a graph, longer than the gap between two passes
 * of a generation and short enough that an idle engine takes no CPU time.
 */
constexpr uint32_t POLL_LEVEL = 1;

#ifdef __linux__

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

int physical_cores() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 0;
    std::set<std::string> cores;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        const std::string siblings =
            first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
        cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
    }
    return static_cast<int>(cores.size());
}

/** Quota ÷ period of one cgroup v2 folder; infinity without a limit. */
double quota_of(const std::string& folder) {
    std::ifstream file(folder + "/cpu.max");
    std::string quota;
    double period = 0;
    if (!(file >> quota >> period) || quota == "max" || period <= 0) return INFINITY;
    return std::strtod(quota.c_str(), nullptr) / period;
}

/** CPUs that the cgroup (v2, with all its parents, or v1) lets us use; infinity without a limit. */
double cgroup_limit() {
    double limit = INFINITY;
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        if (line.compare(0, 3, "0::") != 0) continue;
        std::string group = line.substr(3);
        while (true) {
            limit = std::min(limit, quota_of("/sys/fs/cgroup" + group));
            const auto slash = group.rfind('/');
            if (slash == std::string::npos || group.size() <= 1) break;
            group.erase(slash == 0 ? 1 : slash);
        }
    }
    limit = std::min(limit, quota_of("/sys/fs/cgroup"));
    const std::string quota = first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    const std::string period = first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!quota.empty() && !period.empty()) {
        const double value = std::strtod(quota.c_str(), nullptr);
        const double length = std::strtod(period.c_str(), nullptr);
        if (value > 0 && length > 0) limit = std::min(limit, value / length);
    }
    return limit;
}

#elif defined(__APPLE__)

int physical_cores() {
    for (const char* name : {"hw.perflevel0.physicalcpu", "hw.physicalcpu"}) {
        int count = 0;
        size_t size = sizeof(count);
        if (sysctlbyname(name, &count, &size, nullptr, 0) == 0 && count > 0) return count;
    }
    return 0;
}

double cgroup_limit() {
    return INFINITY;
}

#else

int physical_cores() {
    return 0;
}

double cgroup_limit() {
    return INFINITY;
}

#endif

void* cpu_function(const char* name) {
    auto* const device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) throw Error("No CPU backend is loaded: initialize the backends first.");
    return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name);
}

/** Where a GPU computes, the CPU looks up embeddings: with 16 threads a pass took 3 to 6 % longer (H200). */
int own_choice() {
    return gpu_computes() ? 1 : available_cores();
}

} // namespace

int available_cores() {
    int cores = physical_cores();
    if (cores <= 0) cores = static_cast<int>(std::thread::hardware_concurrency());
    const double limit = cgroup_limit();
    if (std::isfinite(limit)) cores = std::min(cores, static_cast<int>(std::ceil(limit)));
    return std::max(cores, 1);
}

ThreadPool::ThreadPool(int threads)
    : adaptive_(threads <= 0 && !gpu_computes()), threads_(threads > 0 ? threads : own_choice()), governor_(threads_) {
    using NewFunction = ggml_threadpool* (*)(ggml_threadpool_params*);
    auto* create = reinterpret_cast<NewFunction>(cpu_function("ggml_threadpool_new"));
    release_ = reinterpret_cast<void (*)(ggml_threadpool*)>(cpu_function("ggml_threadpool_free"));
    set_threads_ = reinterpret_cast<void (*)(ggml_backend*, int)>(cpu_function("ggml_backend_set_n_threads"));
    set_pool_ =
        reinterpret_cast<void (*)(ggml_backend*, ggml_threadpool*)>(cpu_function("ggml_backend_cpu_set_threadpool"));
    if (create == nullptr || release_ == nullptr) return; // llama.cpp then makes threads for each graph
    auto params = ggml_threadpool_params_default(threads_);
    params.poll = POLL_LEVEL;
    pool_ = create(&params);
    waits_.watch_new_threads();
}

ThreadPool::~ThreadPool() {
    if (pool_ != nullptr) release_(pool_);
}

void ThreadPool::attach(llama_context* context) const {
    if (pool_ != nullptr) llama_attach_threadpool(context, pool_, pool_);
}

void ThreadPool::attach(ggml_backend* cpu) const {
    if (pool_ != nullptr && set_pool_ != nullptr) set_pool_(cpu, pool_);
}

/** Does `work` on as many threads as pay now, and learns from how it went. */
template <typename Work> int ThreadPool::timed(Work&& work) {
    if (adaptive_) waits_.longest_ms(); // what was before the pass doesn't count
    const double start = now_ms();
    const int result = work(adaptive_ ? governor_.threads() : threads_);
    const double end = now_ms();
    if (adaptive_) governor_.observe(end - start, waits_.longest_ms(), end);
    return result;
}

int ThreadPool::decode(llama_context* context, const llama_batch& batch) {
    return timed([&](int threads) {
        llama_set_n_threads(context, threads, threads);
        const int result = llama_decode(context, batch);
        llama_synchronize(context);
        return result;
    });
}

int ThreadPool::compute(ggml_backend_sched* scheduler, ggml_backend* cpu, ggml_cgraph* graph) {
    return timed([&](int threads) {
        if (set_threads_ != nullptr) set_threads_(cpu, threads);
        return static_cast<int>(ggml_backend_sched_graph_compute(scheduler, graph));
    });
}

int ThreadPool::compute(ggml_backend* cpu, ggml_cgraph* graph) {
    return timed([&](int threads) {
        if (set_threads_ != nullptr) set_threads_(cpu, threads);
        return static_cast<int>(ggml_backend_graph_compute(cpu, graph));
    });
}

} // namespace specdiff
