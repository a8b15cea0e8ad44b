#include "tapped_text.h"

#include "block_file.h"
#include "embedding_rows.h"
#include "error.h"
#include "llama_block_network.h"
#include "own_block_network.h"
#include "sampler.h"

#include <algorithm>
#include <string>
#include <utility>

namespace specdiff {

namespace {

/** Of a text behind its prompt, that taps find memory for at once. */
constexpr int ROWS_BEHIND = 64;

void require_next(bool next) {
    if (!next) throw Error("The drafter missed rows of the target: restart the engine.");
}

} // namespace

TappedText::TappedText(std::unique_ptr<BlockNetwork> network, size_t row_width)
    : network_(std::move(network)), row_width_(row_width) {}

int TappedText::pending_rows() const {
    const int seen = network_->first_seen(known_rows());
    return empty() ? known_rows() - seen : waiting() + std::max(left_out_ - seen, 0);
}

void TappedText::truncate(int length) {
    if (length >= known_rows()) return;
    const int kept = std::max(length - network_->rows(), 0);
    network_->truncate(length);
    left_out_ = std::min(left_out_, length);
    taps_.resize(floats(left_out_ + kept));
    if (taps_.empty()) taps_.shrink_to_fit(); // 11 KB a row of the default target
}

void TappedText::add(const TapRows& rows) {
    require_next(rows.position == known_rows());
    const size_t width = rows.taps.empty() ? 0 : row_width_ / rows.taps.size();
    // Of a prompt's first pieces, mostly all of it, at once, and of some text behind them.
    if (taps_.empty()) taps_.reserve(floats(rows.count + ROWS_BEHIND));
    for (int row = 0; row < rows.count; ++row) {
        for (const float* tap : rows.taps) {
            const float* values = tap + static_cast<size_t>(row) * width;
            taps_.insert(taps_.end(), values, values + width);
        }
    }
}

/** An empty network leaves out the rows that no slot will see; later the text may be cut so that one does. */
void TappedText::leave_out_unseen() {
    const int seen = network_->first_seen(known_rows());
    if (empty() && seen > left_out_) {
        network_->leave_out(seen - left_out_);
        left_out_ = seen;
    } else if (seen < left_out_) {
        network_->add_late(seen, taps_.data() + place(seen), left_out_ - seen);
        taps_.erase(taps_.begin() + place(seen), taps_.begin() + place(left_out_));
        left_out_ = seen;
    }
}

std::vector<SlotRow> TappedText::denoise(int length, const std::vector<int32_t>& slots, int first) {
    require_next(known_rows() == length);
    leave_out_unseen();
    const int before = network_->rows();
    const auto begin = place(left_out_);
    try {
        auto rows = network_->denoise(taps_.data() + begin, waiting(), slots, first);
        taps_.resize(floats(left_out_));
        return rows;
    } catch (...) {
        // What came into the network's cache before it threw stays there.
        const auto added = place(network_->rows() - before);
        taps_.erase(taps_.begin() + begin, taps_.begin() + begin + added);
        throw;
    }
}

std::unique_ptr<BlockNetwork> make_block_network(const DrafterResources& resources, const DrafterMetadata& metadata) {
    auto& target = resources.target;
    if (const auto layer = target.unreadable_tap()) {
        throw Error("The drafter " + metadata.name + " can't be used: the input of layer " + std::to_string(*layer) +
                    " can't be read from " + resources.target_file.text("general.architecture").value_or("these") +
                    " models; the n-gram drafter works with every target.");
    }
    if (resources.file) {
        const auto shape = block_shape(*resources.file, resources.target_file);
        if (!shape) return nullptr;
        const int cells = target.context_tokens() + metadata.block_size;
        return make_own_block_network(*resources.file, EmbeddingRows(resources.target_file, target.embedding()), *shape,
                                      cells, resources.threads, target.cancel_flag());
    }
    if (!resources.model) return nullptr;
    return make_llama_block_network(*resources.model, metadata, target, resources.threads);
}

std::vector<float> slot_distribution(const SlotRow& row, int vocabulary_size, double temperature) {
    std::vector<float> q;
    softmax(row.values, row.size, temperature, q);
    require_distribution(q);
    if (row.tokens == nullptr) return q;
    std::vector<float> all(static_cast<size_t>(vocabulary_size), 0.0F);
    for (int entry = 0; entry < row.size; ++entry)
        all[static_cast<size_t>(token_of(row, entry))] += q[static_cast<size_t>(entry)];
    return all;
}

} // namespace specdiff
