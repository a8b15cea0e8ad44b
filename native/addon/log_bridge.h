#pragma once

#include <napi.h>

namespace specdiff::addon {

/** Sends the core's log lines to `on_log(level, text)` on the JavaScript thread; does not keep the process alive. */
void bridge_log(Napi::Env env, const Napi::Function& on_log);

} // namespace specdiff::addon
