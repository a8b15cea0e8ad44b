"""GPT-Neo (Black et al. 2021): GPT-2 with unscaled attention without q, k and v biases; every second layer is local."""

import torch
from torch import Tensor, nn

from .gpt2 import Block, Transformer


class SelfAttention(nn.Module):
    """Causal; local layers see the last `window` tokens, themselves included."""

    def __init__(self, width: int, heads: int, window: int | None) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        for name in ("q_proj", "k_proj", "v_proj"):
            self.add_module(name, nn.Linear(width, width, bias=False))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[T, d] -> [T, d]."""
        length, width = x.shape
        q, k, v = (
            proj(x).view(length, self.heads, -1).transpose(0, 1) for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        places = torch.arange(length)
        distance = places[:, None] - places
        visible = (distance >= 0) & (distance < (self.window or length))
        scores = (q @ k.transpose(1, 2)).masked_fill(~visible, -torch.inf)
        return self.out_proj((scores.softmax(-1) @ v).transpose(0, 1).reshape(length, width))


class Attention(nn.Module):
    """As published: a module in a module."""

    def __init__(self, width: int, heads: int, window: int | None) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, window)

    def forward(self, x: Tensor) -> Tensor:
        """[T, d] -> [T, d]."""
        return self.attention(x)


class GptNeo(Transformer):
    """The whole model; layers 1, 3, 5 … are local."""

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, heads: int, window: int = 256) -> None:
        def block(layer: int) -> Block:
            return Block(width, Attention(width, heads, window if layer % 2 else None), nn.Linear)

        super().__init__(vocabulary, context, width, block, layers)
