#include "engine_object.h"

#include "convert.h"

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace specdiff::addon {

/** One job: what its thread and the JavaScript thread share until the promise settles. */
struct EngineObject::Generation {
    Generation(Napi::Env env, Job job_, const Napi::Function& prefill, const Napi::Function& pass)
        : job(std::move(job_)), deferred(Napi::Promise::Deferred::New(env)), on_prefill(Napi::Persistent(prefill)),
          on_pass(Napi::Persistent(pass)) {}

    Job job;
    Napi::Promise::Deferred deferred;
    Napi::FunctionReference on_prefill;
    Napi::FunctionReference on_pass;
    /** What a callback threw; ends the job. JavaScript thread only. */
    std::string callback_error;
    // Written by the job's thread before its last event.
    JobResult result;
    std::string error;
};

/** Waits for the job's thread and frees the models off the JavaScript thread. */
class EngineObject::Disposal : public Napi::AsyncWorker {
  public:
    Disposal(Napi::Env env, std::shared_ptr<Engine> engine, std::thread thread)
        : Napi::AsyncWorker(env, "specdiff.dispose"), engine_(std::move(engine)), thread_(std::move(thread)),
          deferred_(Napi::Promise::Deferred::New(env)) {}

    Napi::Promise promise() const { return deferred_.Promise(); }

  protected:
    void Execute() override {
        if (thread_.joinable()) thread_.join();
        engine_.reset();
    }
    void OnOK() override { deferred_.Resolve(Env().Undefined()); }
    void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

  private:
    std::shared_ptr<Engine> engine_;
    std::thread thread_;
    Napi::Promise::Deferred deferred_;
};

Napi::Function EngineObject::define(Napi::Env env) {
    return DefineClass(
        env, "NativeEngine",
        {InstanceMethod<&EngineObject::tokenize>("tokenize"),
         InstanceMethod<&EngineObject::apply_chat_template>("applyChatTemplate"),
         InstanceMethod<&EngineObject::generate>("generate"), InstanceMethod<&EngineObject::learned>("learned"),
         InstanceMethod<&EngineObject::cancel>("cancel"), InstanceMethod<&EngineObject::dispose>("dispose")});
}

Napi::Object EngineObject::wrap(Napi::Env env, const Napi::FunctionReference& constructor,
                                std::unique_ptr<Engine> engine) {
    auto object = constructor.New({});
    auto* self = Unwrap(object);
    self->engine_ = std::move(engine);
    const Engine& loaded = *self->engine_;
    object.Set("target", to_js(env, loaded.target()));
    object.Set("drafter", to_js(env, loaded.drafter()));
    object.Set("drafterNote",
               loaded.drafter_note().empty() ? env.Null() : Napi::Value(Napi::String::New(env, loaded.drafter_note())));
    object.Set("weightsNote",
               loaded.weights_note().empty() ? env.Null() : Napi::Value(Napi::String::New(env, loaded.weights_note())));
    object.Set("threads", loaded.threads());
    object.Set("fim", to_js(env, loaded.vocabulary().fill_in_the_middle()));
    return object;
}

EngineObject::EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {}

EngineObject::~EngineObject() {
    // Collected, or the environment ends: a thread must not outlive either.
    if (engine_ != nullptr) engine_->cancel();
    if (thread_.joinable()) thread_.join();
}

Engine& EngineObject::engine(Napi::Env env) const {
    if (engine_ == nullptr) throw Napi::Error::New(env, "The engine is closed: load the model again.");
    return *engine_;
}

Napi::Value EngineObject::tokenize(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    const auto& vocabulary = engine(env).vocabulary();
    if (!info[0].IsString()) throw Napi::TypeError::New(env, "text must be a string.");
    const std::string text = info[0].As<Napi::String>();
    try {
        return to_js(env, vocabulary.tokenize(text, info[1].ToBoolean(), info[2].ToBoolean()));
    } catch (const std::exception& error) {
        throw Napi::Error::New(env, error.what());
    }
}

Napi::Value EngineObject::apply_chat_template(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    const auto& vocabulary = engine(env).vocabulary();
    const auto messages = chat_messages(info[0]);
    try {
        return Napi::String::New(env, vocabulary.apply_chat_template(messages));
    } catch (const std::exception& error) {
        throw Napi::Error::New(env, error.what());
    }
}

Napi::Value EngineObject::generate(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    std::shared_ptr<Generation> generation;
    try {
        engine(env);
        if (running_) throw Napi::Error::New(env, "A generation is running: wait for it or cancel it first.");
        if (!info[0].IsObject() || !info[1].IsFunction() || !info[2].IsFunction()) {
            throw Napi::TypeError::New(env, "generate needs a job and two callbacks.");
        }
        generation = std::make_shared<Generation>(env, job(info[0].As<Napi::Object>()), info[1].As<Napi::Function>(),
                                                  info[2].As<Napi::Function>());
    } catch (const Napi::Error& error) {
        const auto deferred = Napi::Promise::Deferred::New(env);
        deferred.Reject(error.Value());
        return deferred.Promise();
    }

    if (thread_.joinable()) thread_.join(); // the job before: its last event has come, so it is ending
    running_ = true;
    Ref(); // not collected while its thread runs
    engine_->reset_cancel();

    const auto nothing = Napi::Function::New(env, [](const Napi::CallbackInfo&) {});
    auto events = Napi::ThreadSafeFunction::New(env, nothing, "specdiff.generate", 0, 1);
    using Event = std::function<void(Napi::Env)>;
    const auto deliver = [](Napi::Env js, Napi::Function /*nothing*/, Event* event) {
        if (js != nullptr) (*event)(js);
        delete event; // NOLINT(cppcoreguidelines-owning-memory): the queue carries a plain pointer
    };
    auto post = [events, deliver](Event event) mutable {
        auto* carried = new Event(std::move(event));                          // NOLINT(cppcoreguidelines-owning-memory)
        if (events.BlockingCall(carried, deliver) != napi_ok) delete carried; // NOLINT(cppcoreguidelines-owning-memory)
    };
    // A callback that throws ends the job; its error becomes the promise's.
    const auto call = [this, generation](Napi::Env js, const Napi::FunctionReference& callback,
                                         const Napi::Value& value) {
        if (!generation->callback_error.empty()) return;
        try {
            callback.Call({value});
        } catch (const Napi::Error& error) {
            generation->callback_error = "A callback of generate threw: " + error.Message();
            if (engine_ != nullptr) engine_->cancel();
        }
        static_cast<void>(js);
    };

    thread_ = std::thread([this, generation, events, post, call, engine = engine_]() mutable {
        JobEvents handlers;
        handlers.on_prefill = [&](const PrefillStats& prefill) {
            post([call, generation, prefill](Napi::Env js) { call(js, generation->on_prefill, to_js(js, prefill)); });
        };
        handlers.on_pass = [&](const Pass& pass) {
            post([call, generation, pass](Napi::Env js) { call(js, generation->on_pass, to_js(js, pass)); });
        };
        try {
            generation->result = engine->generate(generation->job, handlers);
        } catch (const std::exception& error) {
            generation->error = error.what();
        }
        engine.reset();
        post([this, generation](Napi::Env) { finish(*generation); });
        events.Release();
    });
    return generation->deferred.Promise();
}

void EngineObject::finish(Generation& generation) {
    const auto env = Env();
    const Napi::HandleScope scope(env);
    running_ = false;
    generation.on_prefill.Reset();
    generation.on_pass.Reset();
    const std::string& error = generation.callback_error.empty() ? generation.error : generation.callback_error;
    if (error.empty()) {
        generation.deferred.Resolve(to_js(env, generation.result));
    } else {
        generation.deferred.Reject(Napi::Error::New(env, error).Value());
    }
    Unref();
}

Napi::Value EngineObject::learned(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    const Engine& loaded = engine(env);
    if (running_) throw Napi::Error::New(env, "A generation is running: ask when it has ended.");
    return Napi::String::New(env, loaded.learned());
}

Napi::Value EngineObject::cancel(const Napi::CallbackInfo& info) {
    if (running_ && engine_ != nullptr) engine_->cancel();
    return info.Env().Undefined();
}

Napi::Value EngineObject::dispose(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    if (engine_ == nullptr) {
        const auto deferred = Napi::Promise::Deferred::New(env);
        deferred.Resolve(env.Undefined());
        return deferred.Promise();
    }
    engine_->cancel();
    auto* disposal = new Disposal(env, std::move(engine_), std::move(thread_)); // NOLINT: deletes itself when done
    engine_.reset();
    disposal->Queue();
    return disposal->promise();
}

} // namespace specdiff::addon
