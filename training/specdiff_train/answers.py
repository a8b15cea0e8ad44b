"""The target's own answers, written by the project's engine under the product's prompts and stop rules.

Output: WORK/answers/{split}_{index}.jsonl, one answer a line: prompt, answer and lookup tokens, where it comes from and
which rule ended it. A shard that exists is complete. Only tokens are stored: hidden states are computed while training.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import engine
from .config import Config
from .identity import check_target
from .pause import pause_file, wait_while_paused
from .requests import Asked, Corpus, shard_requests
from .storage import read_jsonl, write_jsonl

# Longest prompt and answer: a summary's.
CONTEXT_TOKENS = 1024


def generate(config: Config) -> None:
    """Write validation, test and train shards until `answer_tokens` training tokens are there."""
    folder = config.work / "answers"
    check_target(config, folder)
    engine.build()
    held_out = [("validation", i) for i in range(config.validation_shards)]
    held_out += [("test", i) for i in range(config.test_shards)]
    for split, index in held_out:
        if not shard_path(folder, split, index).exists():
            write_shards(config, split, iter([index]))
    done = sum(answer_tokens(path) for path in folder.glob("train_*.jsonl"))
    if done < config.answer_tokens:
        write_shards(config, "train", missing_shards(folder), done)
    print(f"answers: complete in {folder}")


def missing_shards(folder: Path) -> Iterator[int]:
    """Indices of training shards that do not exist, without end."""
    index = 0
    while True:
        if not shard_path(folder, "train", index).exists():
            yield index
        index += 1


def write_shards(config: Config, split: str, indices: Iterator[int], done: int = 0) -> None:
    """Write shards one after the other; of training shards as many as `answer_tokens` needs."""
    folder = config.work / "answers"
    corpus = Corpus(read_jsonl(config.work / "corpus" / f"{split}.jsonl"))
    process = start(config)
    begun, written = time.monotonic(), 0
    pending: dict[int, list[Asked]] = {}
    answers: dict[int, list[dict[str, Any]]] = {}
    stop = threading.Event()
    failures: list[Exception] = []

    def send() -> None:
        assert process.stdin is not None
        try:
            for index in indices:
                asked = shard_requests(corpus, f"{config.seed}/{split}/{index}", config.shard_prompts)
                pending[index] = asked
                answers[index] = []
                for one in asked:
                    if stop.is_set():
                        return
                    wait_while_paused()
                    line = {**one.request, "id": f"{index}/{one.request['id']}"}
                    process.stdin.write(json.dumps(line) + "\n")
        except BrokenPipeError:
            pass  # its end is told by the reader
        except Exception as error:  # told by the reader, too
            failures.append(error)
        finally:
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    assert process.stdout is not None
    for line in process.stdout:
        answer = json.loads(line)
        index, number = map(int, answer.pop("id").split("/"))
        answers[index].append({"id": number, **answer, **pending[index][number].kept})
        written += len(answer["answer"])
        if len(answers[index]) < len(pending[index]):
            continue
        write_jsonl(shard_path(folder, split, index), sorted(answers.pop(index), key=lambda row: row["id"]))
        del pending[index]
        rate = written / (time.monotonic() - begun)
        share = f", {done + written} of {config.answer_tokens} tokens" if split == "train" else ""
        print(f"answers: {split} {index}{share}, {rate:.0f} tokens/s", flush=True)
        if split == "train" and done + written >= config.answer_tokens:
            stop.set()
            process.kill()
            process.wait()
            return
    code = process.wait()
    sender.join()
    if failures:
        raise SystemExit(f"answers: {split} prompts could not be made ({failures[0]}); what is complete stays.")
    if code != 0 or answers:
        raise SystemExit("answers: the engine stopped; see the line above. What is complete stays; run again to go on.")


def start(config: Config) -> "subprocess.Popen[str]":
    """The Node process that holds the product's rules and starts the batch program."""
    command = [
        "node", str(engine.ANSWERS_BUNDLE), "--target", str(config.target), "--native", str(engine.libraries()),
        "--program", str(engine.program("answers")), "--sequences", str(config.answer_sequences),
        "--threads", str(config.engine_threads), "--context", str(CONTEXT_TOKENS),
    ]  # fmt: skip
    env = {**os.environ, "SPECDIFF_TRAIN_PAUSE": str(pause_file())}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, bufsize=1)


def shard_path(folder: Path, split: str, index: int) -> Path:
    """The file whose presence says that a shard is complete."""
    return folder / f"{split}_{index:05d}.jsonl"


def answer_tokens(path: Path) -> int:
    """Answer tokens of a shard."""
    return sum(len(row["answer"]) for row in read_jsonl(path))
