"""The diffusion transformer of SEDD (arXiv 2310.16834) and MDLM (arXiv 2406.07524), with the published parameter names.

MDLM's published checkpoint has the prefix `backbone.` before every name; `Mdlm` adds it.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROPE_BASE = 10000.0
NORM_EPS = 1e-5


@dataclass(frozen=True)
class DditShape:
    """Sizes of the network; `vocab` counts the mask token, which is its last id unless `mask` says otherwise."""

    vocab: int
    width: int
    blocks: int
    heads: int
    condition: int = 128
    frequencies: int = 256
    context: int = 1024
    mask: int = -1
    rope_base: float = ROPE_BASE

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        return self.vocab - 1 if self.mask < 0 else self.mask


class TokenEmbedding(nn.Module):
    """Rows of the vocabulary; no positions are learned."""

    def __init__(self, vocab: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(vocab, width) * 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Of ids [B, T]: [B, T, width]."""
        return F.embedding(ids, self.embedding)


class NoiseEmbedding(nn.Module):
    """Total noise σ to the condition vector, before its last SiLU (SEDD, appendix C.1: sinusoids as in DiT)."""

    def __init__(self, frequencies: int, condition: int) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.mlp = nn.Sequential(nn.Linear(frequencies, condition), nn.SiLU(), nn.Linear(condition, condition))

    def forward(self, sigma: Tensor) -> Tensor:
        """Of σ [B]: [B, condition]."""
        half = self.frequencies // 2
        rates = torch.exp(-math.log(10000.0) * torch.arange(half, device=sigma.device) / half)
        angles = sigma.float()[:, None] * rates
        return self.mlp(torch.cat([angles.cos(), angles.sin()], -1))


class Norm(nn.Module):
    """Layer norm with a weight and no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalized over the last dimension."""
        return F.layer_norm(x, (x.shape[-1],), self.weight, None, NORM_EPS)


class Block(nn.Module):
    """Bidirectional attention and MLP, each shifted, scaled and gated by the condition (adaLN, arXiv 2212.09748)."""

    def __init__(self, shape: DditShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.norm1 = Norm(width)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.norm2 = Norm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.adaLN_modulation = nn.Linear(shape.condition, 6 * width)

    def forward(self, x: Tensor, condition: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Of x [B, T, width], condition [B, condition], cos and sin [T, head/2]: [B, T, width]."""
        batch, length, width = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(condition)[:, None].chunk(6, -1)
        packed = self.attn_qkv(modulate(self.norm1(x), shift1, scale1))
        q, k, v = packed.view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + gate1 * self.attn_out(attended.transpose(1, 2).reshape(batch, length, width))
        return x + gate2 * self.mlp(modulate(self.norm2(x), shift2, scale2))


class OutputLayer(nn.Module):
    """Final norm, modulation, and the untied head."""

    def __init__(self, shape: DditShape) -> None:
        super().__init__()
        self.norm_final = Norm(shape.width)
        self.linear = nn.Linear(shape.width, shape.vocab)
        self.adaLN_modulation = nn.Linear(shape.condition, 2 * shape.width)

    def features(self, x: Tensor, condition: Tensor) -> Tensor:
        """What the head multiplies, [B, T, width]."""
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, -1)
        return modulate(self.norm_final(x), shift, scale)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Logits [B, T, vocab]."""
        return self.linear(self.features(x, condition))


class RotaryFrequencies(nn.Module):
    """The published checkpoints keep the inverse frequencies as a buffer; here it only keeps its name."""

    def __init__(self, head: int, base: float) -> None:
        super().__init__()
        self.register_buffer("inv_freq", base ** (-torch.arange(0, head, 2).float() / head))


class Ddit(nn.Module):
    """The network both share: tokens and σ to one row of logits for every position."""

    def __init__(self, shape: DditShape) -> None:
        super().__init__()
        self.shape = shape
        self.vocab_embed = TokenEmbedding(shape.vocab, shape.width)
        self.sigma_map = NoiseEmbedding(shape.frequencies, shape.condition)
        self.rotary_emb = RotaryFrequencies(shape.width // shape.heads, shape.rope_base)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.output_layer = OutputLayer(shape)

    def condition(self, sigma: Tensor) -> Tensor:
        """Of σ [B]: the vector that modulates every block, [B, condition]."""
        return F.silu(self.sigma_map(sigma))

    def hidden(self, ids: Tensor, condition: Tensor) -> Tensor:
        """Of ids [B, T]: the last block's output [B, T, width]."""
        angles = torch.outer(torch.arange(ids.shape[1], device=ids.device).float(), self.rotary_emb.inv_freq)
        x = self.vocab_embed(ids)
        for block in self.blocks:
            x = block(x, condition, angles.cos(), angles.sin())
        return x

    def forward(self, ids: Tensor, sigma: Tensor) -> Tensor:
        """Of ids [B, T] and σ [B]: raw logits [B, T, vocab], the mask's column included."""
        condition = self.condition(sigma)
        return self.output_layer(self.hidden(ids, condition), condition)


class Sedd(Ddit):
    """SEDD with absorbing noise: the network gives the log of concrete scores."""

    def log_score(self, ids: Tensor, sigma: Tensor) -> Tensor:
        """log s(x)_y [B, T, vocab], 0 at the token that stands there (SEDD, appendix C.1, scaled by e^σ − 1)."""
        logits = self(ids, sigma)
        scale = torch.log(torch.expm1(sigma)) + math.log(self.shape.vocab - 1)
        return (logits - scale[:, None, None]).scatter(-1, ids[..., None], 0.0)

    def probabilities(self, ids: Tensor, sigma: Tensor) -> Tensor:
        """Distribution over real tokens [B, T, vocab]; only rows of masked positions mean anything."""
        return real_softmax(self(ids, sigma), self.shape.mask_id)


class Mdlm(nn.Module):
    """MDLM, parameterized by substitution ("subs", section 3.2.3): never the mask, given tokens stay."""

    def __init__(self, shape: DditShape, time_conditioned: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.time_conditioned = time_conditioned
        self.backbone = Ddit(shape)

    def forward(self, ids: Tensor, sigma: Tensor) -> Tensor:
        """Of ids [B, T] and σ [B]: raw logits [B, T, vocab]; σ is taken as 0 where time isn't conditioned on."""
        return self.backbone(ids, sigma if self.time_conditioned else torch.zeros_like(sigma))

    def probabilities(self, ids: Tensor, sigma: Tensor) -> Tensor:
        """Distribution over real tokens [B, T, vocab], one-hot where a token is given."""
        free = real_softmax(self(ids, sigma), self.shape.mask_id)
        given = F.one_hot(ids, self.shape.vocab).to(free)
        return torch.where((ids == self.shape.mask_id)[..., None], free, given)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x(1 + scale) + shift."""
    return x * (1 + scale) + shift


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate half-split pairs of x [..., T, head] by cos, sin [T, head/2] (RoFormer, arXiv 2104.09864)."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def real_softmax(logits: Tensor, mask_id: int) -> Tensor:
    """Softmax over all tokens but the mask."""
    logits = logits.clone()
    logits[..., mask_id] = -torch.inf
    return logits.softmax(-1)
