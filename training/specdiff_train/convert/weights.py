"""Reads a checkpoint's tensors from safetensors or PyTorch files. Nothing in them is ever executed."""

import json
import math
import pickle
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
SINGLE = ("model.safetensors", "pytorch_model.bin")
LARGEST_HEADER = 100_000_000


def read_config(folder: Path) -> dict[str, object]:
    """config.json of a checkpoint's folder."""
    path = folder / "config.json"
    if not path.is_file():
        raise SystemExit(f"convert: {folder} has no config.json; give the folder that the checkpoint was stored in.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SystemExit(f"convert: {path} is no JSON ({error}); fetch the checkpoint again.") from None
    if not isinstance(config, dict):
        raise SystemExit(f"convert: {path} holds no object; fetch the checkpoint again.")
    return config


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors by name, from one file or from the parts that an index names; read from the disk as they're used."""
    for name in SINGLE:
        if (folder / name).is_file():
            return read_file(folder / name)
        index = folder / f"{name}.index.json"
        if index.is_file():
            return read_parts(index)
    raise SystemExit(f"convert: {folder} has neither {' nor '.join(SINGLE)}; fetch the checkpoint's weights too.")


def read_parts(index: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint in several files."""
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SystemExit(f"convert: {index} isn't an index of weights; fetch the checkpoint again.") from None
    result: dict[str, Tensor] = {}
    for name in files:
        path = index.parent / Path(name).name
        if not path.is_file():
            raise SystemExit(f"convert: {path} is missing, which {index.name} names; fetch it too.")
        result |= read_file(path)
    return result


def read_file(path: Path) -> dict[str, Tensor]:
    """The tensors of one file."""
    return read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)


def read_pickle(path: Path) -> dict[str, Tensor]:
    """A PyTorch file, by the loader that builds tensors and plain values only."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zip_file(path))
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        if "Unsupported" in str(error) or "GLOBAL" in str(error) or "Weights only" in str(error):
            raise SystemExit(
                f"convert: {path} holds more than tensors and was not run; use the checkpoint's safetensors file."
            ) from None
        raise SystemExit(f"convert: {path} is damaged ({reason}); fetch it again.") from None
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, OSError) as error:
        reason = str(error).split("\n")[0]
        raise SystemExit(f"convert: {path} is damaged or cut off ({reason}); fetch it again.") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict):
        raise SystemExit(f"convert: {path} holds no table of tensors; it is no checkpoint that can be converted.")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise SystemExit(f"convert: {path} holds {str(name)[:80]}, which is no tensor; it is no plain checkpoint.")
    return state


def zip_file(path: Path) -> bool:
    """Whether a PyTorch file has the newer format, which can stay on the disk."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """A safetensors file: an 8-byte length, a JSON header with types, shapes and offsets, then the numbers."""
    size = path.stat().st_size
    damaged = f"convert: {path} is damaged or cut off"
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LARGEST_HEADER):
            raise SystemExit(f"{damaged} (its header is incomplete); fetch it again.")
        try:
            header = json.loads(file.read(length))
        except ValueError:
            raise SystemExit(f"{damaged} (its header is no JSON); fetch it again.") from None
    if not isinstance(header, dict):
        raise SystemExit(f"{damaged} (its header is no table); fetch it again.")
    header.pop("__metadata__", None)
    data = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)[8 + length :]
    result: dict[str, Tensor] = {}
    for name, entry in header.items():
        try:
            dtype, shape = DTYPES[entry["dtype"]], [int(count) for count in entry["shape"]]
            begin, end = (int(offset) for offset in entry["data_offsets"])
        except (KeyError, TypeError, ValueError):
            raise SystemExit(f"{damaged} (tensor {name} has no usable type, shape or place); fetch it again.") from None
        if begin < 0 or min(shape, default=0) < 0 or end - begin != math.prod(shape) * dtype.itemsize:
            raise SystemExit(
                f"{damaged} (tensor {name} has {end - begin} bytes for its shape {shape}); fetch it again."
            )
        if end > len(data):
            raise SystemExit(f"{damaged} (tensor {name} ends beyond the file's end); fetch it again.")
        piece = data[begin:end]
        # A view of another type needs an aligned start, which the format does not promise.
        if piece.data_ptr() % dtype.itemsize:
            piece = piece.clone()
        result[name] = piece.view(dtype).view(shape)
    return result
