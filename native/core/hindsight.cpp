#include "hindsight.h"

#include <utility>

namespace specdiff {

void Hindsight::foresee(const std::string& source, int outlook, std::vector<int32_t> tokens) {
    if (!tokens.empty()) open_.push_back({source, outlook, std::move(tokens), 0});
}

void Hindsight::emitted(int32_t token, bool greedy, Survival& survival) {
    std::vector<Guess> rest;
    for (auto& guess : open_) {
        const bool right = guess.tokens[guess.right] == token;
        survival.learn({guess.source, guess.outlook, static_cast<int>(guess.right)}, greedy, right);
        if (right && ++guess.right < guess.tokens.size()) rest.push_back(std::move(guess));
    }
    open_ = std::move(rest);
}

} // namespace specdiff
