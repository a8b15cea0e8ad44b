"""What lookup and phrases give after each token of the decoded and cut answers: WORK/looked_up/{index}.npz."""

import multiprocessing
from pathlib import Path

import numpy as np

from ..config import Config
from ..features import looked_up, with_phrases
from ..phrases import PhraseBook, Phrases
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
    # Phrases are counted in the answers of before, none of which are among these.
    book = PhraseBook(config.work / "answers", config.phrase_tokens).all
    with multiprocessing.get_context("fork").Pool(max(1, config.threads), share, (book,)) as pool:
        pool.starmap(look_up_shard, [(config, index, kept) for index, kept in missing.items()], chunksize=1)
    print(f"look_up: {len(lengths)} shards")


shared_book: Phrases


def share(book: Phrases) -> None:
    """What every worker has."""
    global shared_book
    shared_book = book


def look_up_shard(config: Config, index: int, kept: np.ndarray) -> None:
    """Seeds, matches and phrases at every place of the kept answers."""
    asked = AskedShard.load(folder_of(config) / f"{index:05d}.npz")
    with np.load(decoded_path(config, index)) as file:
        answers = Flat(file["tokens"], file["lengths"])
    parts = zip(asked.prompts.lists(), asked.lookups.lists(), answers.lists(), kept.tolist(), strict=True)
    sequences = [
        Sequence([*prompt.tolist(), *answer[:count].tolist()], len(prompt), lookup.tolist(), "", "", "", 0.0)
        for prompt, lookup, answer, count in parts
    ]
    shard = Shard(decoded_path(config, index), sequences, [])
    copied, matches = looked_up(shard, config.block)
    seeds, phrases = with_phrases(shard, copied, matches, shared_book)
    save_arrays(looked_up_path(config, index), seeds=seeds, matches=matches, phrases=phrases)
