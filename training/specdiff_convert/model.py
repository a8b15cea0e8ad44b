"""A converted model, and its GGUF of architecture gpt2."""

from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from specdiff_train.gguf_file import TypedTensors, write_file
from specdiff_train.storage import write_atomic

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

    def put_frame(self, checkpoint: Checkpoint, positions: int) -> None:
        """What both architectures name alike: embeddings (of `positions` published ones our context's), norms, head."""
        take, vocabulary, width = checkpoint.take, self.vocabulary, self.width
        embedding = take("wte.weight", vocabulary, width)
        self.tensors["token_embd.weight"] = embedding
        self.tensors["position_embd.weight"] = take("wpe.weight", positions, width)[: self.context]
        norms = {"output_norm": "ln_f"}
        for layer in range(self.layers):
            norms |= {f"blk.{layer}.attn_norm": f"h.{layer}.ln_1", f"blk.{layer}.ffn_norm": f"h.{layer}.ln_2"}
        for ours, theirs in norms.items():
            for kind in ("weight", "bias"):
                self.tensors[f"{ours}.{kind}"] = take(f"{theirs}.{kind}", width)
        # The head is the embedding where the checkpoint has none of its own.
        if "lm_head.weight" in checkpoint.tensors:
            head = take("lm_head.weight", vocabulary, width)
            if not np.array_equal(head, embedding):
                self.tensors["output.weight"] = head

    def typed(self, kind: str) -> TypedTensors:
        """The tensors with the types that they are stored in."""
        result: TypedTensors = {}
        for name, value in self.tensors.items():
            stored = TYPES[kind] if value.ndim == 2 and name != PRECISE else Type.F32
            if stored in (Type.Q8_0, Type.Q4_0) and value.shape[1] % 32:
                stored = Type.F16
            result[name] = (np.ascontiguousarray(value, np.float32), stored)
        return result

    def write(self, path: Path, name: str, tokenizer: Tokenizer, kind: str) -> None:
        """Write PATH, complete or not at all."""
        write_atomic(path, lambda part: self._write(part, name, tokenizer, kind))

    def _write(self, part: Path, name: str, tokenizer: Tokenizer, kind: str) -> None:
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
        write_file(writer, self.typed(kind))
