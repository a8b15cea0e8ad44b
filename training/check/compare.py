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

from specdiff_train import data
from specdiff_train.checkpoint import drafter_of
from specdiff_train.checkpoint import load as load_checkpoint
from specdiff_train.config import Config
from specdiff_train.drafter import Drafter
from specdiff_train.export import write_gguf
from specdiff_train.target import Target

CASES = 12
Case = tuple[torch.Tensor, np.ndarray, int, torch.Tensor]


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
    state = load_checkpoint(args.checkpoint, "cpu")
    drafter = drafter_of(config, target, state.get("model", state))
    shard = data.load(config.work / "answers", "validation", target, config.taps, config.block)[0]
    cases: list[Case] = []
    for b in range(min(CASES, len(shard.tokens))):
        anchor = shard.prompt_tokens + 3 * b
        seeds = shard.seeds[b, anchor] if b % 2 == 0 else torch.full((config.block,), -1)
        cases.append((shard.tokens[b], shard.taps[b, :anchor], anchor, seeds))
    lines = []
    for tokens, _, anchor, seeds in cases:
        slots = [int(tokens[anchor]), *(int(s) if s >= 0 else drafter.mask_id for s in seeds[: config.block - 1])]
        lines.append(" ".join(map(str, [anchor, *tokens[:anchor].tolist(), len(slots), *slots])))
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
            f"check: {label}: taps served/PyTorch differ by up to {max(taps_errors):.4f} (the target's quantized "
            f"arithmetic); logits on the served taps by {np.median(errors):.4f} (median), {max(errors):.4f} (worst); "
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
    for tokens, torch_taps, anchor, seeds in cases:
        taps = out[place : place + anchor * row].reshape(anchor, row)
        place += anchor * row
        logits = out[place : place + config.block * vocabulary].reshape(config.block, vocabulary)
        place += config.block * vocabulary
        taps_errors.append(relative(taps, torch_taps.astype(np.float32)))
        served = torch.from_numpy(taps.copy())[None]
        with torch.no_grad():
            ours = drafter(tokens[None], served, torch.tensor([[anchor]]), seeds[None, None])[0, 0].numpy()
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
