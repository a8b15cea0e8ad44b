#pragma once

#include <functional>
#include <string>
#include <vector>

namespace specdiff {

enum class LogLevel { debug, info, warning, error };

/** Called from any thread, one whole line at a time. */
using LogSink = std::function<void(LogLevel, const std::string&)>;

/** Routes our own lines and llama.cpp's and ggml's to `sink`; an empty sink drops them. */
void set_log_sink(LogSink sink);

void log(LogLevel level, const std::string& text);

/** Collects the errors that llama.cpp logs on this thread while it lives: the reason behind a null pointer. */
class LogCapture {
  public:
    LogCapture();
    ~LogCapture();
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;

    void add(const std::string& line) { lines_.push_back(line); }
    /** The first error, which names the cause, without the name of llama.cpp's function. */
    std::string reason() const;

  private:
    LogCapture* outer_;
    std::vector<std::string> lines_;
};

} // namespace specdiff
