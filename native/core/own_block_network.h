#pragma once

#include "block_file.h"
#include "block_network.h"
#include "embedding_rows.h"
#include "gguf_file.h"
#include "threads.h"

#include <atomic>
#include <memory>

namespace specdiff {

/**
 * The network with a graph of ours: new rows and slots in one pass, logits of the draft's own tokens only. llama.cpp's
 * takes two, each with a graph built anew, and spreads the logits over the target's whole vocabulary.
 * `embedding`: the target's. `cells`: rows of text, and slots behind them, that the cache holds. `cancelled` ends a
 * running pass.
 * @throws Error where memory is short or a file can't be read.
 */
std::unique_ptr<BlockNetwork> make_own_block_network(const GgufFile& drafter, EmbeddingRows embedding,
                                                     const BlockShape& shape, int cells, ThreadPool& threads,
                                                     const std::atomic<bool>& cancelled);

} // namespace specdiff
