// Which instructions were emulated: each notes itself when it first runs.
#pragma once

#include <atomic>
#include <set>
#include <string>

namespace emulated {

class Instruction {
  public:
    constexpr explicit Instruction(const char* name) : name_(name) {}
    void runs() {
        if (__builtin_expect(seen_.load(std::memory_order_relaxed), 1)) return;
        if (seen_.exchange(true)) return;
        next_ = first_.load();
        while (!first_.compare_exchange_weak(next_, this)) {
        }
    }

    /** Names of all that ran. */
    static std::set<std::string> seen() {
        std::set<std::string> names;
        for (const auto* i = first_.load(); i != nullptr; i = i->next_)
            names.insert(i->name_);
        return names;
    }

  private:
    const char* name_;
    std::atomic<bool> seen_{false};
    Instruction* next_ = nullptr;
    inline static std::atomic<Instruction*> first_{nullptr};
};

} // namespace emulated

/** First statement of an emulated instruction. */
#define EMULATES(name)                                                                                                 \
    static ::emulated::Instruction instruction_{name};                                                                 \
    instruction_.runs()
/** A call each: inlined, they take the compiler minutes. */
#define EMULATED inline __attribute__((noinline))
