#include "buffer_type.h"

#include "attention_op.h"
#include "cpu_features.h"
#include "fill_op.h"
#include "huge_pages.h"
#include "matrix_op.h"
#include "repack.h"

#include <ggml-backend-impl.h>
#include <ggml-cpu.h>
#include <ggml-impl.h>
#include <traits.h>

#include <cstdlib>

namespace specdiff::kernels {

namespace {

class MatrixTraits : public ggml::cpu::tensor_traits {
  public:
    explicit MatrixTraits(const MatrixKernels& kernels) : kernels_(kernels) {}

    bool work_size(int threads, const ggml_tensor* op, size_t& size) override {
        size = matrix_work_bytes(kernels_, op, threads);
        return true;
    }

    bool compute_forward(ggml_compute_params* params, ggml_tensor* op) override {
        compute_matrices(kernels_, params, {{op}, 1});
        return true;
    }

  private:
    const MatrixKernels& kernels_;
};

class AttentionTraits : public ggml::cpu::tensor_traits {
  public:
    explicit AttentionTraits(const KernelTable& kernels) : kernels_(kernels) {}

    bool work_size(int threads, const ggml_tensor* op, size_t& size) override {
        size = attention_work_bytes(kernels_, op, threads);
        return true;
    }

    bool compute_forward(ggml_compute_params* params, ggml_tensor* op) override {
        compute_attention(kernels_, params, op);
        return true;
    }

  private:
    const KernelTable& kernels_;
};

class FillTraits : public ggml::cpu::tensor_traits {
  public:
    bool work_size(int /*threads*/, const ggml_tensor* /*op*/, size_t& size) override {
        size = 0;
        return true;
    }

    bool compute_forward(ggml_compute_params* params, ggml_tensor* op) override {
        compute_fill(params, op);
        return true;
    }
};

class BufferType : public ggml::cpu::extra_buffer_type {
  public:
    BufferType(const KernelTable& kernels, ggml_backend_buffer_type_t self)
        : self_(self), attention_(kernels),
          matrix_{MatrixTraits(kernels.matrix[0]), MatrixTraits(kernels.matrix[1]), MatrixTraits(kernels.matrix[2]),
                  MatrixTraits(kernels.matrix[3]), MatrixTraits(kernels.matrix[4]), MatrixTraits(kernels.matrix[5])} {}

    bool supports_op(ggml_backend_dev_t /*device*/, const ggml_tensor* op) override {
        const auto *weights = op->src[0], *x = op->src[1];
        return op->op == GGML_OP_MUL_MAT && weights->buffer != nullptr && weights->buffer->buft == self_ &&
               weights->view_src == nullptr && fits_panels(weights) && x->type == GGML_TYPE_F32 &&
               x->nb[0] == sizeof(float) && (x->buffer == nullptr || ggml_backend_buft_is_host(x->buffer->buft));
    }

    ggml::cpu::tensor_traits* get_tensor_traits(const ggml_tensor* op) override {
        if (op->op == GGML_OP_MUL_MAT && op->src[0]->buffer != nullptr && op->src[0]->buffer->buft == self_) {
            // A view's offset is in ggml's bytes, the data in panels: no graph of today has one.
            GGML_ASSERT(op->src[0]->view_src == nullptr && "a part of a repacked matrix can't be multiplied");
            return traits_of(op->src[0]);
        }
        if (op->op == GGML_OP_FLASH_ATTN_EXT && attention_is_ours(op)) return &attention_;
        if (fill_is_ours(op)) return &fill_;
        return nullptr;
    }

    ggml::cpu::tensor_traits* traits_of(const ggml_tensor* weights) {
        const auto layout = layout_of(weights->type);
        return layout.has_value() ? &matrix_[static_cast<size_t>(*layout)] : nullptr;
    }

  private:
    ggml_backend_buffer_type_t self_;
    AttentionTraits attention_;
    FillTraits fill_;
    MatrixTraits matrix_[6];
};

// ---- buffers: repacked on the way in, unreadable afterwards

void free_buffer(ggml_backend_buffer_t buffer) {
    std::free(buffer->context);
}

void* base_of(ggml_backend_buffer_t buffer) {
    return buffer->context;
}

void set_tensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor, const void* data, size_t offset, size_t size) {
    GGML_ASSERT(offset == 0 && size == ggml_nbytes(tensor) && "repacked tensors are set whole");
    GGML_UNUSED(buffer);
    repack(tensor->type, tensor->ne[1], tensor->ne[0], data, tensor->data);
}

void clear_buffer(ggml_backend_buffer_t buffer, uint8_t value) {
    memset(buffer->context, value, buffer->size);
}

constexpr ggml_backend_buffer_i BUFFER_INTERFACE = {
    /* .free_buffer   = */ free_buffer,
    /* .get_base      = */ base_of,
    /* .init_tensor   = */ nullptr,
    /* .memset_tensor = */ nullptr,
    /* .set_tensor    = */ set_tensor,
    /* .get_tensor    = */ nullptr,
    /* .set_tensor_2d = */ nullptr,
    /* .get_tensor_2d = */ nullptr,
    /* .cpy_tensor    = */ nullptr,
    /* .clear         = */ clear_buffer,
    /* .reset         = */ nullptr,
};

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) {
    const size_t bytes = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void* data = std::aligned_alloc(HUGE_PAGE, bytes);
    if (data == nullptr) return nullptr;
    want_huge_pages(data, bytes);
    return ggml_backend_buffer_init(type, BUFFER_INTERFACE, data, size);
}

} // namespace

const MatrixKernels* product_kernels(const ggml_tensor* op) {
    const auto* weights = op->src[0];
    if (op->op != GGML_OP_MUL_MAT || weights->buffer == nullptr) return nullptr;
    if (weights->buffer->buft->iface.alloc_buffer != allocate) return nullptr;
    const auto layout = layout_of(weights->type);
    return layout.has_value() ? &kernels()->matrix[static_cast<size_t>(*layout)] : nullptr;
}

} // namespace specdiff::kernels

void specdiff_add_buffer_type(std::vector<ggml_backend_buffer_type_t>& types) {
    using namespace specdiff::kernels;
    const KernelTable* table = kernels();
    if (table == nullptr) return;
    static ggml_backend_buffer_type type = {
        {
            /* .get_name       = */ [](ggml_backend_buffer_type_t) { return "CPU_SPECDIFF"; },
            /* .alloc_buffer   = */ allocate,
            /* .get_alignment  = */ [](ggml_backend_buffer_type_t) -> size_t { return 64; },
            /* .get_max_size   = */ nullptr,
            /* .get_alloc_size = */
            [](ggml_backend_buffer_type_t, const ggml_tensor* tensor) {
                return fits_panels(tensor) ? panel_bytes(tensor->type, tensor->ne[1], tensor->ne[0])
                                           : ggml_nbytes(tensor);
            },
            /* .is_host        = */ nullptr,
        },
        /* .device  = */ ggml_backend_reg_dev_get(ggml_backend_cpu_reg(), 0),
        /* .context = */ new BufferType(*table, &type),
    };
    GGML_LOG_INFO("specdiff kernels: %s\n", table->name);
    types.push_back(&type);
}
