"""Where the product's stop rules end each decoded answer: WORK/cut.npz; and the answers so cut, as shards of the
ordinary kind (WORK/answers/train_{index}.jsonl), for training, phrases and evaluation here.
"""

from pathlib import Path
from typing import Any

import numpy as np

from .. import engine
from ..answers import shard_path
from ..config import Config
from ..requests import Asked, Corpus
from ..storage import read_jsonl, save_arrays, write_jsonl
from ..vocabulary import Vocabulary
from .asked import AskedShard, Flat, folder_of, in_processes, replayed
from .decode import decoded_path


def cut_path(config: Config) -> Path:
    """By shard, how many tokens of each answer are kept."""
    return config.work / "cut.npz"


def cut(config: Config) -> None:
    """Replay every decoded shard that is not in WORK/answers, then write WORK/cut.npz."""
    engine.build()
    folder = config.work / "answers"
    indices = sorted(int(path.stem) for path in decoded_path(config, 0).parent.glob("*.npz"))
    missing = [index for index in indices if not shard_path(folder, "train", index).exists()]
    if missing:
        corpus = Corpus(read_jsonl(config.work / "corpus" / "train.jsonl"))
        pieces = Vocabulary(config.target).pieces()

        def work(own: list[int]) -> None:
            recorded = {index: recorded_tokens(decoded_path(config, index), pieces) for index in own}
            for index, asked, answers in replayed(config, corpus, recorded):
                write_jsonl(shard_path(folder, "train", index), rows_of(config, index, asked, answers))

        in_processes(work, missing)
    kept = {}
    for index in indices:
        rows = read_jsonl(shard_path(folder, "train", index))
        kept[f"{index:05d}"] = np.array([len(row["answer"]) for row in rows], np.uint8)

    save_arrays(cut_path(config), **kept)
    print(f"cut: {len(indices)} shards, {sum(int(lengths.sum()) for lengths in kept.values())} tokens kept")


def rows_of(config: Config, index: int, asked: list[Asked], answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A shard's answers in the form that the engine's have."""
    shard = AskedShard.load(folder_of(config) / f"{index:05d}.npz")
    parts = zip(shard.prompts.lists(), shard.lookups.lists(), answers, asked, strict=True)
    return [
        {**answer, "id": number, "prompt": prompt.tolist(), "lookup": lookup.tolist(), **one.kept}
        for number, (prompt, lookup, answer, one) in enumerate(parts)
    ]


def recorded_tokens(path: Path, pieces: list[str]) -> dict[int, list[int | str]]:
    """Each answer of a decoded shard as training/answers reads it."""
    with np.load(path) as file:
        answers = Flat(file["tokens"], file["lengths"])
        return {
            number: [part for token in answer.tolist() for part in (token, pieces[token])]
            for number, answer in enumerate(answers.lists())
        }
