"""The target's answers to the asked shards, in large batches: WORK/decoded/{index}.npz. The product's stop rules have
not seen them yet (`cut`). What lookup and phrases give after each of their tokens is in WORK/looked_up/{index}.npz.
"""

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import Config
from ..features import looked_up, with_phrases
from ..phrases import PhraseBook, Phrases
from ..shards import Sequence, Shard
from ..storage import save_arrays
from ..target import Target
from ..vocabulary import Vocabulary
from .asked import AskedShard, Flat, folder_of
from .half_target import Cache, HalfTarget

# Shards that are decoded together, sequences in a batch, tokens of prompts evaluated at once.
TOGETHER = 60
BATCH = 2048
PREFILL_TOKENS = 2**16
# Lengths are rounded up to this, so that few different shapes occur.
STEP = 64


def decoded_path(config: Config, index: int) -> Path:
    """A decoded shard."""
    return config.work / "decoded" / f"{index:05d}.npz"


def looked_up_path(config: Config, index: int) -> Path:
    """Seeds of a decoded shard; written last, so a shard that has them is complete."""
    return config.work / "looked_up" / f"{index:05d}.npz"


def decode(config: Config) -> None:
    """Decode every asked shard that is not decoded."""
    paths = [p for p in sorted(folder_of(config).glob("*.npz")) if not looked_up_path(config, int(p.stem)).exists()]
    book = PhraseBook(config.work / "answers", config.phrase_tokens, config.phrase_entries).all
    begun, total = time.monotonic(), 0
    # The workers are there before the GPU is used: they only look up.
    with multiprocessing.get_context("fork").Pool(max(1, config.threads), share, (book,)) as pool:
        target = HalfTarget(Target(config.target, config.device))
        ends = torch.tensor(Vocabulary(config.target).ends, device=config.device)
        waiting = []
        for first in range(0, len(paths), TOGETHER):
            some = paths[first : first + TOGETHER]
            shards = [AskedShard.load(path) for path in some]
            answers = iter(decoded(target, shards, ends, config.seed + int(some[0].stem)))
            for path, shard in zip(some, shards, strict=True):
                own = [next(answers) for _ in shard.limits]
                total += sum(map(len, own))
                waiting.append(pool.apply_async(finish, (config, int(path.stem), shard, own)))
            seconds = time.monotonic() - begun
            print(f"decode: {first + len(some)} of {len(paths)} shards, {total / seconds:.0f} tokens/s", flush=True)
        for one in waiting:
            one.get()
    print(f"decode: {total} tokens in {time.monotonic() - begun:.0f} s")


def decoded(target: HalfTarget, shards: list[AskedShard], ends: Tensor, seed: int) -> list[list[int]]:
    """The answers of all shards' requests, in order: those of like limit and length together."""
    prompts = [prompt for shard in shards for prompt in shard.prompts.lists()]
    limits = np.concatenate([shard.limits for shard in shards])
    temperatures = np.concatenate([shard.temperatures for shard in shards])
    order = np.lexsort(([len(prompt) for prompt in prompts], limits))
    answers: list[list[int]] = [[] for _ in prompts]
    generator = torch.Generator(device=target.target.device).manual_seed(seed)
    for batch in batches(order, limits):
        written = written_by(
            target, [prompts[i] for i in batch], int(limits[batch[0]]), temperatures[batch], ends, generator
        )
        for i, answer in zip(batch, written, strict=True):
            answers[i] = answer
    return answers


def batches(order: np.ndarray, limits: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of at most BATCH requests with one limit."""
    for piece in np.split(order, np.flatnonzero(np.diff(limits[order])) + 1):
        yield from (piece[first : first + BATCH] for first in range(0, len(piece), BATCH))


@torch.no_grad()
def written_by(
    target: HalfTarget,
    prompts: list[np.ndarray],
    limit: int,
    temperatures: np.ndarray,
    ends: Tensor,
    generator: torch.Generator,
) -> list[list[int]]:
    """At most `limit` tokens after each prompt: greedy at temperature 0, else drawn; up to an end token."""
    device = target.target.device
    longest = max(map(len, prompts))
    room = -(-(longest + limit) // STEP) * STEP
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    padded = np.zeros((len(prompts), longest), np.int64)
    for row, prompt in zip(padded, prompts, strict=True):
        row[: len(prompt)] = prompt
    ids = torch.from_numpy(padded).to(device)
    cache = Cache.empty(target.target, len(prompts), room)
    last = torch.empty(len(prompts), target.target.width, device=device)
    size = max(1, PREFILL_TOKENS // longest)
    for first in range(0, len(prompts), size):
        part = slice(first, first + size)
        own = Cache(cache.keys[:, part], cache.values[:, part])
        hidden, _ = target.hidden(ids[part], cache=own)
        last[part] = hidden[torch.arange(len(hidden), device=device), lengths[part] - 1]
    heat = torch.from_numpy(temperatures).to(device)
    warm = torch.nonzero(heat > 0).squeeze(1)
    written = torch.empty(len(prompts), limit, dtype=torch.long, device=device)
    for step in range(limit):
        logits = target.logits(last)
        written[:, step] = logits.argmax(-1)
        if len(warm):
            # Gumbel's trick: the best of the noisy log-odds is a sample.
            noise = torch.empty(len(warm), logits.shape[1], device=device).exponential_(generator=generator)
            written[warm, step] = (logits[warm] / heat[warm, None] - noise.log()).argmax(-1)
        if step + 1 < limit:
            seen = min(room, -(-(longest + step + 1) // STEP) * STEP)
            last = target.step(written[:, step], lengths + step, cache, seen)
    ended = torch.isin(written, ends).int()
    count = torch.where(ended.any(1), ended.argmax(1) + 1, limit)
    return [tokens[:n] for tokens, n in zip(written.tolist(), count.tolist(), strict=True)]


shared_book: Phrases


def share(book: Phrases) -> None:
    """What every worker has."""
    global shared_book
    shared_book = book


def finish(config: Config, index: int, asked: AskedShard, answers: list[list[int]]) -> None:
    """Write a shard's answers, and look up after every token but each answer's last."""
    written = Flat.of(answers)
    save_arrays(decoded_path(config, index), tokens=written.tokens, lengths=written.lengths)
    sequences = [
        Sequence([*prompt.tolist(), *answer], len(prompt), lookup.tolist(), "", "", "", 0.0)
        for prompt, lookup, answer in zip(asked.prompts.lists(), asked.lookups.lists(), answers, strict=True)
    ]
    shard = Shard(decoded_path(config, index), sequences, [])
    copied, matches = looked_up(shard, config.block)
    seeds, phrases = with_phrases(shard, copied, matches, shared_book)
    save_arrays(looked_up_path(config, index), seeds=seeds, matches=matches, phrases=phrases)
