"""What the target is asked, in tokens: WORK/asked/{index}.npz, one file a training shard.

Prompts, lookup texts and limits are the product's (training/answers); the requests come from `requests.shard_requests`,
so that `cut` can ask for the very same ones again.
"""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import engine
from ..config import Config
from ..identity import check_target
from ..requests import Asked, Corpus, shard_requests
from ..storage import read_jsonl, save_arrays

WORKERS = 2


@dataclass
class Flat:
    """P lists of tokens, one behind the other."""

    tokens: np.ndarray  # [sum of lengths] uint16 or int32
    lengths: np.ndarray  # [P] int32

    def lists(self) -> Iterator[np.ndarray]:
        """Each list."""
        end = 0
        for length in self.lengths.tolist():
            yield self.tokens[end : end + length]
            end += length

    @staticmethod
    def of(lists: list[list[int]]) -> "Flat":
        """From plain lists; two bytes a token where the ids allow it."""
        joined = np.array([token for tokens in lists for token in tokens], np.int32)
        small = joined.astype(np.uint16) if joined.max(initial=0) < 2**16 else joined
        return Flat(small, np.array([len(tokens) for tokens in lists], np.int32))


@dataclass
class AskedShard:
    """P requests of a shard, in their order."""

    prompts: Flat
    lookups: Flat
    temperatures: np.ndarray  # [P] float32
    limits: np.ndarray  # [P] int32, most tokens of an answer

    @staticmethod
    def load(path: Path) -> "AskedShard":
        """Read a file that `write` wrote."""
        with np.load(path) as file:
            return AskedShard(
                Flat(file["prompt_tokens"].copy(), file["prompt_lengths"]),
                Flat(file["lookup_tokens"].copy(), file["lookup_lengths"]),
                file["temperatures"],
                file["limits"],
            )

    def save(self, path: Path) -> None:
        """Write it, atomically."""
        save_arrays(
            path,
            prompt_tokens=self.prompts.tokens,
            prompt_lengths=self.prompts.lengths,
            lookup_tokens=self.lookups.tokens,
            lookup_lengths=self.lookups.lengths,
            temperatures=self.temperatures,
            limits=self.limits,
        )


def folder_of(config: Config) -> Path:
    """Where the asked shards lie."""
    return config.work / "asked"


def ask(config: Config) -> None:
    """Write the shards `first_shard` … `first_shard + asked_shards`; one that exists is complete."""
    check_target(config, config.work / "answers")
    engine.build()
    folder = folder_of(config)
    wanted = range(config.first_shard, config.first_shard + config.asked_shards)
    missing = [index for index in wanted if not (folder / f"{index:05d}.npz").exists()]
    if missing:
        corpus = Corpus(read_jsonl(config.work / "corpus" / "train.jsonl"))

        def work(indices: list[int]) -> None:
            for index, asked, answers in replayed(config, corpus, {index: {} for index in indices}):
                shard_of(asked, answers).save(folder / f"{index:05d}.npz")

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(work, [missing[worker::WORKERS] for worker in range(WORKERS)]))
    print(f"asked: {len(wanted)} shards in {folder}")


def shard_of(asked: list[Asked], answers: list[dict[str, Any]]) -> AskedShard:
    """A shard from its requests and what training/answers says of them."""
    return AskedShard(
        Flat.of([answer["prompt"] for answer in answers]),
        Flat.of([answer["lookup"] for answer in answers]),
        np.array([one.request["temperature"] for one in asked], np.float32),
        np.array([answer["maxTokens"] for answer in answers], np.int32),
    )


Replayed = Iterator[tuple[int, list[Asked], list[dict[str, Any]]]]


def replayed(config: Config, corpus: Corpus, recorded: dict[int, dict[int, list[int | str]]]) -> Replayed:
    """Of each shard: its requests, and the answers that the product's rules make of the recorded tokens (`[token, bytes
    in hex, …]` by request; none where there are none), in the order of the requests."""
    process = subprocess.Popen(
        ["node", str(engine.ANSWERS_BUNDLE), "--target", str(config.target), "--native", str(engine.libraries())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    for index, tokens in recorded.items():
        asked = shard_requests(corpus, f"{config.seed}/train/{index}", config.shard_prompts)
        answers: dict[int, dict[str, Any]] = {}
        # A shard fits the pipes' buffers on neither side, so it is written line by line while answers are read.
        for number, one in enumerate(asked):
            line = {**one.request, "id": str(number), "recorded": tokens.get(number, [])}
            process.stdin.write(json.dumps(line) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline() or "null")
            if answer is None:
                raise SystemExit("asked: the product's rules stopped; see the line above. Run again to go on.")
            answers[int(answer["id"])] = answer
        yield index, asked, [answers[number] for number in range(len(asked))]
    process.stdin.close()
    process.wait()
