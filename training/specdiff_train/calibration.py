"""What a slot's margin and a looked-up token are worth: the chance to be the target's next token where all before in
their block were right.

Logistic regression on the validation answers. Log-odds of a slot's best token: a slope times the margin (best logit
less the second) plus a constant, both by how the slot stands to the looked-up token of its place, plus a constant for
each place. Of a looked-up token where the block's is another one: a constant for what it is copied from, one for its
place; how far its logit lies below the best one says nothing more (a slope of 0.01 on these answers). The engine begins
with these chances and goes on learning (native/core/slot_calibration, survival).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import labels_of
from .drafter import Drafter
from .drafting import AGREES, ALONE, CLASSES, DIFFERS, Drafted, DraftedShard, copy_class, drafted_shards
from .features import FeatureStore
from .shards import load_split

STATES = 3
BINS = 10
LEAST_TESTS = 50
# Keeps what was never tested at 0.
DECAY = 1e-4


@dataclass
class Block:
    """One draft, and what is known of its place."""

    drafted: Drafted
    seeds: list[int]  # looked-up tokens, -1 where none
    copy: int  # class of what they are copied from
    labels: list[int]  # what the target writes there, as far as it is known


@dataclass
class Reached:
    """N slots that were put to the test: all before them in their block were right."""

    places: Tensor  # [N] int64
    margins: Tensor  # [N]
    states: Tensor  # [N] int64: ALONE, AGREES, DIFFERS
    right: Tensor  # [N], 0 or 1


@dataclass
class Copied:
    """N looked-up tokens that were put to the test where the block's token was another one."""

    places: Tensor  # [N] int64
    classes: Tensor  # [N] int64, below CLASSES
    right: Tensor  # [N], 0 or 1


@dataclass
class Calibration:
    """Log-odds of slots: scale [STATES] for each unit of the margin, bias [STATES], places [block]; of looked-up
    tokens: copied [CLASSES], copied_places [block]; both empty where too few were tested."""

    scale: Tensor
    bias: Tensor
    places: Tensor
    copied: Tensor
    copied_places: Tensor

    def chances(self, tests: Reached) -> Tensor:
        """The chance [N] of each test to be right."""
        odds = self.scale[tests.states] * tests.margins + self.bias[tests.states] + self.places[tests.places]
        return torch.sigmoid(odds)

    def thousandths(self) -> dict[str, list[int]]:
        """The numbers that there are, as the exported file holds them."""
        return {name: (1000 * value).round().int().tolist() for name, value in vars(self).items() if len(value)}


def blocks(drafted: DraftedShard, name: str) -> Iterator[Block]:
    """A drafter's drafts from seeds after every anchor of the greedy sequences."""
    shard, features, table = drafted.shard, drafted.features, drafted.seeded[name]
    for s in drafted.sequences:
        sequence = shard.sequences[s]
        if sequence.temperature > 0:
            continue
        for place, anchor in enumerate(sequence.anchors, features.starts[s]):
            labels = labels_of(sequence, features, place, anchor, len(table[place].tokens))
            yield Block(table[place], features.seeds[place].tolist(), copy_class(features, place), labels)


def slots_reached(block: Block) -> list[tuple[int, float, int, bool]]:
    """(place, margin, state, right) of a block's slots up to the first wrong one."""
    rows = []
    along = True
    drafted = block.drafted
    for place, (token, margin, seed, label) in enumerate(
        zip(drafted.tokens, drafted.margins, block.seeds, block.labels, strict=False)
    ):
        along = along and seed >= 0
        state = ALONE if not along else AGREES if token == seed else DIFFERS
        rows.append((place, margin, state, token == label))
        if token != label:
            break
        along = state == AGREES
    return rows


def copies_reached(block: Block) -> list[tuple[int, int, bool]]:
    """(place, class, right) of a block's looked-up tokens that its slots differ from, up to the first wrong one."""
    rows = []
    for place, (token, seed, label) in enumerate(zip(block.drafted.tokens, block.seeds, block.labels, strict=False)):
        if seed < 0:
            break
        if token != seed:
            rows.append((place, block.copy, seed == label))
        if seed != label:
            break
    return rows


def reached(tested: Iterable[Block]) -> tuple[Reached, Copied]:
    """Every slot and every looked-up token that greedy verification would put to the test."""
    slots: list[tuple[int, float, int, bool]] = []
    copies: list[tuple[int, int, bool]] = []
    for block in tested:
        slots += slots_reached(block)
        copies += copies_reached(block)
    place, margin, state, right = torch.tensor(slots, dtype=torch.float64).reshape(-1, 4).T
    copy_place, kind, copy_right = torch.tensor(copies, dtype=torch.float64).reshape(-1, 3).T
    return (
        Reached(place.long(), margin, state.long(), right),
        Copied(copy_place.long(), kind.long(), copy_right),
    )


def fit(slots: Reached, copies: Copied, block: int) -> Calibration | None:
    """The calibration that makes the tests likeliest; None for too few."""
    if len(slots.right) < LEAST_TESTS:
        return None
    state = F.one_hot(slots.states, STATES)
    of_slots = torch.cat([state * slots.margins[:, None], state, F.one_hot(slots.places, block)], 1)
    scale, bias, places = likeliest(of_slots, slots.right).split([STATES, STATES, block])
    if len(copies.right) < LEAST_TESTS:
        return Calibration(scale, bias, places, torch.zeros(0), torch.zeros(0))
    # A class that was never tested is as good as the others together.
    ones = torch.ones(len(copies.right), 1)
    of_copies = torch.cat([ones, F.one_hot(copies.classes, CLASSES), F.one_hot(copies.places, block)], 1)
    mean, copied, copied_places = likeliest(of_copies, copies.right).split([1, CLASSES, block])
    return Calibration(scale, bias, places, mean + copied, copied_places)


def fitted(drafted: list[DraftedShard], name: str, block: int) -> Calibration | None:
    """The calibration that fits a drafter's drafts."""
    return fit(*reached(chain.from_iterable(blocks(shard, name) for shard in drafted)), block)


def calibrated(drafter: Drafter, answers: Path, store: FeatureStore) -> Calibration | None:
    """What the drafter's margins, and copies against them, are worth on the validation answers."""
    drafted = drafted_shards({"": drafter}, load_split(answers, "validation"), store, greedy=True)
    return fitted(drafted, "", drafter.block)


def likeliest(columns: Tensor, right: Tensor) -> Tensor:
    """Logistic regression: the weights [K] of columns [N, K] that make `right` [N] likeliest."""
    columns = columns.double()
    weights = torch.zeros(columns.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(columns @ weights, right) + DECAY * weights.pow(2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach()


def joined(drafted: Drafted, seeds: list[int], copy: int, calibration: Calibration) -> list[int]:
    """Place by place the more promising of the looked-up and the block's token, as native/core/joint_drafter does."""
    scale, bias, places, copied, copied_places = (value.tolist() for value in vars(calibration).values())
    draft: list[int] = []
    copying = True
    for place, (token, margin, seed) in enumerate(zip(drafted.tokens, drafted.margins, seeds, strict=True)):
        copying = copying and seed >= 0
        if copying and seed != token:
            of_block = scale[DIFFERS] * margin + bias[DIFFERS] + places[place]
            copying = copied[copy] + copied_places[place] > of_block
        draft.append(seed if copying else token)
    return draft


def expected_calibration_error(chances: Tensor, right: Tensor) -> float:
    """Mean distance of what was said from what happened, over BINS bins of equal width."""
    bins = (chances * BINS).long().clamp(max=BINS - 1)
    error = 0.0
    for index in bins.unique():
        inside = bins == index
        error += abs(float(chances[inside].mean() - right[inside].mean())) * int(inside.sum()) / len(right)
    return error
