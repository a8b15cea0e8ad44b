"""A checkpoint's tensors by what they should be: every one must be there, in its shape, and be used."""

from collections.abc import Iterable

import torch
from torch import Tensor


class CheckedTensors:
    """Tensors that are taken once each; `finish` refuses what is left over."""

    def __init__(self, tensors: dict[str, Tensor], prefixes: Iterable[str] = ()) -> None:
        self.tensors = dict(tensors)
        for prefix in prefixes:
            if self.tensors and not any(name.startswith(prefix) for name in self.tensors):
                continue
            self.tensors = {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items()}

    def take(self, name: str, *shape: int) -> Tensor:
        """A tensor in fp32 of exactly this shape."""
        tensor = self.tensors.pop(name, None)
        if tensor is None:
            raise SystemExit(f"convert: the checkpoint has no tensor {name}, which its config.json asks for.")
        if tuple(tensor.shape) != shape:
            raise SystemExit(
                f"convert: tensor {name} has the shape {list(tensor.shape)}, "
                f"by config.json it must have {list(shape)}; they don't belong together."
            )
        if not tensor.dtype.is_floating_point:
            raise SystemExit(f"convert: tensor {name} has the type {tensor.dtype}, which is no floating point.")
        tensor = tensor.float()
        if not torch.isfinite(tensor).all():
            raise SystemExit(f"convert: tensor {name} holds values that are not finite; fetch the checkpoint again.")
        return tensor

    def drop(self, *endings: str) -> None:
        """Leave out buffers that are no weights."""
        self.tensors = {name: tensor for name, tensor in self.tensors.items() if not name.endswith(endings)}

    def drop_tied(self, name: str, other: Tensor) -> None:
        """Leave out a tensor that must be a copy of another."""
        tensor = self.tensors.pop(name, None)
        if tensor is not None and (tensor.shape != other.shape or not torch.equal(tensor.float(), other)):
            raise SystemExit(f"convert: tensor {name} isn't the token embedding, as published ones are.")

    def finish(self) -> None:
        """Refuse a checkpoint with tensors that nothing has used."""
        if self.tensors:
            names = sorted(self.tensors)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise SystemExit(
                f"convert: the checkpoint has tensor {names[0]}{more}, for which its config.json has no place; "
                "they don't belong together."
            )
