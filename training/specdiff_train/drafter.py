"""The block-diffusion drafter, in the exact shape of llama.cpp's `dflash` graph (v0.5.0, src/models/dflash.cpp).

One denoising pass over a block (DFlash, arXiv 2602.06036): the target's tapped hidden states, fused by `fc`, give every
layer's context keys and values; the block's slots attend to them and to each other, not causally. Anchor-first layout
(DSpark, arXiv 2607.05147): slot 0 is the anchor, the last token the target emitted; slot i predicts the token after its
own place. Slots 1.. hold looked-up tokens where prompt lookup has a match, the mask token elsewhere.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .target import Target, TargetLayer, rotate


class DrafterLayer(nn.Module):
    """One transformer layer with per-head RMS norms of q and k before the rotation."""

    def __init__(self, source: TargetLayer, target: Target) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = target.heads, target.kv_heads, target.head_width
        self.width, self.eps = target.width, target.eps
        self.attn_norm = nn.Parameter(source.attn_norm.clone())
        self.qkv = nn.Parameter(source.qkv.clone())
        self.attn_output = nn.Parameter(source.attn_output.clone())
        self.ffn_norm = nn.Parameter(source.ffn_norm.clone())
        self.gate_up = nn.Parameter(source.gate_up.clone())
        self.down = nn.Parameter(source.down.clone())
        # The target has no q/k norms: gains that keep the typical size of its attention logits.
        row_energy = (source.qkv * source.attn_norm).pow(2).sum(-1)
        ones = torch.ones(self.head_width, device=source.qkv.device)
        kv_width = self.kv_heads * self.head_width
        self.q_norm = nn.Parameter(ones * row_energy[: self.width].mean().sqrt())
        self.k_norm = nn.Parameter(ones * row_energy[self.width : self.width + kv_width].mean().sqrt())

    def forward(self, x: Tensor, context: Tensor, rope: dict[str, tuple[Tensor, Tensor]], mask: Tensor) -> Tensor:
        """x [B, Q, d] slots, context [B, C, d] fused taps, mask [B, 1, Q, C+Q] -> [B, Q, d]."""
        batch, slots, _ = x.shape
        length = context.shape[1] + slots
        h = F.rms_norm(x, (self.width,), self.attn_norm, self.eps)
        q = F.linear(h, self.qkv[: self.width]).view(batch, slots, self.heads, self.head_width).transpose(1, 2)
        kv = F.linear(torch.cat([context, h], 1), self.qkv[self.width :])
        k, v = kv.view(batch, length, 2 * self.kv_heads, self.head_width).transpose(1, 2).chunk(2, 1)
        q = rotate(F.rms_norm(q, (self.head_width,), self.q_norm, self.eps), *rope["q"])
        k = rotate(F.rms_norm(k, (self.head_width,), self.k_norm, self.eps), *rope["k"])
        share = self.heads // self.kv_heads
        o = F.scaled_dot_product_attention(
            q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1), attn_mask=mask
        )
        x = x + F.linear(o.transpose(1, 2).reshape(batch, slots, self.width), self.attn_output)
        gate, up = F.linear(F.rms_norm(x, (self.width,), self.ffn_norm, self.eps), self.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)


class Drafter(nn.Module):
    """Drafter for one target. Shapes: B sequences, A anchors each, S slots a block, C context rows, d hidden size."""

    def __init__(
        self, target: Target, layers: int, block: int, taps: int, mask_id: int, vocab: Tensor, tap_scale: Tensor
    ) -> None:
        """`vocab` [W] target ids the reduced head proposes, ascending; `tap_scale` [taps] typical RMS of each tap."""
        super().__init__()
        self.target, self.block, self.mask_id = target, block, mask_id
        self.width, self.eps = target.width, target.eps
        self.layers = nn.ModuleList(DrafterLayer(source, target) for source in target.layers[-layers:])
        # Starts as a noisy copy of the last tap, so that the copied layers see inputs of the kind they know.
        generator = torch.Generator().manual_seed(0)
        fc = 0.3 * torch.randn(self.width, taps * self.width, generator=generator) / math.sqrt(taps * self.width)
        fc[:, -self.width :] += torch.eye(self.width)
        self.fc = nn.Parameter(fc.to(target.embedding.device))
        self.hidden_norm = nn.Parameter(target.layers[-layers].attn_norm.clone())
        self.norm = nn.Parameter(target.norm.clone())
        self.register_buffer("vocab", vocab)
        self.register_buffer("tap_scale", tap_scale)
        self.register_buffer("head", target.head[vocab].clone(), persistent=False)

    def forward(self, tokens: Tensor, taps: Tensor, anchors: Tensor, seeds: Tensor) -> Tensor:
        """Logits [B, A, S, W] over the draft vocabulary.

        tokens [B, T]; taps [B, C, taps·d]; anchors [B, A] positions; seeds [B, A, S] looked-up tokens after each
        anchor, -1 for a mask. Only rows of taps strictly before the anchor are attended to: serving has none
        for the anchor yet.
        """
        batch, count = anchors.shape
        rows, slots = taps.shape[1], self.block
        device = tokens.device
        scaled = taps.float().view(batch, rows, -1, self.width) / self.tap_scale[:, None]
        context = F.rms_norm(F.linear(scaled.view(batch, rows, -1), self.fc), (self.width,), self.hidden_norm, self.eps)
        inner = seeds[:, :, : slots - 1]
        ids = torch.cat([tokens.gather(1, anchors).unsqueeze(2), torch.where(inner >= 0, inner, self.mask_id)], 2)
        x = self.target.embedding[ids].view(batch, count * slots, self.width)
        offsets = torch.arange(slots, device=device)
        slot_position = (anchors.unsqueeze(2) + offsets).view(batch, -1)
        context_position = torch.arange(rows, device=device).expand(batch, rows)
        of_block = torch.arange(count, device=device).repeat_interleave(slots)
        before = context_position[:, None, :] < anchors.repeat_interleave(slots, 1)[:, :, None]
        same = (of_block[:, None] == of_block).expand(batch, -1, -1)
        mask = torch.cat([before, same], 2).unsqueeze(1)
        key_position = torch.cat([context_position, slot_position], 1)
        rope = {
            "q": (self.target.cos[slot_position].unsqueeze(1), self.target.sin[slot_position].unsqueeze(1)),
            "k": (self.target.cos[key_position].unsqueeze(1), self.target.sin[key_position].unsqueeze(1)),
        }
        for layer in self.layers:
            x = layer(x, context, rope, mask)
        hidden = F.rms_norm(x, (self.width,), self.norm, self.eps)
        return F.linear(hidden, self.head).view(batch, count, slots, -1)

    @torch.no_grad()
    def draft(self, tokens: Tensor, taps: Tensor, anchors: Tensor, seeds: Tensor) -> Tensor:
        """Drafted target ids [B, A, S]: each slot's best, in one pass."""
        return self.vocab[self.forward(tokens, taps, anchors, seeds).argmax(-1)]
