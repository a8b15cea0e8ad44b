"""Command line: `python -m specdiff_convert FOLDER [--output FILE.gguf] [--type f16]`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from . import gpt2, gpt_neo, tokenizer
from .checkpoint import Checkpoint
from .model import TYPES, Model

ARCHITECTURES: dict[str, Callable[[Checkpoint], Model]] = {"gpt2": gpt2.convert, "gpt_neo": gpt_neo.convert}


def convert(folder: Path, output: Path, kind: str) -> Model:
    """Convert a checkpoint's folder to a GGUF file; returns what was written."""
    checkpoint = Checkpoint(folder)
    architecture = checkpoint.config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise SystemExit(
            f"convert: {folder} is of the architecture {architecture}; known are {', '.join(ARCHITECTURES)}. "
            "For others use llama.cpp's own converter."
        )
    model = ARCHITECTURES[architecture](checkpoint)
    model.write(output, folder.resolve().name, tokenizer.read(folder), kind)
    return model


def main() -> None:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(prog="specdiff_convert", description=__doc__)
    parser.add_argument("folder", type=Path, help="config.json, weights and tokenizer of a published checkpoint")
    parser.add_argument("--output", type=Path, help="default: FOLDER.gguf")
    parser.add_argument("--type", choices=TYPES, default="f16", dest="kind", help="of the matrices")
    given = parser.parse_args()
    output = given.output or given.folder.resolve().with_suffix(".gguf")
    model = convert(given.folder, output, given.kind)
    print(f"convert: {output}, {output.stat().st_size / 1e6:.1f} MB, context {model.context}")
    if model.note:
        print(f"convert: {model.note}")


if __name__ == "__main__":
    main()
