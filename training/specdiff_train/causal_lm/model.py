"""The network: RMS norms, rotary positions, SiLU-gated feed-forward, biases on q, k, v and on the output.

It is the function of llama.cpp's `qwen2` architecture (v0.5.0, src/models/qwen2.cpp), which has all of these.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specdiff_reference.ddit import rotate
from specdiff_reference.gpt import join, split


@dataclass(frozen=True)
class CausalShape:
    """Sizes; `inner` gives the gated feed-forward as many weights as a plain one of four times the width has."""

    vocab: int
    width: int
    blocks: int
    heads: int
    context: int
    rope_base: float = 10000.0
    eps: float = 1e-5

    @property
    def inner(self) -> int:
        """Width of the feed-forward, in whole blocks of 32."""
        return max(1, round(self.width * 8 / 3 / 32)) * 32


class Block(nn.Module):
    """Attention and feed-forward, each after a norm."""

    def __init__(self, shape: CausalShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.attn_norm = nn.RMSNorm(shape.width, shape.eps)
        self.attn_q, self.attn_k, self.attn_v = (nn.Linear(shape.width, shape.width) for _ in range(3))
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, shape.eps)
        self.ffn_gate = nn.Linear(shape.width, shape.inner, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.inner, bias=False)
        self.ffn_down = nn.Linear(shape.inner, shape.width, bias=False)

    def queries_and_keys(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Rotated, [B, heads, T, d] each, of normed x [B, T, width]."""
        q, k = (split(part(x), self.heads) for part in (self.attn_q, self.attn_k))
        return rotate(q, cos, sin), rotate(k, cos, sin)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, T, width] to the same; cos, sin [T, d/2]."""
        normed = self.attn_norm(x)
        q, k = self.queries_and_keys(normed, cos, sin)
        v = split(self.attn_v(normed), self.heads)
        x = x + self.attn_output(join(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        normed = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(normed)) * self.ffn_up(normed))


class CausalNetwork(nn.Module):
    """Token embedding, blocks, norm, output."""

    def __init__(self, shape: CausalShape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.output_norm = nn.RMSNorm(shape.width, shape.eps)
        self.output = nn.Linear(shape.width, shape.vocab)

    def rotation(self, length: int) -> tuple[Tensor, Tensor]:
        """cos and sin of each position's angles, [T, d/2]."""
        rates = rope_rates(self.shape, self.token_embd.weight.device)
        angles = torch.outer(torch.arange(length, device=rates.device).float(), rates)
        return angles.cos(), angles.sin()

    def features(self, ids: Tensor) -> Tensor:
        """What the output multiplies, [B, T, width]."""
        x = self.token_embd(ids)
        cos, sin = self.rotation(ids.shape[1])
        for block in self.blk:
            x = block(x, cos, sin)
        return self.output_norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        """Next-token logits [B, T, vocab] of ids [B, T]."""
        return self.output(self.features(ids))


def rope_rates(shape: CausalShape, device: str | torch.device = "cpu") -> Tensor:
    """Radians a place of each rotary pair, [d/2]."""
    head = shape.width // shape.heads
    return shape.rope_base ** (-torch.arange(0, head, 2, device=device).float() / head)


def normal(matrix: Tensor, scale: float, generator: torch.Generator) -> None:
    """Fill a matrix [out, in] so that its products have about `scale` times the size of what it multiplies."""
    nn.init.normal_(matrix, 0, scale / math.sqrt(matrix.shape[1]), generator=generator)
