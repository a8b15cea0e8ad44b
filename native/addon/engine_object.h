#pragma once

#include "../core/engine.h"

#include <napi.h>

#include <memory>
#include <thread>

namespace specdiff::addon {

/** A loaded engine as NativeEngine of server/engine/addon.ts. */
class EngineObject : public Napi::ObjectWrap<EngineObject> {
  public:
    static Napi::Function define(Napi::Env env);
    /** Makes the JavaScript object; on the JavaScript thread. */
    static Napi::Object wrap(Napi::Env env, const Napi::FunctionReference& constructor, std::unique_ptr<Engine> engine);

    explicit EngineObject(const Napi::CallbackInfo& info);
    ~EngineObject() override;
    EngineObject(const EngineObject&) = delete;
    EngineObject& operator=(const EngineObject&) = delete;

  private:
    class Disposal;
    struct Generation;

    Napi::Value tokenize(const Napi::CallbackInfo& info);
    Napi::Value apply_chat_template(const Napi::CallbackInfo& info);
    Napi::Value generate(const Napi::CallbackInfo& info);
    Napi::Value learned(const Napi::CallbackInfo& info);
    Napi::Value cancel(const Napi::CallbackInfo& info);
    Napi::Value dispose(const Napi::CallbackInfo& info);

    /** @throws Napi::Error after dispose(). */
    Engine& engine(Napi::Env env) const;
    void finish(Generation& generation);

    std::shared_ptr<Engine> engine_;
    /** Runs one job; joined before the next one and before the end. */
    std::thread thread_;
    bool running_ = false;
};

} // namespace specdiff::addon
