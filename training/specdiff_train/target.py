"""The target in plain PyTorch: a llama-architecture GGUF, dequantized to fp32, with KV cache and hidden-state taps."""

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from gguf.quants import dequantize
from torch import Tensor


@dataclass
class TargetLayer:
    """Weights of one layer; q and k in half-split (NEOX) order of the rotary pairs."""

    attn_norm: Tensor
    qkv: Tensor
    attn_output: Tensor
    ffn_norm: Tensor
    gate_up: Tensor
    down: Tensor


class Target:
    """Causal language model. Shapes: B sequences, T tokens, d hidden size, V vocabulary."""

    def __init__(self, path: Path, device: str = "cpu", max_tokens: int = 4096) -> None:
        reader = gguf.GGUFReader(path)
        architecture = reader.fields["general.architecture"].contents()
        if architecture != "llama":
            raise SystemExit(
                f"target: {path.name} has architecture {architecture}; this pipeline trains for llama targets."
            )

        def key(name: str) -> float:
            return reader.fields[f"{architecture}.{name}"].contents()

        self.layer_count = int(key("block_count"))
        self.heads = int(key("attention.head_count"))
        self.kv_heads = int(key("attention.head_count_kv"))
        self.width = int(key("embedding_length"))
        self.ffn_width = int(key("feed_forward_length"))
        self.context_length = int(key("context_length"))
        self.eps = float(key("attention.layer_norm_rms_epsilon"))
        self.rope_base = float(key("rope.freq_base"))
        self.head_width = self.width // self.heads
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
            q = self._half_split(weights[p + "attn_q.weight"], self.heads)
            k = self._half_split(weights[p + "attn_k.weight"], self.kv_heads)
            self.layers.append(
                TargetLayer(
                    attn_norm=weights[p + "attn_norm.weight"],
                    qkv=torch.cat([q, k, weights[p + "attn_v.weight"]]),
                    attn_output=weights[p + "attn_output.weight"],
                    ffn_norm=weights[p + "ffn_norm.weight"],
                    gate_up=torch.cat([weights[p + "ffn_gate.weight"], weights[p + "ffn_up.weight"]]),
                    down=weights[p + "ffn_down.weight"],
                )
            )
        self.cos, self.sin = rope_tables(self.head_width, self.rope_base, max_tokens, device)

    def _half_split(self, weight: Tensor, heads: int) -> Tensor:
        # A llama GGUF interleaves the rotary pairs of q and k; the drafter's graph wants them half-split.
        return weight.reshape(heads, self.head_width // 2, 2, -1).transpose(1, 2).reshape(weight.shape).contiguous()

    @torch.no_grad()
    def step(
        self, ids: Tensor, cache: list[list[Tensor]], position: int, taps: tuple[int, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Append ids [B, T] at `position`; returns hidden [B, T, d] and layer inputs [B, T, len(taps)·d] (fp16)."""
        batch, length = ids.shape
        x = self.embedding[ids]
        tapped = []
        cos, sin = self.cos[position : position + length], self.sin[position : position + length]
        share = self.heads // self.kv_heads
        end = position + length
        for i, layer in enumerate(self.layers):
            if i in taps:
                tapped.append(x.half())
            h = F.rms_norm(x, (self.width,), layer.attn_norm, self.eps)
            kv_width = self.kv_heads * self.head_width
            q, k, v = F.linear(h, layer.qkv).split([self.width, kv_width, kv_width], -1)
            q = rotate(q.view(batch, length, self.heads, self.head_width).transpose(1, 2), cos, sin)
            keys, values = cache[i]
            keys[:, :, position:end] = rotate(
                k.view(batch, length, self.kv_heads, self.head_width).transpose(1, 2), cos, sin
            )
            values[:, :, position:end] = v.view(batch, length, self.kv_heads, self.head_width).transpose(1, 2)
            keys, values = keys[:, :, :end], values[:, :, :end]
            if length == 1:
                grouped = q.reshape(batch, self.kv_heads, share, self.head_width)
                o = F.scaled_dot_product_attention(grouped, keys, values).reshape(batch, self.heads, 1, self.head_width)
            else:
                if position != 0:
                    raise ValueError("prefill of several tokens is only written for an empty cache")
                wide = keys.repeat_interleave(share, 1), values.repeat_interleave(share, 1)
                o = F.scaled_dot_product_attention(q, *wide, is_causal=True)
            x = x + F.linear(o.transpose(1, 2).reshape(batch, length, self.width), layer.attn_output)
            gate, up = F.linear(F.rms_norm(x, (self.width,), layer.ffn_norm, self.eps), layer.gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        return x, torch.cat(tapped, -1) if tapped else None

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., d]."""
        return F.linear(F.rms_norm(hidden, (self.width,), self.norm, self.eps), self.head)

    @torch.no_grad()
    def generate(
        self,
        ids: Tensor,
        new: int,
        taps: tuple[int, ...],
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Continue prompts ids [B, L] by `new` tokens, greedily or sampled.

        Returns tokens [B, L+new] and taps fp16 [B, L+new-1, len(taps)·d]; row p holds the inputs of the tapped layers
        at the token of position p (the last token has none yet, as when serving).
        """
        batch, length = ids.shape
        shape = (batch, self.kv_heads, length + new, self.head_width)
        cache = [[torch.zeros(shape, device=self.device) for _ in range(2)] for _ in range(self.layer_count)]
        tokens = torch.zeros(batch, length + new, dtype=torch.long, device=self.device)
        tokens[:, :length] = ids
        rows = torch.zeros(batch, length + new - 1, len(taps) * self.width, dtype=torch.float16)
        hidden, tapped = self.step(tokens[:, :length], cache, 0, taps)
        position = length
        rows[:, :length] = tapped.cpu()
        while True:
            logits = self.logits(hidden[:, -1])
            if temperature > 0:
                chosen = torch.multinomial(torch.softmax(logits / temperature, -1), 1, generator=generator)[:, 0]
            else:
                chosen = logits.argmax(-1)
            tokens[:, position] = chosen
            if position + 1 == length + new:
                return tokens.cpu(), rows
            hidden, tapped = self.step(tokens[:, position : position + 1], cache, position, taps)
            rows[:, position] = tapped[:, 0].cpu()
            position += 1


def rope_tables(head_width: int, base: float, length: int, device: str) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, head_width/2] of rotary positions (RoFormer, arXiv 2104.09864)."""
    inverse = base ** (-torch.arange(0, head_width, 2).float() / head_width)
    angles = torch.outer(torch.arange(length).float(), inverse).to(device)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate half-split pairs of x [..., T, head_width] by cos, sin [..., T, head_width/2]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
