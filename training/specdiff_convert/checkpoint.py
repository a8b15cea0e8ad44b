"""A checkpoint's folder: config.json beside model.safetensors or pytorch_model.bin. No code in it is executed."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

Tensors = dict[str, np.ndarray]
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class Checkpoint:
    """Configuration and tensors [as published] of one folder; `take` checks names and shapes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_config(folder)
        self.tensors = read_tensors(folder)

    def number(self, *names: str) -> int:
        """The first of these keys of the configuration that holds a positive whole number."""
        for name in names:
            value = self.config.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
        raise SystemExit(f"convert: {self.folder / 'config.json'} has no {' or '.join(names)}; is it the model's own?")

    def epsilon(self) -> float:
        """What is added to variances before they divide."""
        value = self.config.get("layer_norm_epsilon", 1e-5)
        if not isinstance(value, float) or not 0 < value < 1:
            raise SystemExit(
                f"convert: layer_norm_epsilon in {self.folder / 'config.json'} is {value}; check the file."
            )
        return value

    def take(self, name: str, *shape: int) -> np.ndarray:
        """A tensor as float32, once."""
        tensor = self.tensors.pop(name, None)
        if tensor is None:
            raise SystemExit(f"convert: the checkpoint in {self.folder} has no tensor {name}; download it again.")
        if tensor.shape != shape:
            raise SystemExit(
                f"convert: tensor {name} is {list(tensor.shape)} where config.json asks for {list(shape)}; "
                "weights and config.json are of different models."
            )
        if not np.isfinite(tensor).all():
            raise SystemExit(f"convert: tensor {name} holds values that are no numbers; download the checkpoint again.")
        return tensor

    def finish(self, *unused: str) -> None:
        """Names what was left over. `unused`: endings of tensors that hold no weights (attention masks)."""
        left = [name for name in self.tensors if not name.endswith(unused)]
        if left:
            raise SystemExit(f"convert: tensor {left[0]} is unknown in this architecture; nothing was written.")


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit(f"convert: {folder} has no config.json; give the folder of a checkpoint.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SystemExit(f"convert: {path} is no JSON ({error}); download it again.") from None
    if not isinstance(config, dict):
        raise SystemExit(f"convert: {path} holds no object; download it again.")
    return config


def read_tensors(folder: Path) -> Tensors:
    """All tensors as float32 by their published names, without the prefix "transformer."."""
    path = next((folder / name for name in WEIGHTS if (folder / name).exists()), None)
    if path is None:
        raise SystemExit(f"convert: {folder} has neither {' nor '.join(WEIGHTS)}; give the folder of a checkpoint.")
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise SystemExit(
            f"convert: {path} is damaged, or wants to run code while it is loaded, which is refused; get the "
            "safetensors form of it."
        ) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "it ends early"
        raise SystemExit(f"convert: {path} is damaged ({reason}); download it again.") from None
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise SystemExit(f"convert: {path} holds no table of tensors; give a checkpoint's weights.")
    return {name.removeprefix("transformer."): value.float().numpy() for name, value in loaded.items()}
