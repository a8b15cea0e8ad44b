"""Corpus text as training data that needs no generating: the target's prefill of it says what it would have written.

At any anchor in a text the target's greedy continuation is the text itself as far as the text's tokens are the target's
best ones, and then that best one. So the first labels of a block are exactly the target's own answer, at the price of a
prefill; make_batch ends a block's labels there. Output: WORK/answers/text_{index}.jsonl, in the form of an answer.
"""

import random
from typing import Any

from .answers import answer_tokens, shard_path
from .config import Config
from .identity import check_target
from .requests import Corpus
from .shards import TEXT
from .storage import read_jsonl, write_jsonl
from .vocabulary import Vocabulary

WINDOW_TOKENS = 512
# Rows before the first anchor: drafters are never asked at a text's very beginning.
LEAD_TOKENS = 24
CHARACTERS = 6 * WINDOW_TOKENS
LOOKUP_TOKENS = 512
LOOKUP_SHARE = 0.5


def write(config: Config) -> None:
    """Write shards until `text_tokens` tokens are there; a shard that exists is complete."""
    folder = config.work / "answers"
    check_target(config, folder)
    vocabulary = Vocabulary(config.target)
    corpus: Corpus | None = None
    index = done = 0
    while done < config.text_tokens:
        path = shard_path(folder, TEXT, index)
        if not path.exists():
            # Hundreds of megabytes: read only where something is left to write.
            corpus = corpus or Corpus(read_jsonl(config.work / "corpus" / "train.jsonl"))
            rng = random.Random(f"{config.seed}/{TEXT}/{index}")
            write_jsonl(path, [window(corpus, vocabulary, rng) for _ in range(config.shard_texts)])
        done += answer_tokens(path)
        index += 1
    print(f"texts: {index} shards, {done} tokens in {folder}")


def window(corpus: Corpus, vocabulary: Vocabulary, rng: random.Random) -> dict[str, Any]:
    """A piece of a random file, from a line's start; what follows it is for the lookup, as text after a cursor is."""
    while True:
        row = corpus.pick(rng)
        text = row["text"]
        start = text.rfind("\n", 0, rng.randrange(max(1, len(text) - CHARACTERS // 2))) + 1
        tokens = vocabulary.tokenize(text[start : start + 2 * CHARACTERS])
        if len(tokens) <= 2 * LEAD_TOKENS:
            continue
        following = tokens[WINDOW_TOKENS : WINDOW_TOKENS + LOOKUP_TOKENS] if rng.random() < LOOKUP_SHARE else []
        return {
            "prompt": tokens[:LEAD_TOKENS],
            "answer": tokens[LEAD_TOKENS:WINDOW_TOKENS],
            "lookup": following,
            "kind": TEXT,
            "temperature": 0.0,
            **{key: row[key] for key in ("language", "package", "licence", "path")},
        }
