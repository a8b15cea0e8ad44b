"""Drafts by the engine's network (specdiff-logits) on an exported file: what quantizing and a frozen prefix cost."""

import subprocess
from pathlib import Path

import numpy as np

from .. import engine


class ServedDrafter:
    """One process that evaluates windows; drafts are the best tokens of all masked positions at once (T = 1)."""

    def __init__(self, model: Path, rows: int, mask_id: int, threads: int) -> None:
        self.rows, self.mask_id = rows, mask_id
        command = [str(engine.program("logits")), "--model", str(model), "--native", str(engine.libraries())]
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def draft(self, known: list[int], count: int, frozen: bool) -> list[int]:
        """Tokens after `known`; with `frozen` the known ones are evaluated by themselves, as serving does."""
        assert self.process.stdin and self.process.stdout
        prefix = len(known)
        window = " ".join(map(str, known + [self.mask_id] * count))
        self.process.stdin.write(f"0 {prefix if frozen else 0} {prefix} {count} {window}\n".encode())
        self.process.stdin.flush()
        size = count * self.rows * 4
        data = self.process.stdout.read(size)
        if len(data) < size:
            raise SystemExit("diffusion-lm: specdiff-logits stopped; see the line above.")
        logits = np.frombuffer(data, np.float32).reshape(count, self.rows).copy()
        logits[:, self.mask_id] = -np.inf
        return logits.argmax(-1).tolist()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
