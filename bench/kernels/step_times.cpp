// Times passes of a model on one CPU library or a GPU, on command, so that a script can interleave several in one run.
//
//   step_times BACKEND MODEL THREADS CELLS      BACKEND: a libggml-cpu-*.so, a folder to let llama.cpp pick from, or
//                                               "linked" for the one the program is linked with; or a CPU library, a
//                                               comma and a GPU's library, which then holds all layers
//
// Reads commands from standard input, answers each with one line of JSON:
//   context N    forgets everything, prefills N tokens           {"ms": time}
//   step N       decodes N rows with logits, then rolls back      {"ms": time}
//   quit
#include <ggml-backend.h>
#include <llama.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

namespace {

double milliseconds() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/** Rows of one llama_decode at most, as the engine uses it. */
constexpr int BATCH = 512;

// What forks call otherwise: peer/CMakeLists.txt looks which they have.
#ifdef OLD_CACHE_API
void clear_cache(llama_context* context) {
    llama_kv_cache_clear(context);
}
void cut_cache(llama_context* context, int length) {
    llama_kv_cache_seq_rm(context, 0, length, -1);
}
#else
void clear_cache(llama_context* context) {
    llama_memory_clear(llama_get_memory(context), true);
}
void cut_cache(llama_context* context, int length) {
    llama_memory_seq_rm(llama_get_memory(context), 0, length, -1);
}
#endif

/** A pool of threads kept between passes, polling for 2 ms, as the engine's own. */
class Pool {
  public:
#ifdef NO_THREADPOOL
    Pool(llama_context* /*context*/, int /*threads*/) {}
#else
    Pool(llama_context* context, int threads) {
        auto parameters = ggml_threadpool_params_default(threads);
        parameters.poll = 1;
        auto* registry = ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
        auto* create = reinterpret_cast<ggml_threadpool* (*)(ggml_threadpool_params*)>(
            ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_new"));
        release_ = reinterpret_cast<void (*)(ggml_threadpool*)>(
            ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_free"));
        pool_ = create(&parameters);
        llama_attach_threadpool(context, pool_, pool_);
    }
    ~Pool() { release_(pool_); }

  private:
    ggml_threadpool* pool_ = nullptr;
    void (*release_)(ggml_threadpool*) = nullptr;

  public:
#endif
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
};

class Session {
  public:
    Session(llama_context* context, int vocabulary)
        : context_(context), vocabulary_(vocabulary), batch_(llama_batch_init(BATCH, 0, 1)) {}
    ~Session() { llama_batch_free(batch_); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    double prefill(int tokens) {
        clear_cache(context_);
        const double start = milliseconds();
        for (int done = 0; done < tokens; done += BATCH)
            decode(done, std::min(BATCH, tokens - done), false);
        length_ = tokens;
        return milliseconds() - start;
    }

    double step(int rows) {
        const double start = milliseconds();
        decode(length_, rows, true);
        const double time = milliseconds() - start;
        cut_cache(context_, length_);
        return time;
    }

  private:
    void decode(int position, int rows, bool every_row) {
        batch_.n_tokens = rows;
        for (int i = 0; i < rows; ++i) {
            batch_.token[i] = (1000 + 37 * (position + i)) % vocabulary_;
            batch_.pos[i] = position + i;
            batch_.n_seq_id[i] = 1;
            batch_.seq_id[i][0] = 0;
            batch_.logits[i] = every_row || i == rows - 1 ? 1 : 0;
        }
        if (llama_decode(context_, batch_) != 0) {
            std::fprintf(stderr, "llama_decode failed\n");
            std::exit(1);
        }
        llama_synchronize(context_);
        volatile float last = llama_get_logits_ith(context_, rows - 1)[0];
        (void)last;
    }

    llama_context* context_;
    int vocabulary_;
    llama_batch batch_;
    int length_ = 0;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "step_times BACKEND MODEL THREADS CELLS\n");
        return 2;
    }
    const std::string backend = argv[1];
    const int threads = std::atoi(argv[3]);
    llama_log_set(
        [](ggml_log_level level, const char* text, void*) {
            if (level == GGML_LOG_LEVEL_ERROR || std::strstr(text, "specdiff") != nullptr) std::fputs(text, stderr);
        },
        nullptr);
#ifndef NO_THREADPOOL // forks without one load no backends either
    const auto comma = backend.find(',');
    const bool gpu = comma != std::string::npos;
    if (backend.find(".so") != std::string::npos) {
        if (gpu && ggml_backend_load(backend.c_str() + comma + 1) == nullptr) return 1;
        if (ggml_backend_load(backend.substr(0, comma).c_str()) == nullptr) return 1;
    } else if (backend != "linked") {
        ggml_backend_load_all_from_path(backend.c_str());
    }
#else
    const bool gpu = false;
#endif
    llama_backend_init();

    double start = milliseconds();
    auto model_parameters = llama_model_default_params();
    model_parameters.n_gpu_layers = gpu ? 999 : 0;
    llama_model* model = llama_model_load_from_file(argv[2], model_parameters);
    if (model == nullptr) return 1;
    const double load = milliseconds() - start;
    auto parameters = llama_context_default_params();
    parameters.n_ctx = static_cast<uint32_t>(std::atoi(argv[4]));
    parameters.n_batch = parameters.n_ubatch = BATCH;
    parameters.n_threads = parameters.n_threads_batch = threads;
#ifdef FLASH_ATTENTION_SWITCH
    parameters.flash_attn = true; // elsewhere it is used by itself where it can be
#endif
    llama_context* context = llama_init_from_model(model, parameters);
    if (context == nullptr) return 1;

    {
        const Pool pool(context, threads);
        Session session(context, llama_vocab_n_tokens(llama_model_get_vocab(model)));
        std::printf("{\"load_ms\": %.1f}\n", load);
        std::fflush(stdout);
        std::string command;
        int count = 0;
        while (std::cin >> command && command != "quit" && std::cin >> count) {
            const double time = command == "context" ? session.prefill(count) : session.step(count);
            std::printf("{\"ms\": %.4f}\n", time);
            std::fflush(stdout);
        }
    }
    llama_free(context);
    return 0;
}
