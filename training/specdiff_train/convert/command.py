"""`python -m specdiff_train convert FOLDER OUTPUT.gguf`: a published checkpoint to a GGUF.

FOLDER holds config.json and model.safetensors or pytorch_model.bin of SEDD (absorbing), MDLM, GPT-2 or GPT-Neo.
The tokenizer is GPT-2's, from the same folder or from --tokenizer.
"""

import argparse
from pathlib import Path

from .ddit import ddit_model, mdlm_shape, sedd_shape
from .gpt import gpt2_model, gpt2_shape, gpt_neo_model, gpt_neo_shape
from .model_file import TYPES, ModelFile, write_model
from .tokenizer import Gpt2Tokenizer
from .weights import read_config, read_tensors

LICENCES = {"sedd": "mit", "mdlm": "apache-2.0", "gpt2": "mit", "gpt_neo": "mit"}


def run(arguments: list[str]) -> None:
    """Parse the arguments and convert."""
    parser = argparse.ArgumentParser(prog="specdiff_train convert", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    parser.add_argument("output", type=Path, help="GGUF to write")
    parser.add_argument("--type", choices=TYPES, default="q8_0", help="type of the matrices")
    parser.add_argument("--tokenizer", type=Path, help="folder of the tokenizer, where it isn't the checkpoint's")
    parser.add_argument("--name", help="general.name; the folder's name otherwise")
    given = parser.parse_args(arguments)
    convert(given.checkpoint, given.output, given.type, given.tokenizer, given.name)


def convert(
    checkpoint: Path, output: Path, type_name: str, tokenizer: Path | None = None, name: str | None = None
) -> None:
    """Convert one checkpoint; SystemExit with one sentence where it can't be."""
    config = read_config(checkpoint)
    kind = kind_of(config)
    words = Gpt2Tokenizer(tokenizer or checkpoint)
    model, rows, mask = build(kind, config, checkpoint, name or checkpoint.resolve().name)
    write_model(model, type_name, output, words.adder(rows, mask))


def kind_of(config: dict[str, object]) -> str:
    """Which of the four a config.json describes."""
    kind = config.get("model_type")
    if kind in ("mdlm", "gpt2", "gpt_neo"):
        return str(kind)
    if kind is None and "graph" in config and "model" in config:
        return "sedd"
    raise SystemExit(
        f"convert: config.json has model_type {kind!r}; SEDD, mdlm, gpt2 and gpt_neo checkpoints can be converted."
    )


def build(kind: str, config: dict[str, object], checkpoint: Path, name: str) -> tuple[ModelFile, int, int | None]:
    """The GGUF's contents, the rows of vocabulary and the mask's id."""
    licence = LICENCES[kind]
    if kind in ("sedd", "mdlm"):
        shape = sedd_shape(config) if kind == "sedd" else mdlm_shape(config)
        timed = kind == "sedd" or config.get("time_conditioning") is True
        return ddit_model(kind, shape, timed, read_tensors(checkpoint), name, licence), shape.vocab, shape.mask_id
    if kind == "gpt2":
        sizes = gpt2_shape(config)
        return gpt2_model(sizes, read_tensors(checkpoint), name, licence), sizes.vocab, None
    sizes = gpt_neo_shape(config)
    return gpt_neo_model(sizes, read_tensors(checkpoint), name, licence), sizes.vocab, None
