#include "cpu_backend.h"

#include "abort_flag.h"
#include "error.h"
#include "log.h"

#include <ggml-backend.h>
#include <ggml.h>

namespace specdiff {

Backend make_cpu_backend(const ThreadPool& threads, const std::atomic<bool>& cancelled) {
    const LogCapture captured;
    auto* const device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) throw Error("No CPU backend is loaded: initialize the backends first.");
    Backend backend(ggml_backend_dev_init(device, nullptr));
    if (backend == nullptr)
        throw Error("The CPU backend can't be started (" + captured.reason() + "): free some memory and try again.");
    threads.attach(backend.get());
    auto* const set_abort = reinterpret_cast<ggml_backend_set_abort_callback_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_set_abort_callback"));
    if (set_abort == nullptr) return backend;
    set_abort(backend.get(), abort_flag_is_set, abort_data(cancelled));
    return backend;
}

} // namespace specdiff
