// Runs a target and its drafter through stock llama.cpp as its own speculative decoding does (common/speculative.cpp,
// draft-dspark): the target's tapped layer inputs are injected into the drafter's KV cache, then one non-causal pass over
// the block. Writes taps and logits, for comparison with PyTorch's (compare.py).
//
// usage: dflash_logits BACKENDS_DIR TARGET.gguf DRAFTER.gguf CASES OUT
// CASES: one case a line: number of context tokens, their ids, number of slots, the slots' ids (anchor first).
// OUT:   for each case float32 taps [context, taps * width], then float32 logits [slots, vocabulary].
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ggml-backend.h"
#include "llama-ext.h"
#include "llama.h"

namespace {

[[noreturn]] void fail(const std::string & what) {
    std::fprintf(stderr, "dflash_logits: %s\n", what.c_str());
    std::exit(1);
}

std::vector<llama_token> read_ids(std::istream & in) {
    size_t n = 0;
    in >> n;
    std::vector<llama_token> ids(n);
    for (auto & id : ids) {
        in >> id;
    }
    return ids;
}

void set_row(llama_batch & batch, int i, llama_pos pos, bool logits) {
    batch.pos[i] = pos;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = logits;
}

}  // namespace

int main(int argc, char ** argv) {
    if (argc != 6) {
        fail("usage: dflash_logits BACKENDS_DIR TARGET.gguf DRAFTER.gguf CASES OUT");
    }
    llama_log_set([](ggml_log_level level, const char * text, void *) {
        if (level >= GGML_LOG_LEVEL_WARN && level != GGML_LOG_LEVEL_CONT) {
            std::fputs(text, stderr);
        }
    }, nullptr);
    ggml_backend_load_all_from_path(argv[1]);
    llama_backend_init();

    llama_model * target = llama_model_load_from_file(argv[2], llama_model_default_params());
    llama_model * drafter = llama_model_load_from_file(argv[3], llama_model_default_params());
    if (!target || !drafter) {
        fail("a model could not be loaded");
    }
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = 1024;
    params.n_threads = params.n_threads_batch = 1;
    llama_context * ctx_target = llama_init_from_model(target, params);
    params.ctx_other = ctx_target;
    llama_context * ctx_drafter = llama_init_from_model(drafter, params);
    if (!ctx_target || !ctx_drafter) {
        fail("a context could not be made");
    }
    llama_set_causal_attn(ctx_drafter, false);

    const int32_t * layers = llama_model_target_layer_ids(drafter);
    const uint32_t n_taps = llama_model_target_layer_ids_n(drafter);
    for (uint32_t k = 0; k < n_taps; ++k) {
        llama_set_embeddings_layer_inp(ctx_target, static_cast<uint32_t>(layers[k]), true);
    }
    const size_t width = static_cast<size_t>(llama_model_n_embd(target));
    const size_t row = n_taps * width;
    const size_t n_vocab = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(target)));

    std::ifstream cases(argv[4]);
    std::ofstream out(argv[5], std::ios::binary);
    for (std::string line; std::getline(cases, line);) {
        std::istringstream in(line);
        std::vector<llama_token> context = read_ids(in);
        const std::vector<llama_token> slots = read_ids(in);
        const int n = static_cast<int>(context.size());
        llama_memory_clear(llama_get_memory(ctx_target), true);
        llama_memory_clear(llama_get_memory(ctx_drafter), true);

        if (llama_decode(ctx_target, llama_batch_get_one(context.data(), n)) != 0) {
            fail("the target's decode failed");
        }
        llama_batch inject = llama_batch_init(n, static_cast<int32_t>(row), 1);
        inject.n_tokens = n;
        for (uint32_t k = 0; k < n_taps; ++k) {
            const float * source = llama_get_embeddings_layer_inp(ctx_target, static_cast<uint32_t>(layers[k]));
            if (!source) {
                fail("the target gives no inputs of a tapped layer");
            }
            for (size_t i = 0; i < context.size(); ++i) {
                std::copy(source + i * width, source + (i + 1) * width, inject.embd + i * row + k * width);
            }
        }
        for (int i = 0; i < n; ++i) {
            set_row(inject, i, i, false);
        }
        out.write(reinterpret_cast<const char *>(inject.embd), static_cast<std::streamsize>(context.size() * row * sizeof(float)));
        if (llama_decode(ctx_drafter, inject) != 0) {
            fail("the injection failed");
        }
        llama_batch block = llama_batch_init(static_cast<int32_t>(slots.size()), 0, 1);
        block.n_tokens = static_cast<int32_t>(slots.size());
        for (int i = 0; i < block.n_tokens; ++i) {
            block.token[i] = slots[static_cast<size_t>(i)];
            set_row(block, i, n + i, true);
        }
        if (llama_decode(ctx_drafter, block) != 0) {
            fail("the draft failed");
        }
        for (int i = 0; i < block.n_tokens; ++i) {
            out.write(reinterpret_cast<const char *>(llama_get_logits_ith(ctx_drafter, i)), static_cast<std::streamsize>(n_vocab * sizeof(float)));
        }
        llama_batch_free(inject);
        llama_batch_free(block);
    }
    llama_free(ctx_drafter);
    llama_free(ctx_target);
    llama_model_free(drafter);
    llama_model_free(target);
    return out.good() ? 0 : 1;
}
