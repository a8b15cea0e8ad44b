"""GPT-Neo (Black et al. 2021): GPT-2 with unscaled attention without q, k and v biases; every second layer is local."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gpt2 import EPSILON


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


class Mlp(nn.Module):
    """Two products with GELU (tanh) between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[T, d] -> [T, d]."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """One layer."""

    def __init__(self, width: int, heads: int, window: int | None) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, EPSILON)
        self.attn = Attention(width, heads, window)
        self.ln_2 = nn.LayerNorm(width, EPSILON)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """[T, d] -> [T, d]."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GptNeo(nn.Module):
    """Token ids [T] -> logits [T, V]; layers 1, 3, 5 … are local; the output head is the embedding."""

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, heads: int, window: int = 256) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads, window if layer % 2 else None) for layer in range(layers))
        self.ln_f = nn.LayerNorm(width, EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """[T] -> [T, V]."""
        x = self.wte(tokens) + self.wpe(torch.arange(len(tokens)))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T
