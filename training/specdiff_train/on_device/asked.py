"""What the target is asked, in tokens: WORK/asked/{index}.npz, one file a training shard.

Prompts, lookup texts and limits are the product's (training/answers); the requests come from `requests.shard_requests`,
so that `cut` can ask for the very same ones again.
"""

import json
import multiprocessing
import subprocess
import threading
from collections.abc import Callable, Iterator
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

        in_processes(work, missing)
    print(f"asked: {len(wanted)} shards in {folder}")


def in_processes(work: Callable[[list[int]], None], indices: list[int]) -> None:
    """`work` in WORKERS processes, each with its share of the indices; they have what this one has (the corpus)."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(indices[first::WORKERS],)) for first in range(WORKERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("asked: stopped; see the lines above. What is complete stays; run again to go on.")


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
    stdin, stdout = process.stdin, process.stdout
    pending: dict[int, list[Asked]] = {}

    def send() -> None:
        try:
            for index, tokens in recorded.items():
                asked = shard_requests(corpus, f"{config.seed}/train/{index}", config.shard_prompts)
                pending[index] = asked
                for number, one in enumerate(asked):
                    line = {**one.request, "id": f"{index}/{number}", "recorded": tokens.get(number, [])}
                    stdin.write(json.dumps(line) + "\n")
            stdin.close()
        except BrokenPipeError:
            pass  # its end is told by the reader

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    answers: dict[int, dict[int, dict[str, Any]]] = {}
    done = 0
    for line in stdout:
        answer = json.loads(line)
        index, number = map(int, answer["id"].split("/"))
        own = answers.setdefault(index, {})
        own[number] = answer
        if len(own) == len(pending[index]):
            del answers[index]
            done += 1
            asked = pending.pop(index)
            yield index, asked, [own[n] for n in range(len(asked))]
    if process.wait() != 0 or done < len(recorded):
        raise SystemExit("asked: the product's rules stopped; see the line above. Run again to go on.")
