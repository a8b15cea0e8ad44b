"""Lets other measurements have the machine: work stops while a file exists."""

import os
import time
from pathlib import Path

from .config import TRAINING


def pause_file() -> Path:
    """SPECDIFF_TRAIN_PAUSE, else training/work/PAUSE."""
    return Path(os.environ.get("SPECDIFF_TRAIN_PAUSE") or TRAINING / "work" / "PAUSE")


def wait_while_paused() -> float:
    """Wait while the pause file exists; returns the seconds waited."""
    path = pause_file()
    begun = time.monotonic()
    told = False
    while path.exists():
        if not told:
            print(f"paused: {path} exists", flush=True)
            told = True
        time.sleep(1.0)
    return time.monotonic() - begun
