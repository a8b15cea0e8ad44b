"""The project's own engine as the pipeline runs it: the programs of native/training, the bundle of training/answers."""

import os
import subprocess
from pathlib import Path

from .config import REPOSITORY

BUILD = REPOSITORY / "build"
ANSWERS_BUNDLE = BUILD / "training" / "answers.js"


def build() -> None:
    """Build the programs (quick when nothing changed); its output goes to stderr."""
    result = subprocess.run(["node", "scripts/training.mjs"], cwd=REPOSITORY, stdout=2)
    if result.returncode != 0:
        raise SystemExit("engine: the native programs could not be built; see the lines above, or run `npm run build`.")


def program(name: str) -> Path:
    """Path of a native program of the pipeline."""
    return BUILD / "native" / f"specdiff-{name}{'.exe' if os.name == 'nt' else ''}"


def libraries() -> Path:
    """Folder of llama.cpp's libraries and our kernels."""
    folders = sorted((REPOSITORY / "dist" / "native").glob("*/specdiff.node"))
    if not folders:
        raise SystemExit("engine: no native libraries below dist/native; run `npm run build` once.")
    return folders[0].parent
