"""GPT-2 (Radford et al. 2019), pre-norm, learned positions; matrices are Conv1D, [inputs, outputs]."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5


class Conv1D(nn.Module):
    """x · weight + bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(0.1 * torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return x @ self.weight + self.bias


class Attention(nn.Module):
    """Causal self-attention; q, k and v in one product."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[T, d] -> [T, d]."""
        length, width = x.shape
        q, k, v = (part.view(length, self.heads, -1).transpose(0, 1) for part in self.c_attn(x).split(width, -1))
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(o.transpose(0, 1).reshape(length, width))


class Mlp(nn.Module):
    """Two products with GELU (tanh) between them; `linear` makes one, from inputs and outputs."""

    def __init__(self, width: int, linear: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.c_fc = linear(width, 4 * width)
        self.c_proj = linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[T, d] -> [T, d]."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """One layer."""

    def __init__(self, width: int, attention: nn.Module, linear: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, EPSILON)
        self.attn = attention
        self.ln_2 = nn.LayerNorm(width, EPSILON)
        self.mlp = Mlp(width, linear)

    def forward(self, x: Tensor) -> Tensor:
        """[T, d] -> [T, d]."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Token ids [T] -> logits [T, V]; learned positions, the output head is the embedding."""

    def __init__(self, vocabulary: int, context: int, width: int, block: Callable[[int], Block], layers: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList(block(layer) for layer in range(layers))
        self.ln_f = nn.LayerNorm(width, EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """[T] -> [T, V]."""
        x = self.wte(tokens) + self.wpe(torch.arange(len(tokens)))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


class Gpt2(Transformer):
    """The whole model."""

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, heads: int) -> None:
        super().__init__(vocabulary, context, width, lambda _: Block(width, Attention(width, heads), Conv1D), layers)
