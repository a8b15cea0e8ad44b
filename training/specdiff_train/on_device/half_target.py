"""The target in fp16 with an fp32 residual stream, for batches on a GPU: prompts, single steps, and taps for training.
On a CPU, for which fp16 is slow, all is fp32.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..target import Target, TargetLayer, rotate


@dataclass
class Cache:
    """Keys and values [layers, B, kv heads, S, head width] of B sequences."""

    keys: Tensor
    values: Tensor

    @staticmethod
    def empty(target: Target, batch: int, length: int) -> "Cache":
        """Room for `length` tokens of each sequence."""
        shape = (target.layer_count, batch, target.kv_heads, length, target.head_width)
        keys = torch.zeros(shape, dtype=kind_on(target.device), device=target.device)
        return Cache(keys, torch.zeros_like(keys))


def kind_on(device: str) -> torch.dtype:
    """What matrices are multiplied in."""
    return torch.float32 if device == "cpu" else torch.float16


class HalfTarget:
    """Shapes: B sequences, T tokens, d hidden size, V vocabulary."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.kind = kind_on(target.device)
        self.layers = [
            TargetLayer(**{name: None if w is None else w.to(self.kind) for name, w in vars(layer).items()})
            for layer in target.layers
        ]
        self.head = target.head.to(self.kind)

    @torch.no_grad()
    def hidden(self, ids: Tensor, taps: tuple[int, ...] = (), cache: Cache | None = None) -> tuple[Tensor, Tensor]:
        """Of ids [B, T], padded behind: last layer's output [B, T, d] fp32 and the inputs of the tapped layers
        [B, T, taps·d] fp16; keys and values go into `cache`."""
        t = self.target
        batch, length = ids.shape
        cos, sin = t.cos[:length].to(self.kind), t.sin[:length].to(self.kind)
        x, tapped = t.embedding[ids], []
        for i, layer in enumerate(self.layers):
            if i in taps:
                tapped.append(x.half())
            q, k, v = self._qkv(layer, x)
            q, k = rotate(q.transpose(1, 2), cos, sin), rotate(k.transpose(1, 2), cos, sin)
            v = v.transpose(1, 2)
            if cache is not None:
                cache.keys[i, :, :, :length], cache.values[i, :, :, :length] = k, v
            # What is padded behind a sequence is seen by none of its rows.
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            x = self._after_attention(layer, x, o.transpose(1, 2).reshape(batch, length, t.q_width))
        return x, torch.cat(tapped, -1) if tapped else x.new_zeros(batch, length, 0)

    @torch.no_grad()
    def step(self, ids: Tensor, positions: Tensor, cache: Cache, length: int) -> Tensor:
        """Last layer's output [B, d] of the tokens `ids` [B] at `positions` [B], all below `length`."""
        t = self.target
        batch = len(ids)
        rows = torch.arange(batch, device=ids.device)
        cos, sin = t.cos[positions].to(self.kind).unsqueeze(1), t.sin[positions].to(self.kind).unsqueeze(1)
        seen = torch.arange(length, device=ids.device) <= positions.unsqueeze(1)
        mask = seen[:, None, None, :].expand(batch, t.kv_heads, t.heads // t.kv_heads, length)
        x = t.embedding[ids].unsqueeze(1)
        for i, layer in enumerate(self.layers):
            q, k, v = self._qkv(layer, x)
            q, k = rotate(q.squeeze(1), cos, sin), rotate(k.squeeze(1), cos, sin)
            cache.keys[i, rows, :, positions], cache.values[i, rows, :, positions] = k, v.squeeze(1)
            # The query heads that share keys are rows of one product.
            o = F.scaled_dot_product_attention(
                q.view(batch, t.kv_heads, -1, t.head_width),
                cache.keys[i, :, :, :length],
                cache.values[i, :, :, :length],
                attn_mask=mask,
            )
            x = self._after_attention(layer, x, o.reshape(batch, 1, t.q_width))
        return x.squeeze(1)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] fp32 of hidden states [..., d]."""
        t = self.target
        return F.linear(F.rms_norm(hidden, (t.width,), t.norm, t.eps).to(self.kind), self.head).float()

    def _qkv(self, layer: TargetLayer, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, T, heads, head width], normed where the target norms them."""
        t = self.target
        h = F.rms_norm(x, (t.width,), layer.attn_norm.float(), t.eps).to(self.kind)
        q, k, v = F.linear(h, layer.qkv, layer.qkv_bias).split([t.q_width, t.kv_width, t.kv_width], -1)
        shape = (*x.shape[:2], -1, t.head_width)
        return self._normed(q.view(shape), layer.q_norm), self._normed(k.view(shape), layer.k_norm), v.view(shape)

    def _normed(self, x: Tensor, norm: Tensor | None) -> Tensor:
        return x if norm is None else F.rms_norm(x, (self.target.head_width,), norm, self.target.eps)

    def _after_attention(self, layer: TargetLayer, x: Tensor, o: Tensor) -> Tensor:
        t = self.target
        x = x + F.linear(o, layer.attn_output)
        h = F.rms_norm(x, (t.width,), layer.ffn_norm.float(), t.eps).to(self.kind)
        gate, up = F.linear(h, layer.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, layer.down)
