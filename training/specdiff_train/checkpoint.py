"""Checkpoints: model, optimizer and place in the schedule, written atomically; and the drafter they hold."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .config import Config
from .data import Shard
from .drafter import Drafter
from .storage import write_atomic
from .target import Target
from .tokenizer import TargetTokenizer


def checkpoint_path(config: Config) -> Path:
    """Where training keeps its latest state."""
    return config.work / "train" / "checkpoint.pt"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically."""
    write_atomic(path, lambda part: torch.save(state, part))


def load(path: Path, device: str) -> dict[str, Any]:
    """Read a checkpoint (tensors and plain values only)."""
    return torch.load(path, map_location=device, weights_only=True)


def new_drafter(config: Config, target: Target, shards: list[Shard]) -> Drafter:
    """The untrained drafter: draft vocabulary and tap scales from the training shards, weights from the target."""
    tokenizer = TargetTokenizer(config.target)
    counts = torch.zeros(target.head.shape[0])
    for shard in shards:
        counts += torch.bincount(shard.tokens.flatten(), minlength=len(counts)) * 0.25
        counts += torch.bincount(shard.tokens[:, shard.prompt_tokens :].flatten(), minlength=len(counts))
    counts[tokenizer.eos] += 1  # an answer's end can always be drafted
    vocab = counts.topk(min(config.draft_vocab, len(counts))).indices.sort().values
    scales = []
    for shard in shards[:8]:
        sample = torch.from_numpy(shard.taps[::8, 1::5].astype(np.float32))
        scales.append(sample.view(-1, len(config.taps), target.width).pow(2).mean(-1).sqrt())
    scale = torch.cat(scales).median(0).values
    return Drafter(
        target,
        config.layers,
        config.block,
        len(config.taps),
        tokenizer.special[config.mask_token],
        vocab.to(config.device),
        scale.to(config.device),
    ).to(config.device)


def restored_drafter(config: Config, target: Target) -> Drafter:
    """The drafter of the latest checkpoint."""
    path = checkpoint_path(config)
    if not path.exists():
        raise SystemExit(f"no checkpoint at {path}; run the train stage first")
    return drafter_of(config, target, load(path, config.device)["model"])


def drafter_of(config: Config, target: Target, state: dict[str, torch.Tensor]) -> Drafter:
    """A drafter with the given weights."""
    mask_id = TargetTokenizer(config.target).special[config.mask_token]
    drafter = Drafter(
        target, config.layers, config.block, len(config.taps), mask_id, state["vocab"], state["tap_scale"]
    ).to(config.device)
    drafter.load_state_dict(state)
    return drafter
