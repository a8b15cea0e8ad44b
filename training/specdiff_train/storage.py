"""Files that are either complete or absent: written beside their place, then renamed."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill PATH.part, then rename it to PATH (atomic on one file system); a failure leaves neither."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    write_atomic(path, lambda part: _put_text(part, text))


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays to an .npz, atomically."""

    def put(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **arrays)

    write_atomic(path, put)


def reserve(path: Path) -> None:
    """Have the disk hold all of a file before it is written through memory: there a full disk would end the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, max(path.stat().st_size, 1))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _put_text(part: Path, text: str) -> None:
    part.write_text(text, encoding="utf-8")
