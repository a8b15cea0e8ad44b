// A CPU library of llama.cpp's with our kernels in it, as the checking programs use it.
#pragma once

#include "machine.h"

#include <ggml-backend.h>

#include <string>

class CpuLibrary {
  public:
    explicit CpuLibrary(const char* file) {
        if (ggml_backend_load(file) == nullptr) fail("the library could not be loaded");
        backend = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
        auto* extra = function<ggml_backend_buffer_type_t* (*)(ggml_backend_dev_t)>("ggml_backend_dev_get_extra_bufts");
        for (auto* type = extra(ggml_backend_get_device(backend)); *type != nullptr; ++type) {
            if (std::string(ggml_backend_buft_name(*type)) == "CPU_SPECDIFF") repacked = *type;
        }
        if (repacked == nullptr) fail("the library has no kernels for this CPU");
    }
    ~CpuLibrary() { ggml_backend_free(backend); }
    CpuLibrary(const CpuLibrary&) = delete;
    CpuLibrary& operator=(const CpuLibrary&) = delete;

    void threads(int count) const {
        function<void (*)(ggml_backend_t, int)>("ggml_backend_set_n_threads")(backend, count);
    }

    ggml_backend_t backend = nullptr;
    /** The buffer type that weights are repacked into. */
    ggml_backend_buffer_type_t repacked = nullptr;

  private:
    template <class F> F function(const char* name) const {
        auto* registry = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend));
        return reinterpret_cast<F>(ggml_backend_reg_get_proc_address(registry, name));
    }
};
