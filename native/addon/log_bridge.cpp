#include "log_bridge.h"

#include "../core/log.h"

#include <memory>
#include <string>
#include <utility>

namespace specdiff::addon {

namespace {

struct Line {
    LogLevel level;
    std::string text;
};

const char* name_of(LogLevel level) {
    switch (level) {
    case LogLevel::error:
        return "error";
    case LogLevel::warning:
        return "warning";
    case LogLevel::info:
        return "info";
    case LogLevel::debug:
        break;
    }
    return "debug";
}

void deliver(Napi::Env env, Napi::Function on_log, Line* raw) {
    const std::unique_ptr<Line> line(raw);
    if (env == nullptr) return;
    on_log.Call({Napi::String::New(env, name_of(line->level)), Napi::String::New(env, line->text)});
}

} // namespace

void bridge_log(Napi::Env env, const Napi::Function& on_log) {
    auto bridge = Napi::ThreadSafeFunction::New(env, on_log, "specdiff.log", 0, 1);
    bridge.Unref(env);
    set_log_sink([bridge](LogLevel level, const std::string& text) {
        auto line = std::make_unique<Line>(Line{level, text});
        if (bridge.NonBlockingCall(line.get(), deliver) == napi_ok)
            line.release(); // NOLINT(bugprone-unused-return-value)
    });
    env.AddCleanupHook([bridge]() mutable {
        set_log_sink({});
        bridge.Release();
    });
}

} // namespace specdiff::addon
