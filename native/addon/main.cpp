#include "engine_object.h"

#include "../core/backend.h"
#include "../core/exercise.h"
#include "convert.h"
#include "log_bridge.h"

#include <napi.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <utility>

namespace specdiff::addon {

namespace {

/** What one JavaScript environment keeps. */
struct Instance {
    Napi::FunctionReference engine;
};

/** Runs `work`; a C++ exception becomes a JavaScript one. */
template <typename Work> auto guarded(Napi::Env env, Work&& work) {
    try {
        return std::forward<Work>(work)();
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::exception& error) {
        throw Napi::Error::New(env, error.what());
    }
}

Napi::Object options_of(const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) throw Napi::TypeError::New(info.Env(), "options must be an object.");
    return info[0].As<Napi::Object>();
}

class Loading : public Napi::AsyncWorker {
  public:
    Loading(Napi::Env env, LoadOptions options)
        : Napi::AsyncWorker(env, "specdiff.load"), options_(std::move(options)),
          deferred_(Napi::Promise::Deferred::New(env)) {}

    Napi::Promise promise() const { return deferred_.Promise(); }

  protected:
    void Execute() override { engine_ = std::make_unique<Engine>(options_); }
    void OnOK() override {
        deferred_.Resolve(EngineObject::wrap(Env(), Env().GetInstanceData<Instance>()->engine, std::move(engine_)));
    }
    void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

  private:
    LoadOptions options_;
    std::unique_ptr<Engine> engine_;
    Napi::Promise::Deferred deferred_;
};

Napi::Value list_cpu_libraries_js(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    if (!info[0].IsString()) throw Napi::TypeError::New(env, "nativeDirectory must be a string.");
    const std::string directory = info[0].As<Napi::String>();
    return guarded(env, [&] { return to_js(env, list_cpu_libraries(std::filesystem::u8path(directory))); });
}

Napi::Value initialize(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    const auto options = options_of(info);
    const auto plain = backend_options(options);
    const Napi::Value on_log = options.Get("onLog");
    if (!on_log.IsFunction()) throw Napi::TypeError::New(env, "Property onLog must be a function.");
    bridge_log(env, on_log.As<Napi::Function>());
    return guarded(env, [&] { return to_js(env, initialize_backends(plain)); });
}

Napi::Value exercise(const Napi::CallbackInfo& info) {
    const int threads = info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : 1;
    return guarded(info.Env(), [&] {
        exercise_cpu(threads);
        return info.Env().Undefined();
    });
}

Napi::Value load(const Napi::CallbackInfo& info) {
    auto* loading = new Loading(info.Env(), load_options(options_of(info))); // NOLINT: deletes itself when done
    loading->Queue();
    return loading->promise();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
    auto* instance = new Instance{Napi::Persistent(EngineObject::define(env))}; // NOLINT: freed with the environment
    env.SetInstanceData(instance);
    exports.Set("listCpuLibraries", Napi::Function::New(env, list_cpu_libraries_js));
    exports.Set("initialize", Napi::Function::New(env, initialize));
    exports.Set("exercise", Napi::Function::New(env, exercise));
    exports.Set("load", Napi::Function::New(env, load));
    return exports;
}

} // namespace

} // namespace specdiff::addon

namespace {

Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
    return specdiff::addon::init(env, exports);
}

} // namespace

NODE_API_MODULE(specdiff, init_addon)
