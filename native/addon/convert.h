#pragma once

#include "../core/backend.h"
#include "../core/decoder.h"
#include "../core/engine.h"

#include <napi.h>

#include <string>
#include <vector>

/** JavaScript values ⇄ plain structs; the shapes are those of server/engine/addon.ts. */
namespace specdiff::addon {

/** @throws Napi::TypeError for a missing or mistyped property; the same for all readers. */
BackendOptions backend_options(const Napi::Object& options);
LoadOptions load_options(const Napi::Object& options);
Job job(const Napi::Object& options);
std::vector<ChatMessage> chat_messages(const Napi::Value& messages);

Napi::Array to_js(Napi::Env env, const std::vector<CpuLibrary>& libraries);
Napi::Object to_js(Napi::Env env, const BackendReport& report);
Napi::Object to_js(Napi::Env env, const TargetDescription& target);
Napi::Value to_js(Napi::Env env, const std::optional<DrafterDescription>& drafter);
Napi::Value to_js(Napi::Env env, const std::optional<FimTokens>& tokens);
Napi::Object to_js(Napi::Env env, const PrefillStats& prefill);
Napi::Object to_js(Napi::Env env, const Pass& pass);
Napi::Object to_js(Napi::Env env, const JobResult& result);
Napi::Int32Array to_js(Napi::Env env, const std::vector<int32_t>& tokens);

} // namespace specdiff::addon
