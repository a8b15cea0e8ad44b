#include "model_file.h"

#include "block_file.h"
#include "ddit_file.h"
#include "error.h"
#include "utf8.h"

#include <ggml.h>
#include <llama.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace specdiff {

namespace {

const std::string DRAFTER_ARCHITECTURE = "dflash";
/** Slots of a standalone diffusion drafter, where its file says no fewer. */
constexpr int LONGEST_STANDALONE = 64;

/** Drafters, encoders, embedding and diffusion models: llama.cpp loads them, but they write no text from left to right.
 */
const std::set<std::string> NOT_CAUSAL = {
    "bert",         "modern-bert", "neo-bert",  "nomic-bert",      "nomic-bert-moe", "jina-bert-v2",
    "jina-bert-v3", "eurobert",    "t5encoder", "gemma-embedding", "llama-embed",    "wavtokenizer-dec",
    "clip",         "dream",       "llada",     "llada-moe",       "rnd1",           "dflash",
    "eagle3",       "sedd",        "mdlm"};

int64_t required(const GgufFile& file, const std::string& key, int64_t least, int64_t most) {
    const auto value = file.integer(key);
    if (!value) {
        throw Error("The model file " + utf8(file.path()) + " lacks " + key +
                    ": it is damaged or of an unknown kind; download it again.");
    }
    if (*value < least || *value > most) {
        throw Error("The model file " + utf8(file.path()) + " says " + key + " = " + std::to_string(*value) +
                    ", which can't be: it is damaged; download it again.");
    }
    return *value;
}

/** Values of a key that may be one for all layers or one a layer. */
void check_per_layer(const GgufFile& file, const std::string& key, int64_t layers, int64_t least, int64_t most) {
    if (const auto values = file.integers(key)) {
        if (static_cast<int64_t>(values->size()) < layers) {
            throw Error("The model file " + utf8(file.path()) + " has too few entries in " + key +
                        ": it is damaged; download it again.");
        }
        for (const auto value : *values) {
            if (value < 0 || value > most) {
                throw Error("The model file " + utf8(file.path()) + " has an impossible entry in " + key +
                            ": it is damaged; download it again.");
            }
        }
        return;
    }
    if (file.has(key)) required(file, key, least, most);
}

std::string architecture_of(const GgufFile& file) {
    const auto architecture = file.text("general.architecture");
    if (!architecture) {
        throw Error("The model file " + utf8(file.path()) +
                    " does not name its architecture: it is damaged or no language model; download it again.");
    }
    // It is a part of keys' names, and of what is said about them.
    const auto fine = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
    if (!std::all_of(architecture->begin(), architecture->end(), fine)) {
        throw Error("The model file " + utf8(file.path()) +
                    " names an architecture that can't be one: it is damaged; download it again.");
    }
    return *architecture == GPT_NEO ? GPT_NEO_GRAPH : *architecture;
}

/** Sizes that llama.cpp divides by or allocates from before it checks them. */
void check_sizes(const GgufFile& file, const std::string& architecture) {
    const auto layers = required(file, architecture + ".block_count", 1, 512);
    required(file, architecture + ".embedding_length", 1, 1 << 20);
    required(file, architecture + ".context_length", 1, int64_t{1} << 31);
    check_per_layer(file, architecture + ".attention.head_count", layers, 1, 4096);
    check_per_layer(file, architecture + ".attention.head_count_kv", layers, 0, 4096);
    check_per_layer(file, architecture + ".feed_forward_length", layers, 0, 1 << 24);
    for (const char* key : {".attention.key_length", ".attention.value_length", ".rope.dimension_count"}) {
        if (file.has(architecture + key)) required(file, architecture + key, 0, 1 << 16);
    }
}

/** Values outside what any model has would pass through llama.cpp into NaNs. */
void check_numbers(const GgufFile& file, const std::string& architecture) {
    for (const char* key : {".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon", ".rope.freq_base"}) {
        const auto value = file.number(architecture + key);
        if (value && (!std::isfinite(*value) || *value < 0)) {
            throw Error("The model file " + utf8(file.path()) + " has an impossible " + architecture + key +
                        ": it is damaged; download it again.");
        }
    }
}

std::vector<std::string> vocabulary_of(const GgufFile& file) {
    auto tokens = file.texts("tokenizer.ggml.tokens");
    if (!tokens || tokens->empty()) {
        throw Error("The model file " + utf8(file.path()) +
                    " has no vocabulary: choose a complete language model file.");
    }
    return std::move(*tokens);
}

/** llama.cpp asserts that no two tokens have the same text; empty ones get a text of their own first. */
void check_distinct(const GgufFile& file, const std::vector<std::string>& tokens) {
    std::unordered_set<std::string_view> seen;
    seen.reserve(tokens.size());
    for (const auto& token : tokens) {
        if (!token.empty() && !seen.insert(token).second) {
            throw Error("The model file " + utf8(file.path()) +
                        " has a token twice in its vocabulary: it is damaged; download it again.");
        }
    }
}

void check_special_tokens(const GgufFile& file, size_t vocabulary) {
    for (const char* key : {"bos_token_id", "eos_token_id", "eot_token_id", "unknown_token_id", "padding_token_id"}) {
        const auto id = file.integer(std::string("tokenizer.ggml.") + key);
        // -1 (as an unsigned number) means that there is none.
        if (id && *id != -1 && *id != 0xffffffffLL && (*id < 0 || *id >= static_cast<int64_t>(vocabulary))) {
            throw Error("The model file " + utf8(file.path()) + " has tokenizer.ggml." + key +
                        " outside its vocabulary: it is damaged; download it again.");
        }
    }
}

/** Width of one attention head. */
int64_t head_width(const GgufFile& file, const std::string& architecture) {
    const auto heads = file.integer(architecture + ".attention.head_count").value_or(1);
    const auto width = file.integer(architecture + ".embedding_length").value_or(0);
    return file.integer(architecture + ".attention.key_length").value_or(width / std::max<int64_t>(heads, 1));
}

[[noreturn]] void refuse(const GgufFile& drafter, const std::string& why) {
    throw Error("The drafter " + utf8(drafter.path().filename()) + " can't be used: " + why);
}

std::vector<int32_t> checked_taps(const GgufFile& drafter, int64_t target_layers) {
    const auto taps = drafter.integers(DRAFTER_ARCHITECTURE + ".target_layers");
    if (!taps || taps->empty())
        refuse(drafter, "it does not say which layers of the target it reads; convert it again.");
    for (const auto layer : *taps) {
        if (layer < 0 || layer >= target_layers) {
            refuse(drafter, "it reads layer " + std::to_string(layer) + " of a target with " +
                                std::to_string(target_layers) + " layers; choose the drafter made for this target.");
        }
    }
    return {taps->begin(), taps->end()};
}

/** Whether the tokens from `first` on only fill the vocabulary up to a round number. */
bool only_padding(const GgufFile& file, size_t first, size_t size) {
    const auto types = file.integers("tokenizer.ggml.token_type");
    if (!types || types->size() != size) return false;
    return std::all_of(types->begin() + static_cast<std::ptrdiff_t>(first), types->end(),
                       [](int64_t type) { return type == LLAMA_TOKEN_TYPE_UNUSED; });
}

/** `padding`: one of the two may have unused tokens behind the others (as models of one family of several sizes have).
 */
void check_same_tokens(const GgufFile& drafter, const GgufFile& target, bool padding) {
    const auto own = vocabulary_of(drafter);
    const auto other = vocabulary_of(target);
    const auto common = std::min(own.size(), other.size());
    const bool padded = padding && (own.size() > common ? only_padding(drafter, common, own.size())
                                                        : only_padding(target, common, other.size()));
    if (own.size() != other.size() && !padded) {
        refuse(drafter, "its tokenizer has " + std::to_string(own.size()) + " tokens and the target's has " +
                            std::to_string(other.size()) + "; choose the drafter made for this target.");
    }
    const auto end = own.begin() + static_cast<std::ptrdiff_t>(common);
    const auto different = std::mismatch(own.begin(), end, other.begin());
    if (different.first != end) {
        refuse(drafter, "its tokenizer is another than the target's (token " +
                            std::to_string(different.first - own.begin()) +
                            " differs); choose the drafter made for this target.");
    }
}

void check_tokenizer(const GgufFile& drafter, const GgufFile& target) {
    check_same_tokens(drafter, target, false);
    const auto mask = drafter.integer("tokenizer.ggml.mask_token_id");
    if (!mask || *mask < 0 || *mask >= static_cast<int64_t>(vocabulary_of(target).size())) {
        refuse(drafter, "its tokenizer names no mask token; convert it again.");
    }
}

/** llama.cpp asserts these while it builds the graph. */
void check_reduced_vocabulary(const GgufFile& drafter, int64_t vocabulary) {
    const auto* map = drafter.tensor("d2t");
    const auto* head = drafter.tensor("output.weight");
    if (map == nullptr) {
        if (head != nullptr && head->shape[1] != vocabulary) {
            refuse(drafter, "its output head has " + std::to_string(head->shape[1]) + " rows for " +
                                std::to_string(vocabulary) + " tokens; convert it again.");
        }
        return;
    }
    if (map->type != GGML_TYPE_I64 || map->shape[0] < 1 || head == nullptr || head->shape[1] != map->shape[0]) {
        refuse(drafter, "its reduced vocabulary does not fit its output head; convert it again.");
    }
    std::vector<bool> named(static_cast<size_t>(vocabulary));
    for (const auto token : drafter.read_int64(*map)) {
        if (token < 0 || token >= vocabulary)
            refuse(drafter, "its reduced vocabulary names unknown tokens; convert it again.");
        if (named[static_cast<size_t>(token)])
            refuse(drafter, "its reduced vocabulary names a token twice; convert it again.");
        named[static_cast<size_t>(token)] = true;
    }
}

} // namespace

void check_target_file(const GgufFile& file) {
    const auto architecture = architecture_of(file);
    if (architecture == DRAFTER_ARCHITECTURE || is_ddit(architecture)) {
        throw Error(utf8(file.path()) + " is a drafter, not a target: choose a causal language model.");
    }
    if (NOT_CAUSAL.count(architecture) != 0) {
        throw Error(utf8(file.path()) + " holds a model of architecture " + architecture +
                    ", which does not write text from left to right: choose a causal language model.");
    }
    check_sizes(file, architecture);
    check_numbers(file, architecture);
    if (file.boolean(architecture + ".attention.causal").value_or(true) == false ||
        file.integer(architecture + ".pooling_type").value_or(0) > 0) {
        throw Error(utf8(file.path()) + " holds an embedding model: choose a causal language model.");
    }
    const auto vocabulary = vocabulary_of(file);
    check_distinct(file, vocabulary);
    check_special_tokens(file, vocabulary.size());
    const auto multiplies = [](const TensorInfo& tensor) { return !only_for_activations(tensor.type); };
    if (!std::all_of(file.tensors().begin(), file.tensors().end(), multiplies)) {
        throw Error("The model file " + utf8(file.path()) +
                    " holds weights of a type that only activations have: it is damaged; download it again.");
    }
    if (file.tensors().empty()) {
        throw Error("The model file " + utf8(file.path()) + " holds no weights: choose a complete model file.");
    }
}

namespace {

DrafterMetadata check_causal_drafter(const GgufFile& drafter, const GgufFile& target) {
    const auto architecture = architecture_of(drafter);
    if (NOT_CAUSAL.count(architecture) != 0) {
        refuse(drafter, "its architecture is " + architecture +
                            ", neither a diffusion drafter (dflash, sedd, mdlm) nor a causal language model; choose "
                            "another file.");
    }
    check_target_file(drafter);
    check_same_tokens(drafter, target, true);
    DrafterMetadata metadata;
    metadata.kind = DrafterKind::causal;
    metadata.name = utf8(drafter.path().stem());
    return metadata;
}

/** Tokens of ids that both have must be the same; the mask's is an id that no text has. */
DrafterMetadata check_standalone_drafter(const GgufFile& drafter, const GgufFile& target) {
    const auto shape = check_ddit_file(drafter);
    const auto own = vocabulary_of(drafter);
    const auto other = vocabulary_of(target);
    if (own.size() > static_cast<size_t>(shape.vocabulary))
        refuse(drafter, "its tokenizer has more tokens than its network; convert it again.");
    for (size_t token = 0; token < std::min(own.size(), other.size()); ++token) {
        if (static_cast<int32_t>(token) == shape.mask || own[token] == other[token]) continue;
        refuse(drafter, "its tokenizer is another than the target's (token " + std::to_string(token) +
                            " differs); choose a drafter of the target's tokenizer.");
    }
    DrafterMetadata metadata;
    metadata.kind = shape.architecture == "sedd" ? DrafterKind::sedd : DrafterKind::mdlm;
    metadata.name = drafter.text("general.name").value_or(utf8(drafter.path().stem()));
    metadata.standalone_length = std::min(shape.block > 0 ? shape.block : LONGEST_STANDALONE, shape.context / 2);
    metadata.standalone_length = std::min(metadata.standalone_length, LONGEST_STANDALONE);
    return metadata;
}

/** Keys `specdiff.phrases.…`: four arrays of one length. */
std::vector<Phrases::Entry> checked_phrases(const GgufFile& drafter, int64_t vocabulary) {
    const auto column = [&](const char* name) {
        return drafter.integers(std::string("specdiff.phrases.") + name).value_or(std::vector<int64_t>());
    };
    const auto checks = column("checks");
    const auto tokens = column("tokens");
    const auto counts = column("counts");
    const auto second_counts = column("second_counts");
    const auto possible = [vocabulary](int64_t token) { return token >= 0 && token < vocabulary; };
    if (!std::all_of(tokens.begin(), tokens.end(), possible)) {
        refuse(drafter, "its phrases have tokens that the target lacks; download it again.");
    }
    if (checks.size() > Phrases::MOST_KNOWN) {
        refuse(drafter, "it has " + std::to_string(checks.size()) + " phrases, and at most " +
                            std::to_string(Phrases::MOST_KNOWN) + " are taken; export it with fewer.");
    }
    if (tokens.size() != checks.size() || counts.size() != checks.size() || second_counts.size() != checks.size()) {
        refuse(drafter, "its phrases are incomplete; download it again.");
    }
    const auto count = [](int64_t value) {
        constexpr int64_t MOST = std::numeric_limits<uint16_t>::max() / 2;
        return static_cast<uint16_t>(std::min(std::max<int64_t>(value, 0), int64_t{MOST}));
    };
    std::vector<Phrases::Entry> entries;
    entries.reserve(checks.size());
    for (size_t i = 0; i < checks.size(); ++i) {
        entries.push_back({static_cast<uint32_t>(checks[i]), static_cast<int32_t>(tokens[i]), count(counts[i]),
                           count(second_counts[i])});
    }
    return entries;
}

/** Whether these can be chances, in thousandths, that so many places are accepted: at most `places`, falling. */
bool falling_chances(const std::vector<int64_t>& reached, int places) {
    return reached.size() <= static_cast<size_t>(places) &&
           std::is_sorted(reached.begin(), reached.end(), std::greater<>()) &&
           std::all_of(reached.begin(), reached.end(), [](int64_t value) { return value >= 0 && value <= 1000; });
}

/** Keys `specdiff.survival.…`, in thousandths; what is usual where a file, of an older export too, has no slopes. */
PlaceChances chances_of(const GgufFile& drafter, int places) {
    PlaceChances chances = PlaceChances::usual();
    if (!drafter.integers("specdiff.survival.slope")) return chances;
    bool fits = true;
    const auto read = [&](const std::string& name, int size, std::vector<double>& values) {
        const auto thousandths = drafter.integers("specdiff.survival." + name).value_or(std::vector<int64_t>());
        fits = fits && thousandths.size() == static_cast<size_t>(size);
        values.clear();
        for (const auto value : thousandths)
            values.push_back(static_cast<double>(value) / 1000);
    };
    read("slope", places, chances.slope);
    read("rest", places, chances.rest);
    read("copied", places, chances.copied);
    read("absent", places, chances.absent);
    read("matched", NgramIndex::LONGEST, chances.matched);
    read("matched_copied", NgramIndex::LONGEST, chances.matched_copied);
    read("phrases", PlaceChances::PHRASES, chances.phrases);
    read("phrases_copied", PlaceChances::PHRASES, chances.phrases_copied);
    const auto reached = drafter.integers("specdiff.survival.reached").value_or(std::vector<int64_t>());
    if (!fits || !falling_chances(reached, places))
        refuse(drafter, "its calibration (specdiff.survival) does not fit its block; export it again.");
    for (const auto value : reached)
        chances.reached.push_back(static_cast<double>(value) / 1000);
    return chances;
}

} // namespace

bool is_standalone_diffusion(DrafterKind kind) {
    return kind == DrafterKind::sedd || kind == DrafterKind::mdlm;
}

DrafterMetadata check_drafter_file(const GgufFile& drafter, const GgufFile& target) {
    const auto architecture = architecture_of(drafter);
    if (is_ddit(architecture)) return check_standalone_drafter(drafter, target);
    if (architecture != DRAFTER_ARCHITECTURE) return check_causal_drafter(drafter, target);
    const auto target_architecture = architecture_of(target);
    check_sizes(drafter, architecture);
    check_numbers(drafter, architecture);
    const auto head = head_width(drafter, architecture);
    const auto rotated = drafter.integer(architecture + ".rope.dimension_count").value_or(head);
    if (rotated > head || rotated % 2 != 0 ||
        drafter.integer(architecture + ".attention.value_length").value_or(head) != head) {
        refuse(drafter, "its attention heads have impossible sizes; download it again.");
    }
    if (drafter.tensor("selector_hidden.weight") != nullptr) {
        refuse(drafter, "it is of the DFlash2 kind (with a selector), which is not supported yet; choose another.");
    }

    const auto width = drafter.integer(architecture + ".embedding_length").value_or(0);
    const auto target_width = target.integer(target_architecture + ".embedding_length").value_or(0);
    if (width != target_width) {
        refuse(drafter, "its hidden size is " + std::to_string(width) + " and the target's is " +
                            std::to_string(target_width) + "; choose the drafter made for this target.");
    }
    DrafterMetadata metadata;
    metadata.taps = checked_taps(drafter, target.integer(target_architecture + ".block_count").value_or(0));
    check_tokenizer(drafter, target);
    check_reduced_vocabulary(drafter, static_cast<int64_t>(vocabulary_of(target).size()));
    const auto* fuse = drafter.tensor("fc.weight");
    if (fuse == nullptr || fuse->shape[0] != width * static_cast<int64_t>(metadata.taps.size())) {
        refuse(drafter, "its fusion matrix does not fit its taps; convert it again.");
    }

    const bool markov = drafter.tensor("markov_w1.weight") != nullptr;
    if (drafter.boolean("specdiff.autoregressive").value_or(false)) metadata.kind = DrafterKind::tapped_causal;
    metadata.name = drafter.text("general.name").value_or(utf8(drafter.path().stem()));
    metadata.block_size = static_cast<int>(required(drafter, architecture + ".block_size", 1, 64));
    metadata.sample_from_anchor = drafter.boolean(architecture + ".sample_from_anchor").value_or(markov);
    metadata.mask = static_cast<int32_t>(drafter.integer("tokenizer.ggml.mask_token_id").value_or(0));
    metadata.slots_from_lookup = drafter.text("specdiff.slot_init").value_or("mask") == "lookup";
    metadata.phrases = checked_phrases(drafter, static_cast<int64_t>(vocabulary_of(target).size()));
    const bool one_by_one = metadata.kind == DrafterKind::tapped_causal;
    if (one_by_one && !(metadata.sample_from_anchor && block_shape(drafter, target)))
        refuse(drafter, "its slots are drafted one by one, in a graph that only llama.cpp knows; export it again.");
    if (metadata.max_draft_length() < 1) refuse(drafter, "its block has no slot to draft; convert it again.");
    metadata.chances = chances_of(drafter, metadata.max_draft_length());
    return metadata;
}

} // namespace specdiff
