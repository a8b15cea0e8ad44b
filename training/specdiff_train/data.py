"""Shards of answers as the training and the evaluation read them: tokens, taps, lookup seeds, soft targets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .lookup import lookup
from .storage import write_atomic
from .target import Target, rotate

SOFT_TOP = 16


@dataclass
class Shard:
    """B equally long sequences of T tokens; the answers begin at `prompt_tokens` and end before `ends` [B]."""

    tokens: Tensor  # [B, T] int64
    taps: np.ndarray  # [B, T-1, taps·d] fp16, memory-mapped
    prompt_tokens: int
    ends: Tensor  # [B]
    language: list[str]
    kind: str
    seeds: Tensor  # [B, T, block] looked-up tokens after each answer position, -1 where none
    soft_ids: Tensor  # [B, T-1, SOFT_TOP] target's most probable next tokens at answer positions
    soft_p: Tensor  # [B, T-1, SOFT_TOP] their probabilities (fp16)


def load(folder: Path, split: str, target: Target, taps: tuple[int, ...], block: int) -> list[Shard]:
    """All complete shards of a split, in order; what is derived from them is computed once and kept beside them."""
    shards = []
    for path in sorted(folder.glob(f"{split}_*.npz")):
        if path.name.endswith(".derived.npz"):
            continue
        stored = np.load(path)
        tokens = torch.from_numpy(stored["tokens"].astype(np.int64))
        rows = np.load(path.with_suffix("").with_suffix(".taps.npy"), mmap_mode="r")
        prompt = int(stored["prompt_tokens"])
        derived_path = path.with_suffix(".derived.npz")
        if not derived_path.exists():
            derive(derived_path, tokens, rows, prompt, target, taps, block)
        derived = np.load(derived_path)
        shards.append(
            Shard(
                tokens=tokens,
                taps=rows,
                prompt_tokens=prompt,
                ends=torch.from_numpy(stored["ends"]),
                language=[str(name) for name in stored["language"]],
                kind=str(stored["kind"]),
                seeds=torch.from_numpy(derived["seeds"]).long(),
                soft_ids=torch.from_numpy(derived["soft_ids"]).long(),
                soft_p=torch.from_numpy(derived["soft_p"]),
            )
        )
    return shards


def derive(
    path: Path, tokens: Tensor, rows: np.ndarray, prompt: int, target: Target, taps: tuple[int, ...], block: int
) -> None:
    """Compute a shard's lookup seeds and soft targets and write them atomically."""
    batch, length = tokens.shape
    seeds = np.full((batch, length, block), -1, dtype=np.int32)
    for b, row in enumerate(tokens.tolist()):
        for anchor in range(prompt, length - 1):
            found = lookup(row[: anchor + 1], block)
            if found:
                seeds[b, anchor] = found
    ids = np.zeros((batch, length - 1, SOFT_TOP), dtype=np.int32)
    p = np.zeros((batch, length - 1, SOFT_TOP), dtype=np.float16)
    for start in range(0, batch, 8):
        part = torch.from_numpy(rows[start : start + 8, :, -target.width :].astype(np.float32)).to(target.device)
        hidden = last_layers(target, part, taps[-1])[:, prompt:]
        top = torch.softmax(target.logits(hidden), -1).topk(SOFT_TOP)
        ids[start : start + 8, prompt:] = top.indices.cpu().numpy()
        p[start : start + 8, prompt:] = top.values.cpu().numpy()

    def put(part_path: Path) -> None:
        with part_path.open("wb") as file:
            np.savez(file, seeds=seeds, soft_ids=ids, soft_p=p)

    write_atomic(path, put)


@torch.no_grad()
def last_layers(target: Target, x: Tensor, first: int) -> Tensor:
    """Run layers `first`.. of the target on their inputs x [B, T, d]: the stored tap is enough for the final logits."""
    batch, length, _ = x.shape
    share = target.heads // target.kv_heads
    kv_width = target.kv_heads * target.head_width
    cos, sin = target.cos[:length], target.sin[:length]
    for layer in target.layers[first:]:
        h = F.rms_norm(x, (target.width,), layer.attn_norm, target.eps)
        q, k, v = F.linear(h, layer.qkv).split([target.width, kv_width, kv_width], -1)
        q = rotate(q.view(batch, length, target.heads, -1).transpose(1, 2), cos, sin)
        k = rotate(k.view(batch, length, target.kv_heads, -1).transpose(1, 2), cos, sin)
        v = v.view(batch, length, target.kv_heads, -1).transpose(1, 2)
        o = F.scaled_dot_product_attention(
            q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1), is_causal=True
        )
        x = x + F.linear(o.transpose(1, 2).reshape(batch, length, target.width), layer.attn_output)
        gate, up = F.linear(F.rms_norm(x, (target.width,), layer.ffn_norm, target.eps), layer.gate_up).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, layer.down)
    return x
