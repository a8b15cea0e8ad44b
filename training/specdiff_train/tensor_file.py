"""Tensors in files that are either complete or absent."""

import io
from pathlib import Path
from typing import Any

import torch

from .storage import write_atomic


def save_tensors(path: Path, state: dict[str, Any]) -> None:
    """What torch.save takes, atomically. By way of memory: torch's own writer does not say that a disk is full."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, lambda part: part.write_bytes(buffer.getbuffer()))
