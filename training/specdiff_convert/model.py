"""A converted model, and its GGUF of architecture gpt2."""

from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import quantize

from .checkpoint import Checkpoint, Tensors
from .tokenizer import Tokenizer

TYPES = {"f32": Type.F32, "f16": Type.F16, "q8_0": Type.Q8_0, "q4_0": Type.Q4_0}
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
}
# llama.cpp adds the positions' row to the tokens', and wants it in full precision.
PRECISE = "position_embd.weight"


@dataclass
class Model:
    """Sizes, and float32 tensors by llama.cpp's names [outputs, inputs]."""

    context: int
    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    epsilon: float
    tensors: Tensors = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        """Sizes that no weights can have."""
        if self.width % self.heads:
            raise SystemExit(f"convert: {self.heads} heads don't divide a width of {self.width}; check config.json.")

    def put_head(self, checkpoint: Checkpoint) -> None:
        """The output head: the embedding where the checkpoint has none of its own."""
        shape = (self.vocabulary, self.width)
        own = "lm_head.weight" in checkpoint.tensors
        head = checkpoint.take("lm_head.weight", *shape) if own else self.tensors["token_embd.weight"]
        if own and not np.array_equal(head, self.tensors["token_embd.weight"]):
            self.tensors["output.weight"] = head

    def write(self, path: Path, name: str, tokenizer: Tokenizer, kind: str) -> None:
        """Write PATH, complete or not at all."""
        part = path.with_name(path.name + ".part")
        writer = gguf.GGUFWriter(part, "gpt2")
        writer.add_name(name)
        writer.add_file_type(FILE_TYPES[kind])
        writer.add_context_length(self.context)
        writer.add_embedding_length(self.width)
        writer.add_feed_forward_length(self.inner)
        writer.add_block_count(self.layers)
        writer.add_head_count(self.heads)
        writer.add_layer_norm_eps(self.epsilon)
        tokenizer.write(writer, self.vocabulary)
        for tensor, value in self.tensors.items():
            stored = TYPES[kind] if value.ndim == 2 and tensor != PRECISE else Type.F32
            if stored in (Type.Q8_0, Type.Q4_0) and value.shape[1] % 32:
                stored = Type.F16
            data = quantize(np.ascontiguousarray(value, np.float32), stored)
            writer.add_tensor(tensor, data, raw_dtype=stored)
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
