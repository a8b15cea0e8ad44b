"""Tensors for the drafter: groups of sequences that share rows, with anchors in their answers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .features import SOFT_TOP, Features
from .shards import TEXT, Sequence, Shard

# Where the lookup is clear the drafter seldom decides; such anchors are drawn this much more seldom.
LOOKED_UP_SHARE = 0.25
# Tokens behind the cursor that a drafter may be shown (`Config.after`), and the place that is left for the answer.
AFTER_TOKENS = 64
AFTER_GAP = 128
# Anchors evaluated at once.
CHUNK = 64


@dataclass
class Batch:
    """B groups; C rows, A anchors each, S slots a block. Padding rows are visible to nobody."""

    taps: Tensor  # [B, C, taps·d] fp16
    row_positions: Tensor  # [B, C]
    visible: Tensor  # [B, A, C] bool: rows strictly before the anchor, of its own sequence
    anchors: Tensor  # [B, A] positions
    anchor_tokens: Tensor  # [B, A]
    seeds: Tensor  # [B, A, S] looked-up tokens after each anchor, -1 for a mask
    labels: Tensor  # [B, A, S] token after each slot's place, -1 beyond the answer
    soft_ids: Tensor  # [B, A, S, SOFT_TOP]
    soft_p: Tensor  # [B, A, S, SOFT_TOP]
    after: Tensor  # [B, F] tokens behind the cursor, of each sequence of the group
    after_positions: Tensor  # [B, F] as if an answer of AFTER_GAP tokens stood before them
    after_visible: Tensor  # [B, A, F] bool: those of the anchor's own sequence

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass
class Place:
    """One anchor of one sequence of a shard."""

    sequence: int
    anchor: int


def all_places(shard: Shard, group: range) -> list[Place]:
    """Every anchor of a group."""
    return [Place(s, anchor) for s in group for anchor in shard.sequences[s].anchors]


def drawn_places(shard: Shard, features: Features, group: range, count: int, rng: np.random.Generator) -> list[Place]:
    """`count` anchors of a group, mostly such as the drafter is asked at; repeated where there are too few."""
    places = all_places(shard, group)
    weights = np.array([LOOKED_UP_SHARE if features.clear(position(shard, features, p)) else 1.0 for p in places])
    # Exponential clocks: the earliest ones are a draw without replacement by weight.
    order = np.argsort(rng.exponential(size=len(places)) / weights)
    return [places[order[i % len(places)]] for i in range(count)]


def position(shard: Shard, features: Features, place: Place) -> int:
    """Index of an anchor among the shard's answer positions."""
    return features.starts[place.sequence] + place.anchor - shard.sequences[place.sequence].prompt_tokens


def labels_of(sequence: Sequence, features: Features, at: int, anchor: int, block: int) -> list[int]:
    """What the target writes after an anchor, as far as it is known, at most `block` tokens."""
    following = sequence.tokens[anchor + 1 : anchor + 1 + block]
    if sequence.kind != TEXT:
        return following
    best = features.soft_ids[at : at + len(following), 0].tolist()
    for slot, (token, other) in enumerate(zip(following, best, strict=True)):
        if token != other:  # the target would have gone on with `other`; what follows that is not known
            return [*following[:slot], other]
    return following


def batches_of(
    shard: Shard, features: Features, group: range, places: list[Place], block: int, device: str
) -> Iterator[tuple[list[Place], Batch]]:
    """A group's places, CHUNK at a time, each with its batch."""
    for first in range(0, len(places), CHUNK):
        some = places[first : first + CHUNK]
        yield some, make_batch(shard, features, [group], [some], block).to(device)


def make_batch(shard: Shard, features: Features, groups: list[range], places: list[list[Place]], block: int) -> Batch:
    """The tensors for `places` of each group; all groups have the same number of places."""
    unique = [np.unique(np.concatenate([features.rows[s] for s in group])) for group in groups]
    length, count = max(map(len, unique)), len(places[0])
    top = min(SOFT_TOP, features.soft_ids.shape[1])
    taps = np.zeros((len(groups), length, features.taps.shape[1]), np.float16)
    row_positions = np.zeros((len(groups), length), np.int64)
    visible = np.zeros((len(groups), count, length), bool)
    anchors = np.zeros((len(groups), count), np.int64)
    anchor_tokens = np.zeros_like(anchors)
    seeds = np.zeros((len(groups), count, block), np.int64)
    labels = np.full((len(groups), count, block), -1, np.int64)
    soft_ids = np.full((len(groups), count, block, top), -1, np.int64)
    soft_p = np.zeros((len(groups), count, block, top), np.float32)
    for g, group in enumerate(groups):
        rows = unique[g]
        taps[g, : len(rows)] = features.taps[rows]
        row_positions[g, : len(rows)] = features.positions[rows]
        own = {s: np.isin(rows, features.rows[s]) for s in group}
        for a, place in enumerate(places[g]):
            sequence = shard.sequences[place.sequence]
            at = position(shard, features, place)
            visible[g, a, : len(rows)] = own[place.sequence] & (row_positions[g, : len(rows)] < place.anchor)
            anchors[g, a] = place.anchor
            anchor_tokens[g, a] = sequence.tokens[place.anchor]
            seeds[g, a] = features.seeds[at]
            following = labels_of(sequence, features, at, place.anchor, block)
            here = len(following)
            labels[g, a, :here] = following
            soft_ids[g, a, :here] = features.soft_ids[at : at + here]
            soft_p[g, a, :here] = features.soft_p[at : at + here]
    behind = after_cursor(shard, groups, places)
    arrays = (taps, row_positions, visible, anchors, anchor_tokens, seeds, labels, soft_ids, soft_p, *behind)
    return Batch(*map(torch.from_numpy, arrays))


def after_cursor(
    shard: Shard, groups: list[range], places: list[list[Place]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`after`, `after_positions`, `after_visible` of a batch; a completion's lookup text is what follows its cursor."""
    most = max(len(group) for group in groups) * AFTER_TOKENS
    tokens = np.zeros((len(groups), most), np.int64)
    positions = np.zeros_like(tokens)
    visible = np.zeros((len(groups), len(places[0]), most), bool)
    for g, group in enumerate(groups):
        for number, s in enumerate(group):
            sequence, first = shard.sequences[s], number * AFTER_TOKENS
            following = sequence.lookup[:AFTER_TOKENS]
            tokens[g, first : first + len(following)] = following
            positions[g, first : first + AFTER_TOKENS] = sequence.prompt_tokens + AFTER_GAP + np.arange(AFTER_TOKENS)
            own = [place.sequence == s for place in places[g]]
            visible[g, own, first : first + len(following)] = True
    return tokens, positions, visible
