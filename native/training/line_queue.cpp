#include "line_queue.h"

#include <condition_variable>
#include <deque>
#include <iostream>
#include <mutex>
#include <thread>
#include <utility>

namespace specdiff::training {

struct LineQueue::Lines {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::string> waiting;
    bool ended = false;
};

LineQueue::LineQueue() : lines_(std::make_shared<Lines>()) {
    std::thread([lines = lines_] { read(*lines); }).detach();
}

void LineQueue::read(Lines& lines) {
    for (std::string line; std::getline(std::cin, line);) {
        const std::lock_guard<std::mutex> lock(lines.mutex);
        lines.waiting.push_back(std::move(line));
        lines.changed.notify_one();
    }
    const std::lock_guard<std::mutex> lock(lines.mutex);
    lines.ended = true;
    lines.changed.notify_one();
}

std::optional<std::string> LineQueue::next(bool wait) {
    std::unique_lock<std::mutex> lock(lines_->mutex);
    if (wait) lines_->changed.wait(lock, [this] { return !lines_->waiting.empty() || lines_->ended; });
    if (lines_->waiting.empty()) return std::nullopt;
    std::string line = std::move(lines_->waiting.front());
    lines_->waiting.pop_front();
    return line;
}

} // namespace specdiff::training
