#include "outlook.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

namespace specdiff::outlook {

namespace {

constexpr std::array<double, 7> MARGINS = {0.25, 0.5, 1, 1.5, 2, 3, 5};
/** Turns of phrase come behind the matches. */
constexpr int PHRASES = 8;
constexpr int STEPS = static_cast<int>(MARGINS.size()) + 1;

/** A class that nobody knows. */
constexpr double UNKNOWN = 0.4;
/** A drawn token is accepted less often than the best one. */
constexpr double SAMPLED = 0.85;

const std::map<std::string, std::vector<double>>& priors() {
    static const std::map<std::string, std::vector<double>> all = {
        {NGRAM, {0, 0.3, 0.45, 0.55, 0.65, 0.8, 0.9, 0.93, 0.25, 0.3, 0.25, 0.35, 0.25, 0.5, 0.25, 0.5}},
        {NGRAM_BEYOND, {0, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.3, 0.4, 0.4, 0.5, 0.5, 0.6, 0.5, 0.7}},
        {SEDD, {0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65}},
        {MDLM, {0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65}},
        {SEDD_EARLY, {0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65}},
        {MDLM_EARLY, {0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65}},
        {CAUSAL, {0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.93}},
    };
    return all;
}

} // namespace

int of_match(const Lookup::Match& match, int streak) {
    if (match.phrase) return PHRASES + 2 * (match.length - 1) + (match.sure ? 1 : 0);
    if (match.length < 4) return match.length;
    if (match.length < 8) return 4;
    return 5 + std::clamp(streak, 0, 2);
}

int of_slot(double margin) {
    int step = 0;
    while (step + 1 < STEPS && margin >= MARGINS[static_cast<size_t>(step)])
        ++step;
    return step;
}

int of_chance(double chance) {
    return std::clamp(static_cast<int>(10 * chance), 0, 9);
}

double sampled(double chance, bool greedy) {
    return greedy ? chance : SAMPLED * chance;
}

double prior(const std::string& source, int outlook, bool greedy) {
    const auto found = priors().find(source);
    const bool known = found != priors().end() && outlook >= 0 && static_cast<size_t>(outlook) < found->second.size();
    const double chance = known ? found->second[static_cast<size_t>(outlook)] : UNKNOWN;
    return sampled(chance, greedy);
}

} // namespace specdiff::outlook
