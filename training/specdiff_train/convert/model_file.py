"""Writes a GGUF from named arrays; matrices in the wanted type, vectors in fp32."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import LlamaFileType
from torch import Tensor

from ..gguf_file import write_file
from ..storage import file_sha256, write_atomic

TYPES = {
    "f32": (Type.F32, LlamaFileType.ALL_F32),
    "f16": (Type.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (Type.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (Type.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
BLOCK = 32


@dataclass
class ModelFile:
    """What a GGUF holds besides its tokenizer: metadata by a function, tensors [out, in] by name."""

    architecture: str
    add_metadata: Callable[[gguf.GGUFWriter], None]
    tensors: dict[str, Tensor]
    # Matrices that stay fp32 in every file: small, or added to activations directly.
    exact: tuple[str, ...] = field(default=())


def write_model(model: ModelFile, type_name: str, path: Path, add_tokenizer: Callable[[gguf.GGUFWriter], None]) -> None:
    """Write atomically and say what was written."""
    write_atomic(path, lambda part: _write(model, type_name, part, add_tokenizer))
    print(f"{path}: {model.architecture}, {type_name}, {path.stat().st_size / 1e6:.1f} MB, sha256 {file_sha256(path)}")


def _write(model: ModelFile, type_name: str, part: Path, add_tokenizer: Callable[[gguf.GGUFWriter], None]) -> None:
    kind, file_type = TYPES[type_name]
    writer = gguf.GGUFWriter(part, model.architecture)
    writer.add_type("model")
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    model.add_metadata(writer)
    add_tokenizer(writer)
    tensors = {
        name: (as_array(tensor), stored_type(name, tensor, kind, model.exact)) for name, tensor in model.tensors.items()
    }
    write_file(writer, tensors)


def stored_type(name: str, tensor: Tensor, kind: Type, exact: tuple[str, ...]) -> Type:
    """Vectors and exact matrices in fp32; rows that quantized blocks do not fill in fp16."""
    if tensor.ndim < 2 or name in exact:
        return Type.F32
    if kind in (Type.Q8_0, Type.Q4_0) and tensor.shape[-1] % BLOCK:
        return Type.F16
    return kind


def as_array(tensor: Tensor) -> np.ndarray:
    """A tensor as fp32."""
    return tensor.detach().contiguous().float().numpy()
