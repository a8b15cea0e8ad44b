#include "core_waits.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#ifdef __linux__
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#elif !defined(_WIN32)
#include <sys/resource.h>
#endif

namespace specdiff {

#ifdef __linux__

namespace {

/** One thread's count of nanoseconds in the run queue. The open file stays that thread's. */
class Schedstat {
  public:
    explicit Schedstat(const std::string& path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) { waited_ms(); }
    ~Schedstat() {
        if (file_ >= 0) close(file_);
    }
    Schedstat(Schedstat&& other) noexcept : file_(std::exchange(other.file_, -1)), last_(other.last_) {}
    Schedstat(const Schedstat&) = delete;
    Schedstat& operator=(const Schedstat&) = delete;
    Schedstat& operator=(Schedstat&&) = delete;

    /** Since the last call; 0 where the kernel doesn't count or the thread has ended. */
    double waited_ms() {
        // "RUNNING WAITING SLICES", two of them nanoseconds.
        char text[96];
        const ssize_t length = file_ < 0 ? 0 : pread(file_, text, sizeof(text) - 1, 0);
        if (length <= 0) return 0;
        text[length] = '\0';
        char* rest = nullptr;
        std::strtoull(text, &rest, 10);
        const unsigned long long waited = std::strtoull(rest, nullptr, 10);
        return static_cast<double>(waited - std::exchange(last_, waited)) * 1e-6;
    }

  private:
    int file_;
    unsigned long long last_ = 0;
};

std::set<std::string> threads_of_process() {
    std::set<std::string> names;
    DIR* const folder = opendir("/proc/self/task");
    if (folder == nullptr) return names;
    while (const dirent* entry = readdir(folder)) {
        if (entry->d_name[0] != '.') names.insert(entry->d_name);
    }
    closedir(folder);
    return names;
}

} // namespace

struct CoreWaits::Watch {
    std::set<std::string> known = threads_of_process();
    std::vector<Schedstat> threads;
};

CoreWaits::CoreWaits() : watch_(std::make_unique<Watch>()) {}

void CoreWaits::watch_new_threads() {
    for (const auto& name : threads_of_process()) {
        if (watch_->known.insert(name).second) watch_->threads.emplace_back("/proc/self/task/" + name + "/schedstat");
    }
}

double CoreWaits::longest_ms() {
    thread_local Schedstat caller("/proc/thread-self/schedstat");
    double longest = caller.waited_ms();
    for (auto& thread : watch_->threads)
        longest = std::max(longest, thread.waited_ms());
    return longest;
}

#else

struct CoreWaits::Watch {
    long switches = 0;
};

CoreWaits::CoreWaits() : watch_(std::make_unique<Watch>()) {}

void CoreWaits::watch_new_threads() {}

double CoreWaits::longest_ms() {
#ifdef _WIN32
    return 0; // not told there: every thread is kept
#else
    /** What one switch costs at least where a busy process is beside us. */
    constexpr double SWITCH_MS = 1.25;
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return SWITCH_MS * static_cast<double>(usage.ru_nivcsw - std::exchange(watch_->switches, usage.ru_nivcsw));
#endif
}

#endif

CoreWaits::~CoreWaits() = default;

} // namespace specdiff
