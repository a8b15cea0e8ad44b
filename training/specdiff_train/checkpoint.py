"""Checkpoints: model, optimizer and place in the schedule, written atomically; and what training starts from."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .arms.after import AfterDrafter
from .arms.few_taps import FewTapsDrafter
from .arms.markov import MarkovDrafter
from .arms.random_start import randomize
from .config import Config
from .drafter import Drafter, Shape
from .identity import compare, identity
from .import_gguf import read_vocabulary, read_weights
from .shards import Shard
from .target import Target
from .tensor_file import save_tensors
from .vocabulary import Vocabulary

SCALE_ROWS = 4096
# Settings that a checkpoint's weights are only right with.
SHAPE = ("taps", "layers", "block", "mask_token", "autoregressive")


def checkpoint_path(config: Config) -> Path:
    """Where training keeps its latest state."""
    return config.work / "train" / "checkpoint.pt"


def best_path(config: Config) -> Path:
    """Where training keeps the state with the best τ on validation."""
    return config.work / "train" / "best.pt"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically."""
    save_tensors(path, state)


def load(path: Path, config: Config) -> dict[str, Any]:
    """Read a checkpoint of this target (tensors and plain values only)."""
    state: dict[str, Any] = torch.load(path, map_location=config.device, weights_only=True)
    compare(state["identity"], identity(config.target), str(path), config)
    recipe = state.get("recipe", {})
    for name in SHAPE:
        own = getattr(config, name)
        stored = type(own)(recipe.get(name, own))
        if stored != own:
            option = f"--{name.replace('_', '-')}"
            raise SystemExit(
                f"{path} was trained with {name} {stored}, not {own}; give it the same {option}, or use another --work."
            )
    return state


def new_drafter(config: Config, target: Target, shards: list[Shard], taps: np.ndarray) -> Drafter:
    """What training starts from: draft vocabulary from the answers, tap scales from `taps` [R, taps·d]."""
    counts = torch.zeros(target.head.shape[0])
    for shard in shards:
        for sequence in shard.sequences:
            tokens = torch.tensor(sequence.tokens)
            counts += torch.bincount(tokens, minlength=len(counts)) * 0.25
            counts += torch.bincount(tokens[sequence.prompt_tokens :], minlength=len(counts))
    sample = torch.from_numpy(np.array(taps[:: max(1, len(taps) // SCALE_ROWS)], np.float32))
    return drafter_from(config, target, counts, sample)


def drafter_from(config: Config, target: Target, counts: torch.Tensor, taps: torch.Tensor) -> Drafter:
    """A drafter with weights and draft vocabulary from `config.start` or, without one, weights from the target's last
    layers and the tokens of the most `counts` [V]; tap scales from `taps` [R, taps·d]."""
    if config.start:
        vocab = read_vocabulary(config.start)
    else:
        wanted = counts.clone()
        wanted[Vocabulary(config.target).end] += 1e6  # an answer's end can always be drafted
        vocab = wanted.topk(min(config.draft_vocab, len(counts))).indices.sort().values
    scale = taps.float().view(-1, len(config.taps), target.width).pow(2).mean(-1).sqrt().median(0).values
    drafter = make(config, target, vocab.to(config.device), scale.to(config.device))
    if config.start:
        drafter.load_state_dict(read_weights(config.start, drafter, config.taps), strict=False)
    return drafter


def trained_drafter(config: Config, target: Target) -> Drafter:
    """The drafter with the best τ on validation, or the latest."""
    for path in (best_path(config), checkpoint_path(config)):
        if path.exists():
            return drafter_of(config, target, load(path, config)["model"])
    raise SystemExit(f"no checkpoint in {checkpoint_path(config).parent}; run the train stage first")


def drafter_of(config: Config, target: Target, state: dict[str, torch.Tensor]) -> Drafter:
    """A drafter with the given weights."""
    drafter = make(config, target, state["vocab"], state["tap_scale"])
    drafter.load_state_dict(state)
    return drafter


def make(config: Config, target: Target, vocab: torch.Tensor, scale: torch.Tensor) -> Drafter:
    """An untrained drafter on the configuration's device."""
    mask_id = Vocabulary(config.target).id_of(config.mask_token)
    shape = Shape(target, config.layers, config.block, mask_id, vocab, scale)
    if config.markov_rank:
        return MarkovDrafter(shape, config.markov_rank).to(config.device)
    if config.seen_taps:
        return FewTapsDrafter(shape, config.seen_taps).to(config.device)
    if config.after:
        return AfterDrafter(shape).to(config.device)
    drafter = Drafter(shape, config.autoregressive).to(config.device)
    if config.random_start:
        randomize(drafter, config.seed)
    return drafter
