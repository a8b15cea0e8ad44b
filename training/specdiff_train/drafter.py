"""The block-diffusion drafter, in the exact shape of llama.cpp's `dflash` graph (v0.5.0, src/models/dflash.cpp).

One denoising pass over a block (DFlash, arXiv 2602.06036): the target's tapped hidden states, fused by `fc`, give every
layer's context keys and values; the block's slots attend to them and to each other, not causally. Anchor-first layout
(DSpark, arXiv 2607.05147): slot 0 is the anchor, the last token the target emitted; slot i predicts the token after its
own place. Slots 1.. hold looked-up tokens where prompt lookup has a match, the mask token elsewhere.

The autoregressive drafter that it is compared with has the same weights and sees the same rows, but each slot only the
slots before it, which hold the tokens drafted so far (standard speculative decoding; one pass a token).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import Batch
from .target import Target, TargetLayer, rotate


class DrafterLayer(nn.Module):
    """One transformer layer with per-head RMS norms of q and k before the rotation."""

    def __init__(self, source: TargetLayer, target: Target) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = target.heads, target.kv_heads, target.head_width
        self.width, self.eps = target.width, target.eps
        self.q_width, self.kv_width = target.q_width, target.kv_width
        self.attn_norm = nn.Parameter(source.attn_norm.clone())
        self.qkv = nn.Parameter(source.qkv.clone())
        self.attn_output = nn.Parameter(source.attn_output.clone())
        self.ffn_norm = nn.Parameter(source.ffn_norm.clone())
        self.gate_up = nn.Parameter(source.gate_up.clone())
        self.down = nn.Parameter(source.down.clone())
        # Biases of q, k and v have no place in the drafter's graph.
        row_energy = (source.qkv * source.attn_norm).pow(2).sum(-1)
        q_energy, k_energy, _ = row_energy.split([self.q_width, self.kv_width, self.kv_width])
        self.q_norm = self._norm(source.q_norm, q_energy)
        self.k_norm = self._norm(source.k_norm, k_energy)

    def _norm(self, source: Tensor | None, energy: Tensor) -> nn.Parameter:
        """The target's own q or k norm; where it has none, gains that keep the typical size of its attention logits."""
        if source is not None:
            return nn.Parameter(source.clone())
        return nn.Parameter(torch.ones(self.head_width, device=energy.device) * energy.mean().sqrt())

    def forward(self, x: Tensor, context: Tensor, rope: "Rope", visible: Tensor, causal: bool = False) -> Tensor:
        """x [B, A, S, d] slots, context [B, C, d] fused taps, visible [B, A, C] -> [B, A, S, d]."""
        batch, anchors, slots, _ = x.shape
        rows = context.shape[1]
        share = self.heads // self.kv_heads
        h = F.rms_norm(x, (self.width,), self.attn_norm, self.eps)
        q, own_k, own_v = F.linear(h, self.qkv).split([self.q_width, self.kv_width, self.kv_width], -1)
        k, v = F.linear(context, self.qkv[self.q_width :]).chunk(2, -1)
        q = self.turned(q.view(batch, anchors, slots, self.heads, self.head_width), self.q_norm, rope.slots)
        own_k = self.turned(own_k.view(batch, anchors, slots, self.kv_heads, self.head_width), self.k_norm, rope.slots)
        k = self.turned(k.view(batch, rows, self.kv_heads, self.head_width), self.k_norm, rope.rows)
        v = v.view(batch, rows, self.kv_heads, self.head_width)
        own_v = own_v.view(batch, anchors, slots, self.kv_heads, self.head_width)
        # A block sees the rows and its own slots, so scores are two products side by side: [B, kv, A, S·share, C + S].
        q = q.view(batch, anchors, slots, self.kv_heads, share, self.head_width).permute(0, 3, 1, 2, 4, 5)
        q = q.reshape(batch, self.kv_heads, anchors, slots * share, self.head_width) / math.sqrt(self.head_width)
        flat = q.reshape(batch, self.kv_heads, anchors * slots * share, self.head_width)
        of_rows = (flat @ k.permute(0, 2, 3, 1)).view(batch, self.kv_heads, anchors, slots * share, rows)
        of_rows = of_rows.masked_fill(~visible[:, None, :, None, :], -math.inf)
        of_block = q @ own_k.permute(0, 3, 1, 4, 2)
        if causal:
            later = torch.ones(slots, slots, dtype=torch.bool, device=x.device).triu(1)
            of_block = of_block.masked_fill(later.repeat_interleave(share, 0), -math.inf)
        weights = torch.softmax(torch.cat([of_rows, of_block], -1), -1)
        on_rows = weights[..., :rows].reshape(batch, self.kv_heads, anchors * slots * share, rows)
        o = (on_rows @ v.transpose(1, 2)).view(batch, self.kv_heads, anchors, slots * share, self.head_width)
        o = o + weights[..., rows:] @ own_v.permute(0, 3, 1, 2, 4)
        o = o.view(batch, self.kv_heads, anchors, slots, share, self.head_width).permute(0, 2, 3, 1, 4, 5)
        x = x + F.linear(o.reshape(batch, anchors, slots, self.q_width), self.attn_output)
        gate, up = F.linear(F.rms_norm(x, (self.width,), self.ffn_norm, self.eps), self.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)

    def turned(self, x: Tensor, norm: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Per-head norm and rotation of x [..., heads, head_width]; angles [..., head_width/2]."""
        normed = F.rms_norm(x, (self.head_width,), norm.to(x.dtype), self.eps)
        return rotate(normed, angles[0].unsqueeze(-2), angles[1].unsqueeze(-2))


@dataclass
class Rope:
    """Cosines and sines [..., head_width/2] of the rows' and of the slots' positions."""

    rows: tuple[Tensor, Tensor]
    slots: tuple[Tensor, Tensor]


# Learning rate of what begins with nothing, of the rest's.
ADDED_RATE = 30.0


@dataclass
class Context:
    """Rows that slots see: states [B, C, d], their positions [B, C], and which slots see which [B, A, C]."""

    states: Tensor
    positions: Tensor
    visible: Tensor


@dataclass
class Shape:
    """What a drafter is made for, and how large it is."""

    target: Target
    layers: int
    block: int
    mask_id: int
    vocab: Tensor  # [W] target ids that the reduced head proposes, ascending
    tap_scale: Tensor  # [taps] typical RMS of each tap


class Drafter(nn.Module):
    """Drafter for one target. Shapes: B sequences, A anchors each, S slots a block, C context rows, d hidden size."""

    # Parameters that no file of weights has.
    added: frozenset[str] = frozenset()

    def __init__(self, shape: Shape, autoregressive: bool = False) -> None:
        super().__init__()
        target, layers, taps = shape.target, shape.layers, len(shape.tap_scale)
        self.target, self.block, self.mask_id = target, shape.block, shape.mask_id
        self.autoregressive = autoregressive
        self.width, self.eps = target.width, target.eps
        self.layers = nn.ModuleList(DrafterLayer(source, target) for source in target.layers[-layers:])
        # Starts as a noisy copy of the last tap, so that the copied layers see inputs of the kind they know.
        generator = torch.Generator().manual_seed(0)
        fc = 0.3 * torch.randn(self.width, taps * self.width, generator=generator) / math.sqrt(taps * self.width)
        fc[:, -self.width :] += torch.eye(self.width)
        self.fc = nn.Parameter(fc.to(target.embedding.device))
        self.hidden_norm = nn.Parameter(target.layers[-layers].attn_norm.clone())
        self.norm = nn.Parameter(target.norm.clone())
        self.register_buffer("vocab", shape.vocab)
        self.register_buffer("tap_scale", shape.tap_scale)
        self.register_buffer("head", target.head[shape.vocab].clone(), persistent=False)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For the optimizer: what `added` names learns faster, as it begins with nothing."""
        added = [parameter for name, parameter in self.named_parameters() if name in self.added]
        rest = [parameter for name, parameter in self.named_parameters() if name not in self.added]
        return [{"params": rest}] + ([{"params": added, "scale": ADDED_RATE}] if added else [])

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, A, S, W] over the draft vocabulary: slot i predicts the token after its own place. In training a
        drafter may look at the labels before a slot's own; see `drafted`."""
        return F.linear(self.hidden(batch), self.head)

    @property
    def sequential(self) -> bool:
        """Whether a slot's logits hang on the tokens that are drafted before it."""
        return self.autoregressive

    def behind_labels(self, batch: Batch) -> Tensor:
        """The same where all slots before are right: what training asks for, and a draft that is joined with lookup."""
        if self.autoregressive:
            batch = replace(batch, seeds=batch.labels)
        logits: Tensor = self(batch)
        return logits

    def drafted(self, batch: Batch) -> Tensor:
        """The same when serving: where a slot hangs on the tokens before it, on those that are drafted. In one pass;
        in one pass a slot where the drafter is autoregressive."""
        if self.autoregressive:
            # A batch of its own: other drafters are asked with the same one.
            batch = replace(batch, seeds=torch.full_like(batch.seeds, -1))
            for slot in range(self.block - 1):
                batch.seeds[:, :, slot] = self.vocab[self(batch)[:, :, slot].argmax(-1)]
        logits: Tensor = self(batch)
        return logits

    def context(self, batch: Batch) -> Context:
        """The rows that a batch's slots see."""
        groups, rows, _ = batch.taps.shape
        scaled = batch.taps.float().view(groups, rows, -1, self.width) / self.tap_scale[:, None]
        fused = F.linear(scaled.view(groups, rows, -1), self.fc)
        states = F.rms_norm(fused, (self.width,), self.hidden_norm, self.eps)
        return Context(states, batch.row_positions, batch.visible)

    def hidden(self, batch: Batch) -> Tensor:
        """What the head multiplies [B, A, S, d]."""
        context = self.context(batch)
        inner = batch.seeds[:, :, : self.block - 1]
        ids = torch.cat([batch.anchor_tokens.unsqueeze(2), torch.where(inner >= 0, inner, self.mask_id)], 2)
        x = self.target.embedding[ids]
        places = batch.anchors.unsqueeze(2) + torch.arange(self.block, device=ids.device)
        cos, sin = self.target.cos, self.target.sin
        rope = Rope((cos[context.positions], sin[context.positions]), (cos[places], sin[places]))
        for layer in self.layers:
            x = layer(x, context.states, rope, context.visible, self.autoregressive)
        return F.rms_norm(x, (self.width,), self.norm, self.eps)
