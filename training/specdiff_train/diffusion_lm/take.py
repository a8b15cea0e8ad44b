"""A trained model in pieces that are small enough to be carried away from the machine that trained it, and back."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..storage import write_atomic, write_text
from ..tensor_file import save_tensors
from .settings import Settings

if TYPE_CHECKING:
    from .trainer import Trainer

PIECE_BYTES = 14 << 20


def piece_paths(settings: Settings) -> list[Path]:
    """The pieces in the work folder, in order."""
    found = settings.work.glob("weights-*.part")
    return sorted(found, key=lambda path: int(path.stem.partition("-")[2]))


def write_pieces(trainer: "Trainer") -> list[Path]:
    """Write what was learned as WORK/weights-1.part, … of `PIECE_BYTES` at most: matrices in fp16, of the output only
    the rows that are trained; no optimizer state. Returns the pieces' paths."""
    settings, state = trainer.settings, trainer.state()
    head = next(name for name, value in trainer.model.named_parameters() if value is trainer.head().weight)
    state["model"][head] = trainer.rows.detach()
    packed = {
        "model": {name: compact(value) for name, value in state["model"].items()},
        "head": head,
        "kept": trainer.kept.int().cpu(),
        **{name: state[name] for name in ("step", "elapsed", "identity", "recipe")},
        "log": log_path(settings).read_text(encoding="utf-8") if log_path(settings).exists() else "",
    }
    buffer = io.BytesIO()
    torch.save(packed, buffer)
    data = buffer.getvalue()
    for path in piece_paths(settings):
        path.unlink()
    paths = []
    for index, start in enumerate(range(0, len(data), PIECE_BYTES)):
        paths.append(settings.work / f"weights-{index + 1}.part")
        content = data[start : start + PIECE_BYTES]
        write_atomic(paths[-1], lambda part, content=content: put(part, content))
    return paths


def take(settings: Settings) -> None:
    """Make WORK/checkpoint.pt and WORK/log.jsonl of the pieces in WORK, for evaluate, export and more training."""
    from .trainer import checkpoint_path

    paths = piece_paths(settings)
    if not paths:
        raise SystemExit(f"take: no weights-1.part in {settings.work}; copy all pieces there, or give --work FOLDER.")
    data = io.BytesIO(b"".join(path.read_bytes() for path in paths))
    try:
        packed = torch.load(data, map_location="cpu", weights_only=True)
    except RuntimeError as error:
        raise SystemExit(f"take: the {len(paths)} pieces in {settings.work} aren't all there are: {error}") from None
    model: dict[str, Tensor] = {name: value.float() for name, value in packed["model"].items()}
    rows = model[packed["head"]]
    bias = model[packed["head"].replace("weight", "bias")]
    whole = torch.zeros(len(bias), rows.shape[1])
    whole[packed["kept"].long()] = rows
    model[packed["head"]] = whole
    state: dict[str, Any] = {name: packed[name] for name in ("step", "elapsed", "identity", "recipe")}
    save_tensors(checkpoint_path(settings), {**state, "model": model})
    write_text(log_path(settings), packed["log"])
    print(f"take: {checkpoint_path(settings)}: {json.dumps(state['recipe'])}")


def compact(value: Tensor) -> Tensor:
    """On the processor; a matrix in fp16."""
    return (value.half() if value.dim() > 1 else value).detach().cpu().clone()


def log_path(settings: Settings) -> Path:
    """Where training writes its validation figures."""
    return settings.work / "log.jsonl"


def put(path: Path, content: bytes) -> None:
    """Write a file."""
    path.write_bytes(content)
