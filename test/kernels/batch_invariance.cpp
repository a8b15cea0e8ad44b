// Are a model's logits the same bits whatever rows share a batch?
//
//   batch_invariance LIBRARY MODEL THREADS CONTEXT...
//
// For each number of context tokens one line of JSON per batch size: rows that differ from the same row decoded alone.
// Then the same for a context prefilled in other pieces (of more than 72 rows, where a prompt's kernels may begin), and
// for a tree of three branches against each branch as a chain.
#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int BATCH = 512, MOST_ROWS = 72, BRANCHES = 3, DEPTH = 4;
using Logits = std::vector<float>;

[[noreturn]] void fail(const char* reason) {
    std::fprintf(stderr, "%s\n", reason);
    std::exit(2);
}

struct Row {
    llama_token token;
    int position;
    std::vector<llama_seq_id> sequences;
};

class Model {
  public:
    Model(const char* path, int threads, int cells) {
        auto model_parameters = llama_model_default_params();
        model_parameters.n_gpu_layers = 0;
        model_ = llama_model_load_from_file(path, model_parameters);
        if (model_ == nullptr) fail("the model could not be loaded");
        auto parameters = llama_context_default_params();
        parameters.n_ctx = static_cast<uint32_t>(cells);
        parameters.n_batch = parameters.n_ubatch = BATCH;
        parameters.n_threads = parameters.n_threads_batch = threads;
        parameters.n_seq_max = BRANCHES + 2; // the tree's trunk, its branches, dead branches
        parameters.kv_unified = true;
        context_ = llama_init_from_model(model_, parameters);
        if (context_ == nullptr) fail("no context");
        vocabulary_ = llama_vocab_n_tokens(llama_model_get_vocab(model_));
    }
    ~Model() {
        llama_free(context_);
        llama_model_free(model_);
    }
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    Row row(int position, int salt = 0) const {
        return {(1000 + 3701 * position + 977 * salt) % vocabulary_, position, {0}};
    }

    std::vector<Logits> decode(const std::vector<Row>& rows) {
        auto batch = llama_batch_init(static_cast<int>(rows.size()), 0, BRANCHES + 1);
        batch.n_tokens = static_cast<int>(rows.size());
        for (size_t i = 0; i < rows.size(); ++i) {
            batch.token[i] = rows[i].token;
            batch.pos[i] = rows[i].position;
            batch.n_seq_id[i] = static_cast<int>(rows[i].sequences.size());
            std::copy(rows[i].sequences.begin(), rows[i].sequences.end(), batch.seq_id[i]);
            batch.logits[i] = 1;
        }
        if (llama_decode(context_, batch) != 0) fail("llama_decode failed");
        std::vector<Logits> result;
        for (size_t i = 0; i < rows.size(); ++i) {
            const float* logits = llama_get_logits_ith(context_, static_cast<int>(i));
            result.emplace_back(logits, logits + vocabulary_);
        }
        llama_batch_free(batch);
        return result;
    }

    /** In equal pieces of at most `most` rows. */
    void prefill(int tokens, int most) {
        llama_memory_clear(memory(), true);
        const int pieces = (tokens + most - 1) / most;
        for (int piece = 0; piece < pieces; ++piece) {
            std::vector<Row> rows;
            for (int i = tokens * piece / pieces; i < tokens * (piece + 1) / pieces; ++i)
                rows.push_back(row(i));
            decode(rows);
        }
    }

    llama_memory_t memory() const { return llama_get_memory(context_); }

  private:
    llama_model* model_ = nullptr;
    llama_context* context_ = nullptr;
    int vocabulary_ = 0;
};

bool same(const Logits& a, const Logits& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void check_batches(Model& model, int context) {
    model.prefill(context, 256);
    std::vector<Logits> alone;
    for (int i = 0; i < MOST_ROWS; ++i)
        alone.push_back(model.decode({model.row(context + i)}).front());
    for (const int n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 24, 32, 33, 48, 64, 65, 72}) {
        llama_memory_seq_rm(model.memory(), 0, context, -1);
        std::vector<Row> rows;
        for (int i = 0; i < n; ++i)
            rows.push_back(model.row(context + i));
        const auto together = model.decode(rows);
        int different = 0;
        for (int i = 0; i < n; ++i)
            different += same(together[i], alone[i]) ? 0 : 1;
        std::printf("{\"check\": \"batch\", \"context\": %d, \"n\": %d, \"different\": %d}\n", context, n, different);
    }
    model.prefill(context, 100);
    const bool pieces = same(model.decode({model.row(context)}).front(), alone.front());
    std::printf("{\"check\": \"pieces\", \"context\": %d, \"n\": 1, \"different\": %d}\n", context, pieces ? 0 : 1);
}

/** Branch b = sequence b + 1; the context belongs to all. Branches lie one after the other in the cache. */
void check_tree(Model& model, int context) {
    model.prefill(context, 256);
    std::vector<std::vector<Row>> branches;
    std::vector<std::vector<Logits>> chains;
    std::vector<Logits> next;
    for (int b = 0; b < BRANCHES; ++b) {
        std::vector<Row> chain;
        for (int i = 0; i < DEPTH; ++i)
            chain.push_back(model.row(context + i, b + 1));
        llama_memory_seq_rm(model.memory(), 0, context, -1);
        chains.push_back(model.decode(chain));
        next.push_back(model.decode({model.row(context + DEPTH)}).front());
        branches.push_back(chain);
    }
    llama_memory_seq_rm(model.memory(), 0, context, -1);
    std::vector<Row> tree;
    for (int b = 0; b < BRANCHES; ++b) {
        llama_memory_seq_cp(model.memory(), 0, b + 1, -1, -1);
        for (auto row : branches[b]) {
            row.sequences = {b + 1};
            tree.push_back(row);
        }
    }
    const auto rows = model.decode(tree);
    int different = 0;
    for (int b = 0; b < BRANCHES; ++b) {
        for (int i = 0; i < DEPTH; ++i)
            different += same(rows[b * DEPTH + i], chains[b][i]) ? 0 : 1;
    }
    std::printf("{\"check\": \"tree\", \"context\": %d, \"n\": %zu, \"different\": %d}\n", context, tree.size(),
                different);
    // Commit the last branch where it lies. The other branches' cells stay taken, by a sequence that no row sees:
    // freed, they would be filled with later tokens, and cells would no longer lie in order of position.
    const int kept = BRANCHES - 1, graveyard = BRANCHES + 1;
    llama_memory_seq_cp(model.memory(), kept + 1, 0, context, context + DEPTH);
    for (int b = 0; b < BRANCHES; ++b) {
        if (b != kept) llama_memory_seq_cp(model.memory(), b + 1, graveyard, context, context + DEPTH);
        llama_memory_seq_rm(model.memory(), b + 1, -1, -1);
    }
    const auto after = model.decode({model.row(context + DEPTH)}).front();
    std::printf("{\"check\": \"commit\", \"context\": %d, \"n\": 1, \"different\": %d}\n", context,
                same(after, next[kept]) ? 0 : 1);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 5) fail("batch_invariance LIBRARY MODEL THREADS CONTEXT...");
    llama_log_set(
        [](ggml_log_level level, const char* text, void*) {
            if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
        },
        nullptr);
    if (ggml_backend_load(argv[1]) == nullptr) fail("the library could not be loaded");
    llama_backend_init();
    int longest = 0;
    for (int i = 4; i < argc; ++i)
        longest = std::max(longest, std::atoi(argv[i]));
    Model model(argv[2], std::atoi(argv[3]), longest + 2 * BATCH);
    for (int i = 4; i < argc; ++i) {
        check_batches(model, std::atoi(argv[i]));
        if (std::atoi(argv[i]) > 0) check_tree(model, std::atoi(argv[i]));
        std::fflush(stdout);
    }
    return 0;
}
