"""GPT-2 and GPT-Neo with the published parameter names; whole sequences, no cache."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class GptShape:
    """Sizes; `windows` holds one attention window a layer, 0 for all earlier tokens."""

    vocab: int
    width: int
    layers: int
    heads: int
    context: int
    inner: int
    eps: float = 1e-5
    windows: tuple[int, ...] = ()


class TransposedLinear(nn.Module):
    """A linear layer whose weight is stored [in, out], as GPT-2's checkpoints have it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * 0.02)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """x W + b."""
        return x @ self.weight + self.bias


class Mlp(nn.Module):
    """Two layers around a tanh GELU."""

    def __init__(self, shape: GptShape, layer: type[nn.Module]) -> None:
        super().__init__()
        self.c_fc = layer(shape.width, shape.inner)
        self.c_proj = layer(shape.inner, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Gpt2Attention(nn.Module):
    """Causal attention, scaled by the root of the head size."""

    def __init__(self, shape: GptShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.c_attn = TransposedLinear(shape.width, 3 * shape.width)
        self.c_proj = TransposedLinear(shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same."""
        q, k, v = (split(part, self.heads) for part in self.c_attn(x).chunk(3, -1))
        return self.c_proj(join(F.scaled_dot_product_attention(q, k, v, is_causal=True)))


class GptNeoSelfAttention(nn.Module):
    """Causal attention, not scaled, in a window of the last tokens where the layer is local; q, k, v have no bias."""

    def __init__(self, shape: GptShape, window: int) -> None:
        super().__init__()
        self.heads, self.window = shape.heads, window
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(shape.width, shape.width, bias=False) for _ in range(3))
        self.out_proj = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same."""
        q, k, v = (split(part(x), self.heads) for part in (self.q_proj, self.k_proj, self.v_proj))
        places = torch.arange(x.shape[1], device=x.device)
        distance = places[:, None] - places
        seen = distance >= 0
        if self.window:
            seen &= distance < self.window
        return self.out_proj(join(F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=1.0)))


class GptNeoAttention(nn.Module):
    """Only there for the name: the checkpoints say `attn.attention`."""

    def __init__(self, shape: GptShape, window: int) -> None:
        super().__init__()
        self.attention = GptNeoSelfAttention(shape, window)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same."""
        return self.attention(x)


class Layer(nn.Module):
    """Attention and MLP, each after a layer norm."""

    def __init__(self, shape: GptShape, attention: nn.Module, linear: type[nn.Module]) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.width, shape.eps)
        self.attn = attention
        self.ln_2 = nn.LayerNorm(shape.width, shape.eps)
        self.mlp = Mlp(shape, linear)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Embeddings of tokens and positions, layers, final norm; the head is the embedding."""

    def __init__(self, shape: GptShape, layers: list[Layer]) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(shape.vocab, shape.width)
        self.wpe = nn.Embedding(shape.context, shape.width)
        self.h = nn.ModuleList(layers)
        self.ln_f = nn.LayerNorm(shape.width, shape.eps)

    def forward(self, ids: Tensor) -> Tensor:
        """Of ids [B, T]: next-token logits [B, T, vocab]."""
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.h:
            x = layer(x)
        return F.linear(self.ln_f(x), self.wte.weight)


class Gpt2(Transformer):
    """GPT-2, small to XL."""

    def __init__(self, shape: GptShape) -> None:
        super().__init__(shape, [Layer(shape, Gpt2Attention(shape), TransposedLinear) for _ in range(shape.layers)])


class GptNeo(nn.Module):
    """GPT-Neo, 125M to 2.7B; its names begin with `transformer.`."""

    def __init__(self, shape: GptShape) -> None:
        super().__init__()
        self.shape = shape
        layers = [Layer(shape, GptNeoAttention(shape, window), nn.Linear) for window in shape.windows]
        self.transformer = Transformer(shape, layers)

    def forward(self, ids: Tensor) -> Tensor:
        """Of ids [B, T]: next-token logits [B, T, vocab]."""
        return self.transformer(ids)


def split(x: Tensor, heads: int) -> Tensor:
    """[B, T, heads·d] to [B, heads, T, d]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join(x: Tensor) -> Tensor:
    """[B, heads, T, d] to [B, T, heads·d]."""
    return x.transpose(1, 2).flatten(-2)
