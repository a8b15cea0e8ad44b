// What kernel_check checks. One implementation asks a library as llama.cpp would (ggml_machine.cpp), the other calls
// kernels that are linked in (emulated/table_machine.cpp).
#pragma once

#include <ggml.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using Floats = std::vector<float>;
/** Tensors and the data to put into them. */
using Inputs = std::vector<std::pair<ggml_tensor*, const void*>>;

class Machine {
  public:
    Machine() = default;
    virtual ~Machine() = default;
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    virtual void threads(int count) = 0;
    /** Gives `weights`, the only tensor of its context, memory and repacks `data` into it; keep what is returned. */
    virtual std::shared_ptr<void> hold(ggml_context* context, ggml_tensor* weights, const void* data) const = 0;
    virtual bool supports(const ggml_tensor* op) const = 0;
    /** Gives what is left in `context` memory, sets the inputs, computes `result` and returns it. */
    virtual Floats compute(ggml_context* context, ggml_tensor* result, const Inputs& inputs) const = 0;
    /** A last line of JSON, or nothing. */
    virtual std::string report() const { return ""; }
};

/** @param name file name of the library, or name of the kernel table. */
std::unique_ptr<Machine> open_machine(const char* name);

/** Says why on standard error and ends the program. */
[[noreturn]] void fail(const std::string& reason);
