"""What `fit` has learned, in parts that are small enough to be carried away alone."""

import json
from pathlib import Path

import torch
from torch import Tensor

from ..config import Config
from ..tensor_file import save_tensors

PARTS = 2


def fit_folder(config: Config) -> Path:
    """Where `fit` keeps what it has learned."""
    return config.work / ("fit_autoregressive" if config.autoregressive else "fit")


def weights_path(folder: Path, part: int) -> Path:
    """One part of the weights."""
    return folder / f"weights-{part + 1}.pt"


def write_fitted(folder: Path, weights: dict[str, Tensor], recipe: dict[str, object]) -> None:
    """Write them, floating-point numbers as fp16."""
    small = {name: value.half() if value.is_floating_point() else value.int() for name, value in weights.items()}
    for part in range(PARTS):
        own = {name: value for i, (name, value) in enumerate(small.items()) if i % PARTS == part}
        piece = {"weights": own, "recipe": json.dumps(recipe)}
        save_tensors(weights_path(folder, part), piece)


def read_fitted(folder: Path, device: str) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Weights and recipe out of the parts that `fit` wrote."""
    weights: dict[str, Tensor] = {}
    recipe: dict[str, object] = {}
    for part in range(PARTS):
        piece = torch.load(weights_path(folder, part), map_location=device, weights_only=True)
        own = json.loads(piece["recipe"])
        if recipe and own != recipe:
            raise SystemExit(f"{folder} holds parts of two different weights; bring both parts of one run.")
        recipe = own
        for name, value in piece["weights"].items():
            weights[name] = value.float() if value.is_floating_point() else value.long()
    return weights, recipe
