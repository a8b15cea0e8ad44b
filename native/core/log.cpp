#include "log.h"

#include <ggml.h>
#include <llama.h>

#include <mutex>
#include <utility>

namespace specdiff {

namespace {

std::mutex sink_mutex;
LogSink current_sink;
thread_local LogCapture* capture = nullptr;

LogLevel level_of(ggml_log_level level, LogLevel previous) {
    switch (level) {
    case GGML_LOG_LEVEL_CONT:
        return previous;
    case GGML_LOG_LEVEL_ERROR:
        return LogLevel::error;
    case GGML_LOG_LEVEL_WARN:
        return LogLevel::warning;
    default:
        // llama.cpp's info lines describe every tensor and key: detail to us.
        return LogLevel::debug;
    }
}

/** llama.cpp logs pieces of lines; a thread's pieces belong together. */
void on_library_log(ggml_log_level level, const char* text, void* /*user_data*/) {
    thread_local std::string pending;
    thread_local LogLevel pending_level = LogLevel::debug;
    if (level != GGML_LOG_LEVEL_CONT) pending_level = level_of(level, pending_level);
    pending += text;
    for (auto end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
        const std::string line = pending.substr(0, end);
        pending.erase(0, end + 1);
        if (line.empty() || line == ".") continue;
        if (capture != nullptr && pending_level >= LogLevel::error) capture->add(line);
        log(pending_level, line);
    }
}

void on_abort(const char* message) {
    log(LogLevel::error, std::string("llama.cpp aborts: ") + message);
}

} // namespace

void set_log_sink(LogSink sink) {
    const std::lock_guard<std::mutex> lock(sink_mutex);
    current_sink = std::move(sink);
    llama_log_set(on_library_log, nullptr);
    ggml_set_abort_callback(on_abort);
}

void log(LogLevel level, const std::string& text) {
    const std::lock_guard<std::mutex> lock(sink_mutex);
    if (current_sink) current_sink(level, text);
}

LogCapture::LogCapture() : outer_(capture) {
    capture = this;
}

LogCapture::~LogCapture() {
    capture = outer_;
}

std::string LogCapture::reason() const {
    if (lines_.empty()) return "llama.cpp gave no reason";
    const std::string& line = lines_.front();
    const auto colon = line.find(": ");
    const bool named = colon != std::string::npos && line.find(' ') == colon + 1;
    return named ? line.substr(colon + 2) : line;
}

} // namespace specdiff
