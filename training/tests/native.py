"""The native programs as the parity tests run them: what is built, never built by the tests."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from specdiff_train.config import REPOSITORY

# Another clone's build can be tested against, too.
BUILT = Path(os.environ.get("SPECDIFF_BUILT", REPOSITORY))
LENGTHS = (1, 7, 256, 1024)


def program(name: str) -> tuple[Path, Path]:
    """A native program and the folder of llama.cpp's libraries; skips where either is missing."""
    path = BUILT / "build" / "native" / f"specdiff-{name}{'.exe' if os.name == 'nt' else ''}"
    libraries = sorted((BUILT / "dist" / "native").glob("*/specdiff.node"))
    if not path.exists() or not libraries:
        pytest.skip(f"{path} isn't built; run `npm run build` and `node scripts/training.mjs` once.")
    return path, libraries[0].parent


def run(command: list[object], text: str) -> bytes:
    """Standard output of a program that reads `text`."""
    result = subprocess.run([str(part) for part in command], input=text.encode(), capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def causal_log_probabilities(model: Path, sequences: list[list[int]], vocab: int) -> list[np.ndarray]:
    """ln p of every token at every position, [T, vocab] for each sequence, by specdiff-taps."""
    path, libraries = program("taps")
    longest = max(map(len, sequences))
    command = [path, "--target", model, "--native", libraries, "--cache", "f32", "--top", vocab]
    lines = "".join(f"0 0 {' '.join(map(str, tokens))}\n" for tokens in sequences)
    data = run([*command, "--context", longest, "--threads", 1], lines)
    result, place = [], 0
    for tokens in sequences:
        rows = len(tokens)
        ids = np.frombuffer(data, np.int32, rows * vocab, place).reshape(rows, vocab)
        place += ids.nbytes
        chances = np.frombuffer(data, np.float32, rows * vocab, place).reshape(rows, vocab)
        place += chances.nbytes
        ordered = np.zeros((rows, vocab), np.float32)
        np.put_along_axis(ordered, ids, np.log(chances), -1)
        result.append(ordered)
    assert place == len(data)
    return result


def window_logits(model: Path, windows: list[tuple[float, int, int, list[int]]], rows: int) -> list[np.ndarray]:
    """Raw logits [T − first, rows] from row `first` on of windows (σ, frozen, first, tokens), by specdiff-logits."""
    path, libraries = program("logits")
    lines = "".join(
        f"{noise} {frozen} {first} {len(tokens) - first} {' '.join(map(str, tokens))}\n"
        for noise, frozen, first, tokens in windows
    )
    data = run([path, "--model", model, "--native", libraries, "--threads", 1], lines)
    result, place = [], 0
    for _, _, first, tokens in windows:
        count = len(tokens) - first
        result.append(np.frombuffer(data, np.float32, count * rows, place).reshape(count, rows))
        place += count * rows * 4
    assert place == len(data)
    return result
