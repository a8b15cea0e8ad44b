"""Compares the exported drafter in stock llama.cpp with PyTorch: same tokens, same taps, nearly the same logits.

python check/compare.py --libraries DIR --headers DIR --target T.gguf --checkpoint C.pt
DIR of libraries: @node-llama-cpp/<platform>/bins/<platform>; DIR of headers: a llama.cpp checkout of the same version.
An fp32 export must agree closely (that is the layout); the types that are shipped are reported beside it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from specdiff_train.batches import Batch, Place, make_batch
from specdiff_train.checkpoint import drafter_of
from specdiff_train.checkpoint import load as load_checkpoint
from specdiff_train.config import Config
from specdiff_train.drafter import Drafter
from specdiff_train.export import write_gguf
from specdiff_train.features import FeatureStore
from specdiff_train.shards import load_split
from specdiff_train.target import Target

CASES = 12
# Tokens before the anchor, the anchor's token, and the drafter's input.
Case = tuple[list[int], int, Batch]


def main() -> None:
    """Build the C++ program, run the cases, compare; exit 1 where the fp32 export disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("libraries", "headers", "target", "checkpoint"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    config = Config(target=args.target)
    folder = config.work / "check"
    folder.mkdir(parents=True, exist_ok=True)
    program = build(args.libraries, args.headers, folder)

    torch.set_num_threads(1)
    target = Target(config.target)
    drafter = drafter_of(config, target, load_checkpoint(args.checkpoint, config)["model"])
    shard = load_split(config.work / "answers", "validation")[0]
    features = FeatureStore(config, target).get(shard)
    cases: list[Case] = []
    for index, sequence in enumerate(shard.sequences):
        if len(cases) == CASES or not sequence.anchors:
            break
        place = Place(index, sequence.anchors[-1])
        batch = make_batch(shard, features, [range(index, index + 1)], [[place]], config.block)
        if index % 2:
            batch.seeds[:] = -1
        cases.append((sequence.tokens[: place.anchor], sequence.tokens[place.anchor], batch))
    lines = []
    for before, anchor, batch in cases:
        slots = [anchor, *(s if s >= 0 else drafter.mask_id for s in batch.seeds[0, 0, : config.block - 1].tolist())]
        lines.append(" ".join(map(str, [len(before), *before, len(slots), *slots])))
    (folder / "cases.txt").write_text("\n".join(lines) + "\n")
    agree = True
    for quantized in (False, True):
        label = "as shipped" if quantized else "fp32"
        exported = folder / "drafter.gguf"
        write_gguf(config, target, drafter, exported, config.recipe(), quantized)
        out = folder / "out.bin"
        subprocess.run([program, args.libraries, args.target, exported, folder / "cases.txt", out], check=True)
        errors, taps_errors, same = compare(config, target, drafter, cases, np.fromfile(out, dtype=np.float32))
        print(
            f"check: {label}: taps of our engine and of stock llama.cpp differ by up to {max(taps_errors):.4f}; "
            f"logits on the served taps by {np.median(errors):.4f} (median), {max(errors):.4f} (worst); "
            f"same argmax in {same} of {len(cases) * config.block} slots"
        )
        agree = agree and (quantized or (np.median(errors) < 0.02 and same > 0.9 * len(cases) * config.block))
    if not agree:
        sys.exit("check: llama.cpp and PyTorch disagree about the drafter; the export's layout is wrong")


def compare(
    config: Config, target: Target, drafter: Drafter, cases: list[Case], out: np.ndarray
) -> tuple[list[float], list[float], int]:
    """Relative differences of logits and of taps case by case, and the number of slots with the same argmax."""
    row, vocabulary = len(config.taps) * target.width, target.head.shape[0]
    errors, taps_errors, same, place = [], [], 0, 0
    for before, _, batch in cases:
        anchor = len(before)
        taps = out[place : place + anchor * row].reshape(anchor, row)
        place += anchor * row
        logits = out[place : place + config.block * vocabulary].reshape(config.block, vocabulary)
        place += config.block * vocabulary
        seen = batch.visible[0, 0].numpy()
        taps_errors.append(relative(taps, batch.taps[0].numpy()[seen].astype(np.float32)))
        batch.taps = batch.taps.float()
        batch.taps[0, batch.visible[0, 0]] = torch.from_numpy(taps.copy())
        with torch.no_grad():
            ours = drafter(batch)[0, 0].numpy()
        theirs = logits[:, drafter.vocab.numpy()]
        errors.append(relative(theirs, ours))
        same += int((theirs.argmax(-1) == ours.argmax(-1)).sum())
    return errors, taps_errors, same


def build(libraries: Path, headers: Path, folder: Path) -> Path:
    """Compile dflash_logits.cpp against the prebuilt libraries."""
    program = folder / "dflash_logits"
    source = Path(__file__).with_name("dflash_logits.cpp")
    found = [next(libraries.glob(pattern)) for pattern in ("libllama.v*.so", "libggml.v*.so", "libggml-base.so")]
    includes = [f"-I{headers / part}" for part in ("include", "ggml/include", "src")]
    subprocess.run(
        ["g++", "-std=c++17", "-O1", *includes, source, *found, f"-Wl,-rpath,{libraries}", "-o", program], check=True
    )
    return program


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Norm of the difference over the norm of `b`."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


if __name__ == "__main__":
    main()
