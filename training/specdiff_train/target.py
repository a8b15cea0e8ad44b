"""The target in plain PyTorch, a GGUF of llama's, Qwen2's or Qwen3's architecture dequantized to fp32: what the drafter
shares with it, and its hidden states where a GPU computes them.
"""

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from gguf.quants import dequantize
from torch import Tensor

# Whose q and k the file has half-split already; llama's rotary pairs are interleaved.
HALF_SPLIT = ("qwen2", "qwen3")
ARCHITECTURES = ("llama", *HALF_SPLIT)


@dataclass
class TargetLayer:
    """Weights of one layer; q and k in half-split (NEOX) order of the rotary pairs."""

    attn_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None  # Qwen2's
    q_norm: Tensor | None  # Qwen3's, over each head
    k_norm: Tensor | None
    attn_output: Tensor
    ffn_norm: Tensor
    gate_up: Tensor
    down: Tensor


class Target:
    """Causal language model. Shapes: B sequences, T tokens, d hidden size, V vocabulary."""

    def __init__(self, path: Path, device: str = "cpu", max_tokens: int = 4096) -> None:
        reader = gguf.GGUFReader(path)
        architecture = reader.fields["general.architecture"].contents()
        if architecture not in ARCHITECTURES:
            raise SystemExit(
                f"target: {path.name} has architecture {architecture}; this pipeline trains for targets of "
                f"{', '.join(ARCHITECTURES)}: choose one of these."
            )

        def key(name: str, fallback: float | None = None) -> float:
            field = reader.fields.get(f"{architecture}.{name}")
            if field is None and fallback is not None:
                return fallback
            if field is None:
                raise SystemExit(f"target: {path.name} lacks {architecture}.{name}; convert it again.")
            return field.contents()

        self.layer_count = int(key("block_count"))
        self.heads = int(key("attention.head_count"))
        self.kv_heads = int(key("attention.head_count_kv", self.heads))
        self.width = int(key("embedding_length"))
        self.ffn_width = int(key("feed_forward_length"))
        self.context_length = int(key("context_length"))
        self.eps = float(key("attention.layer_norm_rms_epsilon"))
        self.rope_base = float(key("rope.freq_base", 10000.0))
        self.head_width = int(key("attention.key_length", self.width // self.heads))
        self.q_width, self.kv_width = self.heads * self.head_width, self.kv_heads * self.head_width
        self.device = device
        weights = {
            t.name: torch.from_numpy(np.array(dequantize(t.data, t.tensor_type), dtype=np.float32)).to(device)
            for t in reader.tensors
        }
        self.embedding, self.norm = weights["token_embd.weight"], weights["output_norm.weight"]
        self.head = weights.get("output.weight", self.embedding)
        self.layers = []
        for i in range(self.layer_count):
            p = f"blk.{i}."
            q, k = weights[p + "attn_q.weight"], weights[p + "attn_k.weight"]
            if architecture not in HALF_SPLIT:
                q, k = self._half_split(q, self.heads), self._half_split(k, self.kv_heads)
            biases = [weights[f"{p}attn_{name}.bias"] for name in "qkv" if f"{p}attn_{name}.bias" in weights]
            self.layers.append(
                TargetLayer(
                    attn_norm=weights[p + "attn_norm.weight"],
                    qkv=torch.cat([q, k, weights[p + "attn_v.weight"]]),
                    qkv_bias=torch.cat(biases) if biases else None,
                    q_norm=weights.get(p + "attn_q_norm.weight"),
                    k_norm=weights.get(p + "attn_k_norm.weight"),
                    attn_output=weights[p + "attn_output.weight"],
                    ffn_norm=weights[p + "ffn_norm.weight"],
                    gate_up=torch.cat([weights[p + "ffn_gate.weight"], weights[p + "ffn_up.weight"]]),
                    down=weights[p + "ffn_down.weight"],
                )
            )
        self.cos, self.sin = rope_tables(self.head_width, self.rope_base, max_tokens, device)

    def _half_split(self, weight: Tensor, heads: int) -> Tensor:
        # The drafter's graph wants the rotary pairs half-split.
        return weight.reshape(heads, self.head_width // 2, 2, -1).transpose(1, 2).reshape(weight.shape).contiguous()

    @torch.no_grad()
    def hidden(self, ids: Tensor, taps: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Of ids [B, T]: last layer's output [B, T, d] and the inputs of the tapped layers [B, T, taps·d] (fp16)."""
        batch, length = ids.shape
        x = self.embedding[ids]
        tapped = []
        cos, sin = self.cos[:length], self.sin[:length]
        share = self.heads // self.kv_heads
        for i, layer in enumerate(self.layers):
            if i in taps:
                tapped.append(x.half())
            h = F.rms_norm(x, (self.width,), layer.attn_norm, self.eps)
            q, k, v = F.linear(h, layer.qkv, layer.qkv_bias).split([self.q_width, self.kv_width, self.kv_width], -1)
            q = self._normed(q.view(batch, length, self.heads, self.head_width), layer.q_norm)
            k = self._normed(k.view(batch, length, self.kv_heads, self.head_width), layer.k_norm)
            q, k = rotate(q.transpose(1, 2), cos, sin), rotate(k.transpose(1, 2), cos, sin)
            v = v.view(batch, length, self.kv_heads, self.head_width).transpose(1, 2)
            o = F.scaled_dot_product_attention(
                q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1), is_causal=True
            )
            x = x + F.linear(o.transpose(1, 2).reshape(batch, length, self.q_width), layer.attn_output)
            gate, up = F.linear(F.rms_norm(x, (self.width,), layer.ffn_norm, self.eps), layer.gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        return x, torch.cat(tapped, -1)

    def _normed(self, x: Tensor, norm: Tensor | None) -> Tensor:
        return x if norm is None else F.rms_norm(x, (self.head_width,), norm, self.eps)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., d]."""
        return F.linear(F.rms_norm(hidden, (self.width,), self.norm, self.eps), self.head)


def rope_tables(head_width: int, base: float, length: int, device: str) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, head_width/2] of rotary positions (RoFormer, arXiv 2104.09864)."""
    inverse = base ** (-torch.arange(0, head_width, 2).float() / head_width)
    angles = torch.outer(torch.arange(length).float(), inverse).to(device)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate half-split pairs of x [..., T, head_width] by cos, sin [..., T, head_width/2]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
