"""What PyTorch gives for small SEDD, MDLM, GPT-2 and GPT-Neo models, for bench/gpu/measure.py to compare a GPU's with.

    python reference.py FOLDER    writes KIND.gguf, KIND.txt and KIND.npz; needs training/'s packages

Lines of a .txt are requests to specdiff-logits (σ, frozen, first, count, tokens) or specdiff-taps (tokens); `rows`
holds the raw logits or log-probabilities of the last rows of each.
"""

import sys
from pathlib import Path

import numpy as np
import torch

TRAINING = Path(__file__).resolve().parents[2] / "training"
sys.path[:0] = [str(TRAINING), str(TRAINING / "tests")]

from checkpoints import VOCAB, write_checkpoint  # noqa: E402
from specdiff_reference.samplers import window_sigma  # noqa: E402
from specdiff_train.convert.command import convert  # noqa: E402
from test_parity_ddit import MASK, frozen_logits, logits, window  # noqa: E402

LENGTHS = (1, 7, 256, 1024)
FROZEN = ((40, 24), (272, 256), (1024, 1008), (17, 1))
MOST_ROWS = 64


def diffusion(kind: str, model: torch.nn.Module) -> tuple[list[str], list[np.ndarray]]:
    """Whole windows of every length, and windows of which the first tokens are evaluated by themselves."""
    lines, rows = [], []

    def add(noise: float, frozen: int, ids: torch.Tensor, expected: np.ndarray) -> None:
        first = max(frozen, len(ids) - MOST_ROWS)
        tokens = " ".join(map(str, ids.tolist()))
        lines.append(f"{noise} {frozen} {first} {len(ids) - first} {tokens}")
        rows.append(expected[first - len(ids) :])

    for length in LENGTHS:
        ids = window(length, 0.4, length)
        noise = round(float(window_sigma(ids[None], MASK)), 6)
        add(noise, 0, ids, logits(kind, model, ids, noise))
    for length, frozen in FROZEN:
        ids = window(length, 0.3, length)
        add(0.7, frozen, ids, frozen_logits(kind, model, ids, 0.7, frozen))
    return lines, rows


def causal(model: torch.nn.Module) -> tuple[list[str], list[np.ndarray]]:
    """ln p of every token."""
    generator = torch.Generator().manual_seed(9)
    lines, rows = [], []
    for length in LENGTHS:
        tokens = torch.randint(0, VOCAB, (length,), generator=generator).tolist()
        with torch.no_grad():
            rows.append(model(torch.tensor([tokens]))[0].log_softmax(-1).numpy()[-MOST_ROWS:])
        lines.append(f"0 0 {' '.join(map(str, tokens))}")
    return lines, rows


def main(folder: Path) -> None:
    """Writes all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("sedd", "mdlm", "gpt2", "gpt_neo"):
        checkpoint = folder / f"{kind}-checkpoint"
        # Small enough that what an fp16 GELU rounds stays below the bound (training/tests/test_parity_gpt.py).
        options = {} if kind in ("sedd", "mdlm") else {"logit_scale": 0.15}
        model = write_checkpoint(checkpoint, kind, **options)
        convert(checkpoint, folder / f"{kind}.gguf", "f32")
        lines, rows = diffusion(kind, model) if kind in ("sedd", "mdlm") else causal(model)
        (folder / f"{kind}.txt").write_text("".join(f"{line}\n" for line in lines))
        np.savez(folder / f"{kind}.npz", rows=np.concatenate(rows), counts=[len(r) for r in rows])
        for file in checkpoint.iterdir():
            file.unlink()
        checkpoint.rmdir()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
