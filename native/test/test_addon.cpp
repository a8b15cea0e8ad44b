// The core's parts for test/native: same code as the product, other doors.
#include "broken_rules.h"
#include "distribution.h"
#include "simulation.h"
#include "tap_bits.h"
#include "tree_bits.h"

#include "../addon/convert.h"
#include "../core/backend.h"
#include "../core/block_file.h"
#include "../core/controller.h"
#include "../core/core_waits.h"
#include "../core/denoising.h"
#include "../core/error.h"
#include "../core/gguf_file.h"
#include "../core/log.h"
#include "../core/lookup.h"
#include "../core/ngram_index.h"
#include "../core/outlook.h"
#include "../core/own_block_network.h"
#include "../core/place_chances.h"
#include "../core/row_floats.h"
#include "../core/sampler.h"
#include "../core/shortlist.h"
#include "../core/survival.h"
#include "../core/thread_governor.h"
#include "../core/threads.h"
#include "../core/tree_growth.h"

#include <ggml.h>
#include <napi.h>

#include <atomic>
#include <exception>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

namespace specdiff::test {

namespace {

template <typename Work> auto guarded(Napi::Env env, Work&& work) {
    try {
        return work();
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::exception& error) {
        throw Napi::Error::New(env, error.what());
    }
}

int integer(const Napi::Object& object, const char* name) {
    return object.Get(name).As<Napi::Number>().Int32Value();
}

std::vector<float> floats(const Napi::Value& value) {
    if (!value.IsTypedArray()) return {};
    const auto array = value.As<Napi::Float32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<int32_t> integers(const Napi::Value& value) {
    if (!value.IsTypedArray()) return {};
    const auto array = value.As<Napi::Int32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

template <typename Array, typename Vector> Array typed(Napi::Env env, const Vector& values) {
    auto array = Array::New(env, values.size());
    for (size_t i = 0; i < values.size(); ++i)
        array[i] = values[i];
    return array;
}

/** {vocabulary, length, logits, q, job}; `job` only for its sampling settings */
Language language_of(const Napi::Object& options) {
    Language language;
    language.vocabulary = integer(options, "vocabulary");
    language.length = integer(options, "length");
    language.logits = floats(options.Get("logits"));
    language.sampling = addon::job(options.Get("job").As<Napi::Object>()).sampling;
    language.q = floats(options.Get("q"));
    return language;
}

/** distributions(language) → Float32Array */
Napi::Value distributions_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        return typed<Napi::Float32Array>(info.Env(), distributions(language_of(info[0].As<Napi::Object>())));
    });
}

/** simulate({…language, kind, tree, draftLength, rule, samples, seed}) → {counts, accepted} */
Napi::Value simulate_js(const Napi::CallbackInfo& info) {
    const auto options = info[0].As<Napi::Object>();
    return guarded(info.Env(), [&] {
        const DraftKind kind{options.Get("kind").As<Napi::String>(), options.Get("tree").ToBoolean(),
                             integer(options, "draftLength")};
        const auto rule = rule_named(options.Get("rule").As<Napi::String>());
        const auto simulated = simulate(language_of(options), kind, rule, integer(options, "samples"),
                                        static_cast<uint64_t>(integer(options, "seed")));
        auto result = Napi::Object::New(info.Env());
        result.Set("counts", typed<Napi::Uint32Array>(info.Env(), simulated.counts));
        result.Set("accepted", static_cast<double>(simulated.accepted));
        return result;
    });
}

template <typename Value> std::vector<Value> list(const Napi::Value& values, Value (*convert)(const Napi::Value&)) {
    const auto array = values.As<Napi::Array>();
    std::vector<Value> result;
    result.reserve(array.Length());
    for (uint32_t i = 0; i < array.Length(); ++i)
        result.push_back(convert(array.Get(i)));
    return result;
}

double number_of(const Napi::Value& value) {
    return value.As<Napi::Number>().DoubleValue();
}

Guess guess_of(const Napi::Value& value) {
    const auto pair = value.As<Napi::Array>();
    return {pair.Get(0U).As<Napi::Number>().Int32Value(), number_of(pair.Get(1U)), {}, false};
}

/** grow(after, depth, nodes) → {chances, tokens, parents}; after(path) → [[token, chance]] */
Napi::Value grow_js(const Napi::CallbackInfo& info) {
    const auto after = [&](const std::vector<int32_t>& path) {
        const auto guesses = info[0].As<Napi::Function>().Call({addon::to_js(info.Env(), path)});
        return list<Guess>(guesses, guess_of);
    };
    const auto growth = grow(after, static_cast<int>(number_of(info[1])), static_cast<int>(number_of(info[2])));
    auto chances = Napi::Array::New(info.Env());
    auto tokens = Napi::Array::New(info.Env());
    auto parents = Napi::Array::New(info.Env());
    for (uint32_t i = 0; i < growth.nodes.size(); ++i) {
        chances.Set(i, growth.chances[i]);
        tokens.Set(i, growth.nodes[i].token);
        parents.Set(i, growth.nodes[i].parent);
    }
    auto result = Napi::Object::New(info.Env());
    result.Set("chances", chances);
    result.Set("tokens", tokens);
    result.Set("parents", parents);
    return result;
}

/** probabilities(logits, history, job) → Float32Array; `job` only for its sampling settings */
Napi::Value probabilities_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        const auto logits = floats(info[0]);
        Sampler sampler(addon::job(info[2].As<Napi::Object>()).sampling, static_cast<int>(logits.size()));
        std::vector<float> p;
        sampler.probabilities(logits.data(), integers(info[1]), p);
        return typed<Napi::Float32Array>(info.Env(), p);
    });
}

/** best(logits, history, job) → token */
Napi::Value best_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        const auto logits = floats(info[0]);
        Sampler sampler(addon::job(info[2].As<Napi::Object>()).sampling, static_cast<int>(logits.size()));
        return Napi::Number::New(info.Env(), sampler.best(logits.data(), integers(info[1])));
    });
}

/** lookup(tokens, longest, count) → {length, tokens}; -1 separates texts */
Napi::Value lookup_js(const Napi::CallbackInfo& info) {
    NgramIndex index;
    for (const auto token : integers(info[0]))
        index.append(token);
    const auto match = index.find(info[1].As<Napi::Number>().Int32Value());
    auto result = Napi::Object::New(info.Env());
    result.Set("length", match.length);
    result.Set("tokens", addon::to_js(info.Env(), index.copy(match, info[2].As<Napi::Number>().Int32Value())));
    return result;
}

/** phrase(texts, weight, tokens, longest, count, known) → {length, phrase, sure, tokens}: lookup in `tokens` and in
 * phrases learned from `texts`, -1 between them, on top of `known` ones (check, token, count, second count each). */
Napi::Value phrase_js(const Napi::CallbackInfo& info) {
    Lookup lookup;
    const auto known = integers(info[5]);
    std::vector<Phrases::Entry> entries;
    for (size_t i = 0; i + 3 < known.size(); i += 4) {
        entries.push_back({static_cast<uint32_t>(known[i]), known[i + 1], static_cast<uint16_t>(known[i + 2]),
                           static_cast<uint16_t>(known[i + 3])});
    }
    lookup.know(entries);
    lookup.learn(integers(info[0]), 0, info[1].As<Napi::Number>().Int32Value());
    lookup.start({}, integers(info[2]));
    const auto match = lookup.find(info[3].As<Napi::Number>().Int32Value());
    auto result = Napi::Object::New(info.Env());
    result.Set("length", match.length);
    result.Set("phrase", match.phrase);
    result.Set("sure", match.sure);
    result.Set("tokens", addon::to_js(info.Env(), lookup.copy(match, info[4].As<Napi::Number>().Int32Value())));
    return result;
}

/** denoise(logits, slots, options, samples, seed) → {tokens, steps}: of a network that gives the same rows [slots, V]
 * whatever is revealed; options {sampler, steps, temperature, drawnEarly, mask, vocabulary}. */
Napi::Value denoise_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        const auto values = floats(info[0]);
        const int slots = info[1].As<Napi::Number>().Int32Value();
        const auto wanted = info[2].As<Napi::Object>();
        const auto width = values.size() / static_cast<size_t>(slots);
        const SlotLogits logits{values.data(), width, static_cast<int>(width), integer(wanted, "mask")};
        DenoisingOptions options;
        options.sampler = denoising_sampler(wanted.Get("sampler").As<Napi::String>());
        options.steps = integer(wanted, "steps");
        options.temperature = number_of(wanted.Get("temperature"));
        options.drawn_early = wanted.Get("drawnEarly").ToBoolean();
        options.vocabulary = integer(wanted, "vocabulary");
        Rng rng(static_cast<uint64_t>(info[4].As<Napi::Number>().Int64Value()));
        std::vector<int32_t> tokens;
        std::vector<int32_t> steps;
        std::vector<float> q;
        for (int sample = 0; sample < info[3].As<Napi::Number>().Int32Value(); ++sample) {
            Denoising denoising(options, slots);
            for (; !denoising.last_step(); denoising.advance(logits, rng))
                denoising.look(logits);
            denoising.look(logits);
            for (int i = 0; i < slots; ++i) {
                const auto& slot = denoising.slots()[static_cast<size_t>(i)];
                if (slot.masked() && options.temperature > 0)
                    slot_distribution(logits, i, options.temperature, options.vocabulary, q);
                tokens.push_back(!slot.masked() ? slot.token : options.temperature > 0 ? draw(q, rng) : slot.view.best);
                steps.push_back(slot.masked() ? denoising.step() : slot.step);
            }
        }
        auto result = Napi::Object::New(info.Env());
        result.Set("tokens", addon::to_js(info.Env(), tokens));
        result.Set("steps", addon::to_js(info.Env(), steps));
        return result;
    });
}

/** revealChance(sampler, t, s) → number */
Napi::Value reveal_chance_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        const auto sampler = denoising_sampler(info[0].As<Napi::String>());
        return Napi::Number::New(info.Env(), reveal_chance(sampler, number_of(info[1]), number_of(info[2])));
    });
}

/** denoisingTimes(steps) → Float64Array */
Napi::Value denoising_times_js(const Napi::CallbackInfo& info) {
    return typed<Napi::Float64Array>(info.Env(), denoising_times(static_cast<int>(number_of(info[0]))));
}

/** The controller, fed by the test's own clock. */
class ControllerObject : public Napi::ObjectWrap<ControllerObject> {
  public:
    static Napi::Function define(Napi::Env env) {
        return DefineClass(
            env, "Controller",
            {InstanceMethod<&ControllerObject::next>("next"), InstanceMethod<&ControllerObject::foresee>("foresee"),
             InstanceMethod<&ControllerObject::slots>("slots"), InstanceMethod<&ControllerObject::cut>("cut"),
             InstanceMethod<&ControllerObject::nodes>("nodes"), InstanceMethod<&ControllerObject::filled>("filled"),
             InstanceMethod<&ControllerObject::observe>("observe"),
             InstanceMethod<&ControllerObject::calibrate>("calibrate"),
             InstanceMethod<&ControllerObject::calibrate_switch>("calibrateSwitch"),
             InstanceMethod<&ControllerObject::calibrate_lingering>("calibrateLingering"),
             InstanceMethod<&ControllerObject::expect>("expect"),
             InstanceMethod<&ControllerObject::begin_job>("beginJob"),
             InstanceMethod<&ControllerObject::end_job>("endJob"), InstanceMethod<&ControllerObject::cost>("cost"),
             InstanceMethod<&ControllerObject::plain_ms>("plainMs"), InstanceMethod<&ControllerObject::state>("state"),
             InstanceMethod<&ControllerObject::restore>("restore")});
    }
    explicit ControllerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ControllerObject>(info) {}

  private:
    static Candidate candidate(const Napi::Object& entry) {
        return {entry.Get("drafter").As<Napi::String>(),
                {integer(entry, "outlook"), integer(entry, "pendingRows")},
                integer(entry, "maxLength"),
                entry.Get("free").ToBoolean(),
                entry.Get("sequential").ToBoolean(),
                integer(entry, "steps")};
    }

    static Situation situation(const Napi::Object& entry) {
        return {entry.Get("plainAllowed").ToBoolean(), entry.Get("greedy").ToBoolean(), integer(entry, "context"),
                integer(entry, "lastRows"), entry.Has("treeRows") ? integer(entry, "treeRows") : 0};
    }

    static Slot slot(const std::string& source, int outlook, int position) { return {source, outlook, position}; }

    /** next([candidate], situation) → {candidate, length, reason, expectedTokens} */
    Napi::Value next(const Napi::CallbackInfo& info) {
        std::vector<Candidate> candidates;
        const auto array = info[0].As<Napi::Array>();
        candidates.reserve(array.Length());
        for (uint32_t i = 0; i < array.Length(); ++i)
            candidates.push_back(candidate(array.Get(i).As<Napi::Object>()));
        const Plan plan = controller_.next(candidates, situation(info[1].As<Napi::Object>()));
        auto result = Napi::Object::New(info.Env());
        result.Set("candidate", plan.candidate);
        result.Set("length", plan.length);
        result.Set("reason", name_of(plan.reason));
        result.Set("expectedTokens", plan.expected_tokens);
        return result;
    }

    /** slots(drafter, least, most) */
    Napi::Value slots(const Napi::CallbackInfo& info) {
        const auto least = static_cast<int>(number_of(info[1]));
        const auto most = static_cast<int>(number_of(info[2]));
        return Napi::Number::New(info.Env(), controller_.slots(info[0].As<Napi::String>(), least, most));
    }

    /** foresee(candidate, tokens) */
    Napi::Value foresee(const Napi::CallbackInfo& info) {
        controller_.foresee(candidate(info[0].As<Napi::Object>()), integers(info[1]));
        return info.Env().Undefined();
    }

    /** cut(drafter, outlooks of its slots, situation) → how many are worth their rows */
    Napi::Value cut(const Napi::CallbackInfo& info) {
        const std::string drafter = info[0].As<Napi::String>();
        std::vector<Slot> slots;
        for (const auto outlook : integers(info[1]))
            slots.push_back(slot(drafter, outlook, static_cast<int>(slots.size())));
        const Controller::Cut judge(controller_, situation(info[2].As<Napi::Object>()), drafter);
        return Napi::Number::New(info.Env(), judge.length(slots));
    }

    /** nodes(chances, situation) → how many of a tree's nodes are worth their rows */
    Napi::Value nodes(const Napi::CallbackInfo& info) {
        const Controller::Cut judge(controller_, situation(info[1].As<Napi::Object>()), {});
        return Napi::Number::New(info.Env(), judge.prefix(list<double>(info[0], number_of)).nodes);
    }

    /** filled(rows, situation) → rows of the pass */
    Napi::Value filled(const Napi::CallbackInfo& info) {
        const auto rows = static_cast<int>(number_of(info[0]));
        return Napi::Number::New(info.Env(), controller_.filled(rows, situation(info[1].As<Napi::Object>())));
    }

    /** observe({drafter, outlook, pendingRows, free, greedy, context, rows, accepted, draftMs, targetMs, emitted,
     * slots}) */
    Napi::Value observe(const Napi::CallbackInfo& info) {
        const auto pass = info[0].As<Napi::Object>();
        PassMeasure measure;
        measure.drafter = pass.Get("drafter").As<Napi::String>();
        measure.outlook = {integer(pass, "outlook"), integer(pass, "pendingRows")};
        measure.free = pass.Get("free").ToBoolean();
        measure.sequential = pass.Get("sequential").ToBoolean();
        measure.steps = integer(pass, "steps");
        measure.greedy = pass.Get("greedy").ToBoolean();
        measure.context = integer(pass, "context");
        measure.last_rows = integer(pass, "lastRows");
        measure.rows = integer(pass, "rows");
        measure.drafted = integer(pass, "drafted");
        measure.accepted = integer(pass, "accepted");
        measure.draft_ms = pass.Get("draftMs").As<Napi::Number>().DoubleValue();
        measure.target_ms = pass.Get("targetMs").As<Napi::Number>().DoubleValue();
        measure.emitted = integers(pass.Get("emitted"));
        for (const auto outlook : integers(pass.Get("slots"))) {
            const auto place = static_cast<int>(measure.tested.size());
            if (place > measure.accepted) break;
            measure.tested.push_back({slot(measure.drafter, outlook, place), place < measure.accepted});
        }
        controller_.observe(measure);
        return info.Env().Undefined();
    }

    /** calibrate(rows, ms) */
    Napi::Value calibrate(const Napi::CallbackInfo& info) {
        controller_.costs().calibrate(info[0].As<Napi::Number>().Int32Value(),
                                      info[1].As<Napi::Number>().DoubleValue());
        return info.Env().Undefined();
    }

    /** calibrateLingering([ms of passes of one row in a row]) */
    void calibrate_lingering(const Napi::CallbackInfo& info) {
        controller_.costs().calibrate_lingering(list<double>(info[0], number_of));
    }

    /** calibrateSwitch(ms, laterMs) */
    Napi::Value calibrate_switch(const Napi::CallbackInfo& info) {
        controller_.costs().calibrate_switch(number_of(info[0]), number_of(info[1]));
        return info.Env().Undefined();
    }

    /** expect(drafter, reached): chances that so many places are accepted */
    Napi::Value expect(const Napi::CallbackInfo& info) {
        const auto array = info[1].As<Napi::Float64Array>();
        controller_.expect(info[0].As<Napi::String>(), {array.Data(), array.Data() + array.ElementLength()});
        return info.Env().Undefined();
    }

    Napi::Value begin_job(const Napi::CallbackInfo& info) {
        controller_.begin_job();
        return info.Env().Undefined();
    }

    /** endJob(tokens) */
    Napi::Value end_job(const Napi::CallbackInfo& info) {
        controller_.end_job(info[0].As<Napi::Number>().Int32Value());
        return info.Env().Undefined();
    }

    /** cost(rows, context) → time in one-row passes */
    Napi::Value cost(const Napi::CallbackInfo& info) {
        return Napi::Number::New(info.Env(), controller_.costs().cost(info[0].As<Napi::Number>().Int32Value(),
                                                                      info[1].As<Napi::Number>().Int32Value()));
    }

    Napi::Value state(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), controller_.state()); }

    /** restore(state) → whether it could be read */
    Napi::Value restore(const Napi::CallbackInfo& info) {
        return Napi::Boolean::New(info.Env(), controller_.restore(info[0].As<Napi::String>()));
    }

    Napi::Value plain_ms(const Napi::CallbackInfo& info) {
        return Napi::Number::New(info.Env(), controller_.plain_ms());
    }

    Controller controller_;
};

/** The governor, fed by hand. */
class GovernorObject : public Napi::ObjectWrap<GovernorObject> {
  public:
    static Napi::Function define(Napi::Env env) {
        return DefineClass(
            env, "ThreadGovernor",
            {InstanceMethod<&GovernorObject::threads>("threads"), InstanceMethod<&GovernorObject::observe>("observe")});
    }
    /** new ThreadGovernor(most) */
    explicit GovernorObject(const Napi::CallbackInfo& info)
        : Napi::ObjectWrap<GovernorObject>(info), governor_(info[0].As<Napi::Number>().Int32Value()) {}

  private:
    Napi::Value threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), governor_.threads()); }

    /** observe(wallMs, waitedMs, nowMs) */
    Napi::Value observe(const Napi::CallbackInfo& info) {
        governor_.observe(info[0].As<Napi::Number>().DoubleValue(), info[1].As<Napi::Number>().DoubleValue(),
                          info[2].As<Napi::Number>().DoubleValue());
        return info.Env().Undefined();
    }

    ThreadGovernor governor_;
};

class CoreWaitsObject : public Napi::ObjectWrap<CoreWaitsObject> {
  public:
    static Napi::Function define(Napi::Env env) {
        return DefineClass(env, "CoreWaits", {InstanceMethod<&CoreWaitsObject::longest_ms>("longestMs")});
    }
    explicit CoreWaitsObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CoreWaitsObject>(info) {}

  private:
    Napi::Value longest_ms(const Napi::CallbackInfo& info) {
        return Napi::Number::New(info.Env(), waits_.longest_ms());
    }

    CoreWaits waits_;
};

/** placeGuesses(chances, tokens, gaps, place, copied, {matched, copied, phrase, known, count, secondCount}) →
 * [[token, chance, looked up]] */
Napi::Value place_guesses_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        const auto wanted = info[0].As<Napi::Object>();
        const auto numbers = [&](const char* name) { return list<double>(wanted.Get(name), number_of); };
        const PlaceChances chances{numbers("slope"),   numbers("rest"),          numbers("copied"),
                                   numbers("absent"),  numbers("matched"),       numbers("matchedCopied"),
                                   numbers("phrases"), numbers("phrasesCopied"), {}};
        TopFew slot;
        const auto tokens = integers(info[1]);
        const auto gaps = floats(info[2]);
        slot.count = static_cast<int>(tokens.size());
        std::copy(tokens.begin(), tokens.end(), slot.tokens.begin());
        std::copy(gaps.begin(), gaps.end(), slot.gaps.begin());
        const auto said = info[5].As<Napi::Object>();
        const Lookup::Evidence evidence{
            integer(said, "matched"),
            integer(said, "copied"),
            {integer(said, "known"), integer(said, "phrase"), integer(said, "count"), integer(said, "secondCount")}};
        const auto guesses = chances.guesses(slot, info[3].As<Napi::Number>().Int32Value(),
                                             info[4].As<Napi::Number>().Int32Value(), evidence);
        auto result = Napi::Array::New(info.Env());
        for (const auto& guess : guesses) {
            auto entry = Napi::Array::New(info.Env());
            entry.Set(0U, guess.token);
            entry.Set(1U, guess.chance);
            entry.Set(2U, guess.looked_up);
            result.Set(result.Length(), entry);
        }
        return result;
    });
}

/** Rows of a type times x. */
std::vector<float> times(const std::vector<uint8_t>& rows, ggml_type type, const std::vector<float>& x) {
    const size_t bytes = ggml_row_size(type, static_cast<int64_t>(x.size()));
    std::vector<float> row(x.size());
    std::vector<float> result;
    for (size_t at = 0; at < rows.size(); at += bytes) {
        to_floats(type, rows.data() + at, row.data(), static_cast<int64_t>(row.size()));
        result.push_back(std::inner_product(row.begin(), row.end(), x.begin(), 0.0F));
    }
    return result;
}

/** shortlist(file, states [n, width], width) → [entries, logits] of each; null where the file has none that fits */
Napi::Value shortlist_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        const GgufFile file(std::filesystem::u8path(info[0].As<Napi::String>().Utf8Value()));
        const auto states = floats(info[1]);
        const auto width = static_cast<size_t>(info[2].As<Napi::Number>().Int32Value());
        const auto factors = low_rank(file, static_cast<int>(width));
        if (!factors) return info.Env().Null();
        Shortlist shortlist(file, *file.tensor("output.weight"), *factors);
        auto result = Napi::Array::New(info.Env());
        for (auto state = states.begin(); state != states.end(); state += static_cast<std::ptrdiff_t>(width)) {
            const std::vector<float> hidden(state, state + static_cast<std::ptrdiff_t>(width));
            const auto estimates =
                times(shortlist.up(), Shortlist::UP_TYPE, times(shortlist.down(), Shortlist::DOWN_TYPE, hidden));
            auto slot = shortlist.make_slot();
            shortlist.score(hidden.data(), estimates.data(), slot);
            auto one = Napi::Array::New(info.Env());
            one.Set(0U, typed<Napi::Int32Array>(info.Env(), slot.entries));
            one.Set(1U, typed<Napi::Float32Array>(info.Env(), slot.logits));
            result.Set(result.Length(), one);
        }
        return result;
    });
}

/** blockSlots(target, drafter, taps [rows, taps · width], slots, oneByOne) → logits [slots, draft vocabulary] */
Napi::Value block_slots_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        const GgufFile target(std::filesystem::u8path(info[0].As<Napi::String>().Utf8Value()));
        const GgufFile drafter(std::filesystem::u8path(info[1].As<Napi::String>().Utf8Value()));
        const auto taps = floats(info[2]);
        const auto slots = integers(info[3]);
        const auto shape = block_shape(drafter, target);
        if (!shape) throw specdiff::Error("no graph of ours for " + drafter.path().string());
        const int rows = static_cast<int>(taps.size()) / (shape->taps * shape->width);
        ThreadPool threads(1);
        const std::atomic<bool> cancelled = false;
        const auto network = make_own_block_network(drafter, EmbeddingRows(target, nullptr), *shape,
                                                    rows + static_cast<int>(slots.size()), threads, cancelled);
        std::vector<float> logits;
        const auto keep = [&](const SlotRow& row) { logits.insert(logits.end(), row.values, row.values + row.size); };
        if (!info[4].ToBoolean()) {
            for (const auto& row : network->denoise(taps.data(), rows, slots, 0))
                keep(row);
        } else {
            keep(network->denoise(taps.data(), rows, {slots.front()}, 0).front());
            for (size_t slot = 1; slot < slots.size(); ++slot)
                keep(network->denoise_next(slots[slot], static_cast<int>(slot)));
        }
        return typed<Napi::Float32Array>(info.Env(), logits);
    });
}

/** drawn(weights, uniform) → number */
Napi::Value drawn_js(const Napi::CallbackInfo& info) {
    const auto weights = info[0].As<Napi::Float32Array>();
    const std::vector<float> values(weights.Data(), weights.Data() + weights.ElementLength());
    return Napi::Number::New(info.Env(), drawn(values, number_of(info[1])));
}

/** learnedChance(own, outcomes) → number: what a token's own chance becomes after outcomes (1: right) of such tokens */
Napi::Value learned_chance_js(const Napi::CallbackInfo& info) {
    const double own = number_of(info[0]);
    const Slot slot{outlook::JOINT, outlook::of_chance(own), 0, own};
    Survival survival;
    for (const auto right : list<double>(info[1], number_of))
        survival.learn(slot, true, right > 0);
    return Napi::Number::New(info.Env(), survival.chance(slot, true));
}

/** Loads the CPU backend, once in a process. */
void initialize(const Napi::Value& native_directory, const Napi::Value& cpu_library) {
    set_log_sink({});
    BackendOptions backend;
    backend.native_directory = std::filesystem::u8path(native_directory.As<Napi::String>().Utf8Value());
    backend.choice = BackendChoice::cpu;
    if (cpu_library.IsString()) backend.cpu_library = cpu_library.As<Napi::String>();
    initialize_backends(backend);
}

/** tapBits(nativeDirectory, targetPath, taps, promptTokens, contextTokens, cpuLibrary?) → TapBits */
Napi::Value tap_bits_js(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
        initialize(info[0], info[5]);
        const Model model(GgufFile(std::filesystem::u8path(info[1].As<Napi::String>().Utf8Value())));
        ThreadPool threads(1);
        const auto bits = tap_bits(model, threads, integers(info[2]), info[3].As<Napi::Number>().Int32Value(),
                                   info[4].As<Napi::Number>().Int32Value());
        auto result = Napi::Object::New(info.Env());
        result.Set("keepsGraphs", bits.keeps_graphs);
        result.Set("layers", bits.layers);
        result.Set("rows", bits.rows);
        result.Set("differentLogits", bits.different_logits);
        result.Set("tapRows", bits.tap_rows);
        result.Set("differentTaps", bits.different_taps);
        return result;
    });
}

/** An engine whose distribution can be enumerated and sampled natively, many times a second. */
class EngineProbe : public Napi::ObjectWrap<EngineProbe> {
  public:
    static Napi::Function define(Napi::Env env) {
        return DefineClass(env, "EngineProbe",
                           {InstanceMethod<&EngineProbe::exact>("exact"),
                            InstanceMethod<&EngineProbe::sample>("sample"),
                            InstanceMethod<&EngineProbe::tree_bits_js>("treeBits"),
                            InstanceMethod<&EngineProbe::passes_after_cancel_js>("passesAfterCancel")});
    }
    /** new EngineProbe(nativeDirectory, loadOptions, cpuLibrary?) */
    explicit EngineProbe(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineProbe>(info) {
        guarded(info.Env(), [&] {
            initialize(info[0], info[2]);
            engine_ = std::make_unique<Engine>(addon::load_options(info[1].As<Napi::Object>()));
            return 0;
        });
    }

  private:
    SequenceSpace space(const Napi::Value& length) const {
        return {engine_->vocabulary().size(), length.As<Napi::Number>().Int32Value()};
    }

    /** exact(job, length) → Float64Array */
    Napi::Value exact(const Napi::CallbackInfo& info) {
        return guarded(info.Env(), [&] {
            const auto job = addon::job(info[0].As<Napi::Object>());
            return typed<Napi::Float64Array>(info.Env(), exact_distribution(*engine_, job, space(info[1])));
        });
    }

    /** sample(job, length, samples, rule) → {counts, drafted, accepted} */
    Napi::Value sample(const Napi::CallbackInfo& info) {
        return guarded(info.Env(), [&] {
            const auto job = addon::job(info[0].As<Napi::Object>());
            const auto sampled = sample_sequences(*engine_, job, space(info[1]),
                                                  info[2].As<Napi::Number>().Int32Value(), info[3].As<Napi::String>());
            auto result = Napi::Object::New(info.Env());
            result.Set("counts", typed<Napi::Uint32Array>(info.Env(), sampled.counts));
            result.Set("drafted", sampled.drafted);
            result.Set("accepted", sampled.accepted);
            return result;
        });
    }

    /** treeBits(prompt, passes, seed) → {rows, different, deadCells} */
    Napi::Value tree_bits_js(const Napi::CallbackInfo& info) {
        return guarded(info.Env(), [&] {
            const auto bits = tree_bits(*engine_, integers(info[0]), info[1].As<Napi::Number>().Int32Value(),
                                        static_cast<uint64_t>(info[2].As<Napi::Number>().Int64Value()));
            auto result = Napi::Object::New(info.Env());
            result.Set("rows", bits.rows);
            result.Set("different", bits.different);
            result.Set("greatest", bits.greatest);
            result.Set("deadCells", bits.dead_cells);
            return result;
        });
    }

    /** passesAfterCancel(job, pass) → number */
    Napi::Value passes_after_cancel_js(const Napi::CallbackInfo& info) {
        return guarded(info.Env(), [&] {
            const auto job = addon::job(info[0].As<Napi::Object>());
            const int count = passes_after_cancel(*engine_, job, info[1].As<Napi::Number>().Int32Value());
            return Napi::Number::New(info.Env(), count);
        });
    }

    std::unique_ptr<Engine> engine_;
};

Napi::Object init(Napi::Env env, Napi::Object exports) {
    exports.Set("grow", Napi::Function::New(env, grow_js));
    exports.Set("distributions", Napi::Function::New(env, distributions_js));
    exports.Set("simulate", Napi::Function::New(env, simulate_js));
    exports.Set("probabilities", Napi::Function::New(env, probabilities_js));
    exports.Set("denoise", Napi::Function::New(env, denoise_js));
    exports.Set("revealChance", Napi::Function::New(env, reveal_chance_js));
    exports.Set("denoisingTimes", Napi::Function::New(env, denoising_times_js));
    exports.Set("best", Napi::Function::New(env, best_js));
    exports.Set("lookup", Napi::Function::New(env, lookup_js));
    exports.Set("phrase", Napi::Function::New(env, phrase_js));
    exports.Set("placeGuesses", Napi::Function::New(env, place_guesses_js));
    exports.Set("shortlist", Napi::Function::New(env, shortlist_js));
    exports.Set("blockSlots", Napi::Function::New(env, block_slots_js));
    exports.Set("drawn", Napi::Function::New(env, drawn_js));
    exports.Set("learnedChance", Napi::Function::New(env, learned_chance_js));
    exports.Set("tapBits", Napi::Function::New(env, tap_bits_js));
    exports.Set("Controller", ControllerObject::define(env));
    exports.Set("ThreadGovernor", GovernorObject::define(env));
    exports.Set("CoreWaits", CoreWaitsObject::define(env));
    exports.Set("EngineProbe", EngineProbe::define(env));
    return exports;
}

} // namespace

} // namespace specdiff::test

namespace {

Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
    return specdiff::test::init(env, exports);
}

} // namespace

NODE_API_MODULE(specdiff_test, init_addon)
