#include "convert.h"

#include "../core/error.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <limits>

namespace specdiff::addon {

namespace {

Napi::Value property(const Napi::Object& object, const char* name) {
    const Napi::Value value = object.Get(name);
    if (value.IsUndefined()) throw Napi::TypeError::New(object.Env(), std::string("Property ") + name + " is missing.");
    return value;
}

[[noreturn]] void mistyped(const Napi::Object& object, const char* name, const char* wanted) {
    throw Napi::TypeError::New(object.Env(), std::string("Property ") + name + " must be " + wanted + ".");
}

std::string text(const Napi::Object& object, const char* name) {
    const auto value = property(object, name);
    if (!value.IsString()) mistyped(object, name, "a string");
    return value.As<Napi::String>();
}

/** Null becomes the empty string. */
std::string text_or_null(const Napi::Object& object, const char* name) {
    return property(object, name).IsNull() ? std::string() : text(object, name);
}

double number(const Napi::Object& object, const char* name) {
    const auto value = property(object, name);
    if (!value.IsNumber()) mistyped(object, name, "a number");
    return value.As<Napi::Number>().DoubleValue();
}

int integer(const Napi::Object& object, const char* name) {
    const double value = number(object, name);
    if (!(std::abs(value) <= std::numeric_limits<int>::max()) || value != std::floor(value)) {
        mistyped(object, name, "a whole number");
    }
    return static_cast<int>(value);
}

bool boolean(const Napi::Object& object, const char* name) {
    const auto value = property(object, name);
    if (!value.IsBoolean()) mistyped(object, name, "true or false");
    return value.As<Napi::Boolean>().Value();
}

std::vector<int32_t> tokens(const Napi::Object& object, const char* name) {
    const auto value = property(object, name);
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
        mistyped(object, name, "an Int32Array");
    }
    const auto array = value.As<Napi::Int32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

Napi::Object object_of(const Napi::Object& object, const char* name) {
    const auto value = property(object, name);
    if (!value.IsObject()) mistyped(object, name, "an object");
    return value.As<Napi::Object>();
}

BackendChoice backend_choice(const Napi::Object& object) {
    const auto choice = specdiff::backend_choice(text(object, "backend"));
    if (choice) return *choice;
    mistyped(object, "backend", "auto, cpu, cuda, vulkan or metal");
}

RuleChoice acceptance(const Napi::Object& object) {
    const auto name = text(object, "acceptance");
    try {
        return rule_choice(name);
    } catch (const std::exception& error) {
        throw Napi::TypeError::New(object.Env(), error.what());
    }
}

SamplingOptions sampling(const Napi::Object& object) {
    SamplingOptions options;
    options.temperature = number(object, "temperature");
    options.top_k = integer(object, "topK");
    options.top_p = number(object, "topP");
    options.min_p = number(object, "minP");
    options.repetition_penalty = number(object, "repetitionPenalty");
    const double seed = number(object, "seed");
    if (!std::isfinite(seed) || seed < 0) mistyped(object, "seed", "0 or greater");
    options.seed = static_cast<uint64_t>(seed);
    return options;
}

/** Without the suffix, which is the job's. */
DenoisingWish denoising(const Napi::Object& object) {
    DenoisingWish wish;
    wish.steps = std::clamp(integer(object, "steps"), 0, MOST_DENOISING_STEPS);
    wish.hot_start = boolean(object, "hotStart");
    try {
        wish.sampler = denoising_sampler(text(object, "sampler"));
    } catch (const Error& error) {
        throw Napi::TypeError::New(object.Env(), error.what());
    }
    return wish;
}

const char* name_of(DrafterKind kind) {
    switch (kind) {
    case DrafterKind::causal:
    case DrafterKind::tapped_causal:
        return "causal";
    case DrafterKind::sedd:
        return "sedd";
    case DrafterKind::mdlm:
        return "mdlm";
    case DrafterKind::diffusion:
        break;
    }
    return "diffusion";
}

const char* name_of(DeviceKind kind) {
    switch (kind) {
    case DeviceKind::cpu:
        return "cpu";
    case DeviceKind::gpu:
        return "gpu";
    case DeviceKind::integrated:
        return "integrated";
    case DeviceKind::other:
        break;
    }
    return "other";
}

const char* name_of(Origin origin) {
    switch (origin) {
    case Origin::draft:
        return "draft";
    case Origin::correction:
        return "correction";
    case Origin::bonus:
        return "bonus";
    case Origin::plain:
        break;
    }
    return "plain";
}

const char* name_of(FinishReason reason) {
    switch (reason) {
    case FinishReason::end_of_text:
        return "endOfText";
    case FinishReason::max_tokens:
        return "maxTokens";
    case FinishReason::context_full:
        return "contextFull";
    case FinishReason::cancelled:
        break;
    }
    return "cancelled";
}

} // namespace

BackendOptions backend_options(const Napi::Object& options) {
    BackendOptions result;
    result.native_directory = std::filesystem::u8path(text(options, "nativeDirectory"));
    const auto folders = property(options, "backendDirectories");
    if (!folders.IsArray()) mistyped(options, "backendDirectories", "an array of strings");
    const auto array = folders.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); ++i) {
        const Napi::Value folder = array.Get(i);
        if (!folder.IsString()) mistyped(options, "backendDirectories", "an array of strings");
        result.backend_directories.push_back(std::filesystem::u8path(folder.As<Napi::String>().Utf8Value()));
    }
    result.cpu_library = text_or_null(options, "cpuLibrary");
    result.choice = backend_choice(options);
    return result;
}

LoadOptions load_options(const Napi::Object& options) {
    LoadOptions result;
    result.target_path = text(options, "targetPath");
    result.drafter_path = text_or_null(options, "drafterPath");
    result.threads = std::clamp(integer(options, "threads"), 0, 512);
    result.context_tokens = std::max(integer(options, "contextTokens"), 0);
    result.learned = text_or_null(options, "learned");
    result.tree_nodes = std::max(integer(options, "treeNodes"), 0);
    return result;
}

Job job(const Napi::Object& options) {
    Job result;
    result.prompt = tokens(options, "prompt");
    result.lookup = tokens(options, "lookup");
    result.max_tokens = integer(options, "maxTokens");
    result.drafter = text(options, "drafter");
    result.draft_length = integer(options, "draftLength");
    result.tree_nodes = integer(options, "treeNodes");
    result.remember = boolean(options, "remember");
    result.acceptance = acceptance(options);
    result.sampling = sampling(object_of(options, "sampling"));
    result.denoising = denoising(object_of(options, "denoising"));
    result.denoising.suffix = tokens(options, "suffix");
    return result;
}

std::vector<ChatMessage> chat_messages(const Napi::Value& messages) {
    if (!messages.IsArray()) throw Napi::TypeError::New(messages.Env(), "messages must be an array.");
    const auto array = messages.As<Napi::Array>();
    std::vector<ChatMessage> result;
    for (uint32_t i = 0; i < array.Length(); ++i) {
        const Napi::Value message = array.Get(i);
        if (!message.IsObject()) throw Napi::TypeError::New(messages.Env(), "A message must be an object.");
        const auto object = message.As<Napi::Object>();
        result.push_back({text(object, "role"), text(object, "content")});
    }
    return result;
}

Napi::Array to_js(Napi::Env env, const std::vector<CpuLibrary>& libraries) {
    auto array = Napi::Array::New(env, libraries.size());
    for (uint32_t i = 0; i < libraries.size(); ++i) {
        auto entry = Napi::Object::New(env);
        entry.Set("file", libraries[i].file);
        entry.Set("score", libraries[i].score);
        array.Set(i, entry);
    }
    return array;
}

Napi::Object to_js(Napi::Env env, const BackendReport& report) {
    auto devices = Napi::Array::New(env, report.devices.size());
    for (uint32_t i = 0; i < report.devices.size(); ++i) {
        const auto& device = report.devices[i];
        auto entry = Napi::Object::New(env);
        entry.Set("name", device.name);
        entry.Set("description", device.description);
        entry.Set("kind", name_of(device.kind));
        entry.Set("memoryBytes", static_cast<double>(device.memory_bytes));
        devices.Set(i, entry);
    }
    auto notes = Napi::Array::New(env, report.notes.size());
    for (uint32_t i = 0; i < report.notes.size(); ++i)
        notes.Set(i, report.notes[i]);
    auto object = Napi::Object::New(env);
    object.Set("name", report.name);
    object.Set("devices", devices);
    object.Set("notes", notes);
    return object;
}

Napi::Object to_js(Napi::Env env, const TargetDescription& target) {
    auto object = Napi::Object::New(env);
    object.Set("path", target.path);
    object.Set("name", target.name);
    object.Set("architecture", target.architecture);
    object.Set("fileBytes", static_cast<double>(target.file_bytes));
    object.Set("vocabularySize", target.vocabulary_size);
    object.Set("contextTokens", target.context_tokens);
    object.Set("fillInTheMiddle", target.fill_in_the_middle);
    object.Set("chatTemplate", target.chat_template);
    return object;
}

Napi::Value to_js(Napi::Env env, const std::optional<DrafterDescription>& drafter) {
    if (!drafter) return env.Null();
    auto object = Napi::Object::New(env);
    object.Set("path", drafter->path);
    object.Set("name", drafter->name);
    object.Set("kind", name_of(drafter->kind));
    object.Set("maxDraftLength", drafter->max_draft_length);
    object.Set("slotInit", drafter->slots_from_lookup ? "lookup" : "mask");
    return object;
}

Napi::Value to_js(Napi::Env env, const std::optional<FimTokens>& tokens) {
    if (!tokens) return env.Null();
    auto object = Napi::Object::New(env);
    object.Set("prefix", tokens->prefix);
    object.Set("suffix", tokens->suffix);
    object.Set("middle", tokens->middle);
    return object;
}

Napi::Object to_js(Napi::Env env, const PrefillStats& prefill) {
    auto object = Napi::Object::New(env);
    object.Set("promptTokens", prefill.prompt_tokens);
    object.Set("prefillTokens", prefill.prefill_tokens);
    object.Set("prefillMs", prefill.prefill_ms);
    return object;
}

Napi::Object to_js(Napi::Env env, const Pass& pass) {
    const auto count = pass.tokens.size();
    auto ids = Napi::Int32Array::New(env, count);
    auto origins = Napi::Array::New(env, count);
    auto bytes = Napi::Array::New(env, count);
    for (uint32_t i = 0; i < count; ++i) {
        const auto& token = pass.tokens[i];
        ids[i] = token.token;
        origins.Set(i, name_of(token.origin));
        auto piece = Napi::Uint8Array::New(env, token.bytes.size());
        if (!token.bytes.empty()) std::memcpy(piece.Data(), token.bytes.data(), token.bytes.size());
        bytes.Set(i, piece);
    }
    auto object = Napi::Object::New(env);
    object.Set("drafter", pass.drafter);
    object.Set("drafted", pass.drafted);
    object.Set("accepted", pass.accepted);
    object.Set("nodes", pass.nodes);
    object.Set("rows", pass.rows);
    object.Set("emitted", static_cast<double>(count));
    object.Set("draftMs", pass.draft_ms);
    object.Set("verifyMs", pass.verify_ms);
    object.Set("reason", specdiff::name_of(pass.reason));
    object.Set("expectedTokens", pass.expected_tokens);
    auto steps = Napi::Array::New(env, pass.denoising_steps.size());
    for (uint32_t i = 0; i < pass.denoising_steps.size(); ++i)
        steps.Set(i, pass.denoising_steps[i]);
    if (steps.Length() > 0) object.Set("denoisingSteps", steps);
    object.Set("tokens", ids);
    object.Set("origins", origins);
    object.Set("bytes", bytes);
    return object;
}

Napi::Object to_js(Napi::Env env, const JobResult& result) {
    auto object = Napi::Object::New(env);
    object.Set("reason", name_of(result.reason));
    object.Set("plainPassMs",
               result.plain_pass_ms ? Napi::Value(Napi::Number::New(env, *result.plain_pass_ms)) : env.Null());
    return object;
}

Napi::Int32Array to_js(Napi::Env env, const std::vector<int32_t>& tokens) {
    auto array = Napi::Int32Array::New(env, tokens.size());
    if (!tokens.empty()) std::memcpy(array.Data(), tokens.data(), tokens.size() * sizeof(int32_t));
    return array;
}

} // namespace specdiff::addon
