"""What lookup and phrases give after each token of the decoded and cut answers: WORK/looked_up/{index}.npz."""

import multiprocessing
from pathlib import Path

import numpy as np

from ..config import Config
from ..features import looked_up, with_phrases
from ..phrases import Counts, Phrases, counted, texts
from ..shards import Sequence, Shard
from ..storage import save_arrays
from .asked import AskedShard, Flat, folder_of
from .cut import cut_path
from .decode import decoded_path


def looked_up_path(config: Config, index: int) -> Path:
    """Seeds of a shard's answers, as far as they are kept."""
    return config.work / "looked_up" / f"{index:05d}.npz"


def look_up(config: Config) -> None:
    """Look up for every shard that is cut, in `threads` processes."""
    with np.load(cut_path(config)) as kept:
        lengths = {int(name): kept[name] for name in kept.files}
    missing = {index: kept for index, kept in lengths.items() if not looked_up_path(config, index).exists()}
    if not missing:
        return  # `fit` asks again
    context = multiprocessing.get_context("fork")
    halves = [{i: n for i, n in lengths.items() if i % 2 == parity} for parity in (0, 1)]
    with context.Pool(2) as pool:
        counts = pool.starmap(phrases_of, [(config, half) for half in halves])
    # A shard never sees phrases that were counted in its own answers.
    books = Phrases(counts[0]), Phrases(counts[1])
    with context.Pool(max(1, config.threads), share, (books,)) as pool:
        pool.starmap(look_up_shard, [(config, index, kept) for index, kept in missing.items()], chunksize=1)
    print(f"look_up: {len(lengths)} shards")


def phrases_of(config: Config, lengths: dict[int, np.ndarray]) -> Counts:
    """Phrases of these shards' answers."""
    shards = (kept_shard(config, index, kept) for index, kept in lengths.items())
    return counted(texts(shards, config.phrase_tokens), config.phrase_entries)


shared_books: tuple[Phrases, Phrases]


def share(books: tuple[Phrases, Phrases]) -> None:
    """What every worker has."""
    global shared_books
    shared_books = books


def kept_shard(config: Config, index: int, kept: np.ndarray) -> Shard:
    """A shard's kept answers."""
    asked = AskedShard.load(folder_of(config) / f"{index:05d}.npz")
    with np.load(decoded_path(config, index)) as file:
        answers = Flat(file["tokens"], file["lengths"])
    parts = zip(
        asked.prompts.lists(),
        asked.lookups.lists(),
        answers.lists(),
        kept.tolist(),
        asked.temperatures.tolist(),
        strict=True,
    )
    sequences = [
        Sequence([*prompt.tolist(), *answer[:count].tolist()], len(prompt), lookup.tolist(), "", "", "", heat)
        for prompt, lookup, answer, count, heat in parts
    ]
    return Shard(decoded_path(config, index), sequences, [])


def look_up_shard(config: Config, index: int, kept: np.ndarray) -> None:
    """Seeds, matches and phrases at every place of the kept answers."""
    shard = kept_shard(config, index, kept)
    copied, matches = looked_up(shard, config.block)
    seeds, phrases = with_phrases(shard, copied, matches, lambda _: shared_books[1 - index % 2])
    save_arrays(looked_up_path(config, index), seeds=seeds, matches=matches, phrases=phrases)
