"""The target's own answers: it continues documents and summarizes snippets; its hidden states are kept as fp16.

A drafter must be trained on what the target writes, with the features that serving produces (DFlash, arXiv 2602.06036).
Output: WORK/answers/{split}_{index}.taps.npy and, last, {split}_{index}.npz; a shard with an .npz is complete.
"""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .config import Config
from .cursors import cursor, document_tail
from .pause import wait_while_paused
from .storage import read_jsonl, write_array, write_atomic
from .target import Target
from .tokenizer import TargetTokenizer

MIX = {
    "python": 0.28,
    "javascript": 0.20,
    "typescript": 0.15,
    "go": 0.10,
    "rust": 0.07,
    "cpp": 0.06,
    "markdown": 0.07,
    "prose": 0.07,
}
PROMPT_TOKENS = (64, 96, 128, 192, 256)
PROMPT_WEIGHTS = (0.25, 0.25, 0.25, 0.15, 0.10)
HELD_OUT_PROMPT_TOKENS = (128, 192, 96, 256)
SUMMARY_EVERY = 8
SAMPLED_EVERY = 6
TEMPERATURE = 0.8


def generate(config: Config) -> None:
    """Write validation, test and train shards until `answer_tokens` training tokens are there."""
    folder = config.work / "answers"
    tokenizer = TargetTokenizer(config.target)
    torch.set_num_threads(config.threads)
    target: Target | None = None
    held_out = [("validation", i) for i in range(1)] + [("test", i) for i in range(config.evaluation_batches)]
    per_shard = config.answer_batch * config.answer_new
    train = [("train", i) for i in range(-(-config.answer_tokens // per_shard))]
    corpora: dict[str, list[dict[str, Any]]] = {}
    begun, written = time.monotonic(), 0
    for split, index in train[::-1] if config.backwards else held_out + train:
        if shard_path(folder, split, index).exists():
            continue
        wait_while_paused()
        target = target or Target(config.target, config.device)
        if max(config.taps) >= target.layer_count:
            raise SystemExit(f"answers: the target has {target.layer_count} layers; choose --taps below that.")
        if split not in corpora:
            corpora[split] = read_jsonl(config.work / "corpus" / f"{split}.jsonl")
        size = config.answer_batch if split == "train" else max(1, config.answer_batch // 2)
        make_shard(config, target, tokenizer, corpora[split], split, index, size)
        written += size * config.answer_new
        rate = written / (time.monotonic() - begun)
        print(
            f"answers: {split} {index + 1}/{len(train) if split == 'train' else '-'}, {rate:.0f} tokens/s", flush=True
        )
    print(f"answers: complete in {folder}")


def make_shard(
    config: Config,
    target: Target,
    tokenizer: TargetTokenizer,
    corpus: list[dict[str, Any]],
    split: str,
    index: int,
    size: int,
) -> None:
    """One batch of equally long prompts; depends on nothing but the seed, the split and the index."""
    rng = random.Random(f"{config.seed}/{split}/{index}")
    held_out = split != "train"
    lengths = HELD_OUT_PROMPT_TOKENS
    length = lengths[index % len(lengths)] if held_out else rng.choices(PROMPT_TOKENS, PROMPT_WEIGHTS)[0]
    summary = index % SUMMARY_EVERY == SUMMARY_EVERY - 1 if not held_out else index % 4 == 3
    temperature = TEMPERATURE if not held_out and index % SAMPLED_EVERY == SAMPLED_EVERY - 1 else 0.0
    make = summary_prompt if summary else document_prompt
    if summary:
        length = max(length, 128)
    prompts = [make(corpus, tokenizer, rng, length) for _ in range(size)]
    generator = torch.Generator(config.device).manual_seed(rng.randrange(2**31))
    ids = torch.tensor([p[0] for p in prompts], device=config.device)
    tokens, taps = target.generate(ids, config.answer_new, config.taps, temperature, generator)
    if not torch.isfinite(taps).all():
        raise SystemExit("answers: a hidden state overflows fp16; this target needs fp32 taps.")
    ends = [answer_end(row, length, tokenizer.eos) for row in tokens.tolist()]
    folder = config.work / "answers"
    write_array(folder / f"{split}_{index:05d}.taps.npy", taps.numpy())

    def put(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(
                file,
                tokens=tokens.numpy().astype(np.int32),
                prompt_tokens=length,
                ends=np.array(ends),
                language=np.array([p[1]["language"] for p in prompts]),
                package=np.array([p[1]["package"] for p in prompts]),
                kind=np.array("summary" if summary else "document"),
                temperature=temperature,
            )

    write_atomic(shard_path(folder, split, index), put)


def shard_path(folder: Path, split: str, index: int) -> Path:
    """The file whose presence says that a shard is complete."""
    return folder / f"{split}_{index:05d}.npz"


def answer_end(row: list[int], prompt_tokens: int, eos: int) -> int:
    """Index just past the answer: its end-of-text token, or the row's end."""
    for i in range(prompt_tokens, len(row)):
        if row[i] in (eos, 0):
            return i + 1
    return len(row)


def pick(corpus: list[dict[str, Any]], rng: random.Random, code_only: bool) -> dict[str, Any]:
    """A file of a random language (by MIX), then a random package of it, then a random file of that."""
    by_language: dict[str, list[dict[str, Any]]] = {}
    for row in corpus:
        by_language.setdefault(row["language"], []).append(row)
    names = [n for n in MIX if n in by_language and not (code_only and n in ("markdown", "prose"))]
    language = rng.choices(names, [MIX[n] for n in names])[0]
    rows = by_language[language]
    package = rng.choice(sorted({row["package"] for row in rows}))
    return rng.choice([row for row in rows if row["package"] == package])


def document_prompt(
    corpus: list[dict[str, Any]], tokenizer: TargetTokenizer, rng: random.Random, length: int
) -> tuple[list[int], dict[str, Any]]:
    """The last `length` tokens before a cursor in a document."""
    while True:
        row = pick(corpus, rng, code_only=False)
        text = document_tail(row["text"], cursor(row["text"], rng), length * 8)
        ids = tokenizer.encode(text)
        if len(ids) >= length:
            return ids[-length:], row


def summary_prompt(
    corpus: list[dict[str, Any]], tokenizer: TargetTokenizer, rng: random.Random, length: int
) -> tuple[list[int], dict[str, Any]]:
    """A chat prompt of `length` tokens that asks for a summary of a snippet, as "Summarize Selection" does."""
    while True:
        row = pick(corpus, rng, code_only=True)
        head, tail = tokenizer.chat()
        ask = tokenizer.encode(f"Summarize this {row['language']} code in a few sentences:\n\n```{row['language']}\n")
        close = tokenizer.encode("\n```")
        room = length - len(head) - len(tail) - len(ask) - len(close)
        start = row["text"].rfind("\n", 0, rng.randrange(len(row["text"]))) + 1
        code = tokenizer.encode(row["text"][start : start + room * 8].rstrip())
        if len(code) >= room:
            return [*head, *ask, *code[:room], *close, *tail], row
