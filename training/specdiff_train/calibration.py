"""What may stand at each place of a draft: the block's slots and what lookup and phrases say behind the tokens before,
as one distribution.

Log-odds of a token are a sum: a slope times its logit, and constants for what speaks for it (the copy that its slot
began from, the match that it follows, the phrase that it ends); of all tokens that are not looked at, together, against
the last of the slot's that are. Fitted to the validation answers. The engine drafts by these chances, and begins its
plans with them (native/core/place_chances).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import labels_of
from .drafter import Drafter
from .drafting import TOP, Drafted, DraftedShard, drafted_shards
from .evidence import MATCHES, SURENESSES, Evidence, evidence_of
from .features import FeatureStore
from .phrases import LONGEST
from .shards import load_split

# A slot's own tokens, and what a copy, a match and a phrase may add.
LOOKED_AT = TOP + 3
# What may speak for a token: absence from the slot's own, the copy, a match, a phrase.
SPEAKERS = 4
BINS = 10
LEAST_TESTS = 50
# Keeps what was never tested at 0.
DECAY = 2e-5
NOTHING = -1e9


@dataclass
class Block:
    """One draft, and what is known of its place."""

    drafted: Drafted
    seeds: list[int]  # looked-up tokens that its slots began from, -1 where none
    evidence: list[Evidence]
    labels: list[int]  # what the target writes there, as far as it is known


@dataclass
class Calibration:
    """Log-odds by place [block], by match length [MATCHES], by phrase [LONGEST · SURENESSES]; `_copied`: of what the
    slot began from, and so has heard of."""

    slope: Tensor
    rest: Tensor
    copied: Tensor
    absent: Tensor
    matched: Tensor
    matched_copied: Tensor
    phrases: Tensor
    phrases_copied: Tensor

    def thousandths(self) -> dict[str, list[int]]:
        """The numbers as the exported file holds them."""
        return {name: (1000 * value).round().int().tolist() for name, value in vars(self).items()}

    def weights(self) -> Tensor:
        """All in a row, then a 0."""
        return torch.cat([*vars(self).values(), torch.zeros(1, dtype=self.slope.dtype)])


def sizes(block: int) -> list[int]:
    """Of a calibration's fields."""
    phrases = LONGEST * SURENESSES
    return [block, block, block, block, MATCHES, MATCHES, phrases, phrases]


def offsets(block: int) -> dict[str, int]:
    """Where each field begins in weights()."""
    names = [field.name for field in fields(Calibration)]
    return {name: sum(sizes(block)[:index]) for index, name in enumerate(names)}


@dataclass
class Places:
    """N places of drafts with the LOOKED_AT tokens that may stand there, where all before them are right."""

    tokens: Tensor  # [N, LOOKED_AT] int64, -1 for none
    gaps: Tensor  # [N, LOOKED_AT]: how far the logit lies above the best one's
    speakers: Tensor  # [N, LOOKED_AT, SPEAKERS] int64: indices of what speaks for it
    slots: Tensor  # [N] int64: place in the draft
    right: Tensor  # [N] int64: index of the target's choice, LOOKED_AT where it is none of these

    def kept(self, wanted: Tensor) -> "Places":
        """The places where `wanted` [N] is true."""
        return Places(**{name: value[wanted] for name, value in vars(self).items()})

    def reached(self, passed: Tensor) -> Tensor:
        """Which places [N] verification comes to, where `passed` [N] says which of them succeed."""
        kept, alive = [], True
        for place, good in zip(self.slots.tolist(), passed.tolist(), strict=True):
            alive = alive or place == 0
            kept.append(alive)
            alive = alive and good
        return torch.tensor(kept, dtype=torch.bool)


@dataclass
class Row:
    """One place: its tokens with their gaps, and the indices of the weights that speak for each."""

    tokens: list[int]
    gaps: list[float]
    speakers: list[list[int]]

    def speak(self, token: int, weight: int, absent: int) -> None:
        """Add what speaks for a token; one that is not there yet is `absent` from the slot's best, too."""
        if token not in self.tokens:
            self.tokens.append(token)
            self.gaps.append(self.gaps[TOP - 1])
            self.speakers.append([absent])
        self.speakers[self.tokens.index(token)].append(weight)


def row_of(block: Block, slot: int, copied: int, at: dict[str, int]) -> Row:
    """A draft's place. `copied`: what its slot began from, -1 behind a draft that has left the copy."""
    said, absent = block.evidence[slot], at["absent"] + slot
    row = Row(list(block.drafted.tokens[slot]), list(block.drafted.gaps[slot]), [[] for _ in range(TOP)])
    if copied >= 0:
        row.speak(copied, at["copied"] + slot, absent)
    if said.matched:
        heard = at["matched_copied" if said.copied == copied else "matched"]
        row.speak(said.copied, heard + said.matched - 1, absent)
    if said.known:
        heard = at["phrases_copied" if said.phrase == copied else "phrases"]
        row.speak(said.phrase, heard + SURENESSES * (said.known - 1) + said.sureness, absent)
    return row


def places_of(blocks: Iterable[Block], block: int) -> Places:
    """Every place of the drafts, as far as the target's choice is known."""
    at, zero = offsets(block), sum(sizes(block))
    rows: list[Row] = []
    slots: list[int] = []
    right: list[int] = []
    for one in blocks:
        along = True
        for slot, label in enumerate(one.labels):
            copied = one.seeds[slot] if along else -1
            row = row_of(one, slot, copied, at)
            rows.append(row)
            slots.append(slot)
            right.append(row.tokens.index(label) if label in row.tokens else LOOKED_AT)
            along = copied == label
    tokens = torch.full((len(rows), LOOKED_AT), -1)
    gaps = torch.full((len(rows), LOOKED_AT), NOTHING, dtype=torch.float64)
    speakers = torch.full((len(rows), LOOKED_AT, SPEAKERS), zero)
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)] = torch.tensor(row.tokens)
        gaps[index, : len(row.gaps)] = torch.tensor(row.gaps, dtype=torch.float64)
        for token, weights in enumerate(row.speakers):
            speakers[index, token, : len(weights)] = torch.tensor(weights, dtype=torch.long)
    return Places(tokens, gaps, speakers, torch.tensor(slots).long(), torch.tensor(right).long())


def log_odds(places: Places, weights: Tensor, block: int) -> Tensor:
    """Of each token, and of all others together [N, LOOKED_AT + 1]."""
    at = offsets(block)
    of_logits = weights[at["slope"] + places.slots][:, None] * places.gaps
    odds = of_logits + weights[places.speakers].sum(-1)
    rest = weights[at["rest"] + places.slots] + of_logits[:, TOP - 1]
    return torch.cat([odds.where(places.gaps > NOTHING, NOTHING), rest[:, None]], 1)


def choices(places: Places, calibration: Calibration) -> tuple[Tensor, Tensor]:
    """Index of the likeliest token [N], and its chance [N]."""
    odds = log_odds(places, calibration.weights(), len(calibration.slope))
    best = odds[:, :LOOKED_AT].argmax(1)
    return best, torch.softmax(odds, 1).gather(1, best[:, None])[:, 0]


def fit(places: Places, block: int) -> Calibration | None:
    """The calibration that makes the target's choices likeliest, where its own drafts lead; None for too few."""
    if len(places.right) < LEAST_TESTS:
        return None
    calibration = likeliest(places.kept(places.reached(places.right < LOOKED_AT)), block)
    best, _ = choices(places, calibration)
    return likeliest(places.kept(places.reached(best == places.right)), block)


def likeliest(places: Places, block: int) -> Calibration:
    """Maximum likelihood."""
    weights = torch.zeros(sum(sizes(block)), dtype=torch.float64)
    weights[: 2 * block] = 1.0
    weights.requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")
    nothing = torch.zeros(1, dtype=torch.float64)

    def closure() -> Tensor:
        optimizer.zero_grad()
        odds = log_odds(places, torch.cat([weights, nothing]), block)
        loss = F.cross_entropy(odds, places.right) + DECAY * weights.pow(2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return Calibration(*weights.detach().split(sizes(block)))


def blocks_of(drafted: DraftedShard, name: str, s: int) -> Iterator[Block]:
    """A drafter's drafts from seeds after every anchor of a sequence."""
    shard, features, table = drafted.shard, drafted.features, drafted.behind[name]
    sequence = shard.sequences[s]
    said = evidence_of(sequence, drafted.phrases, features.seeds.shape[1])
    for evidence, (place, anchor) in zip(said, enumerate(sequence.anchors, features.starts[s]), strict=True):
        labels = labels_of(sequence, features, place, anchor, len(table[place].tokens))
        yield Block(table[place], features.seeds[place].tolist(), evidence, labels)


def greedy_blocks(drafted: DraftedShard, name: str) -> Iterator[Block]:
    """Those of all greedy sequences."""
    greedy = [s for s in drafted.sequences if drafted.shard.sequences[s].temperature == 0]
    return chain.from_iterable(blocks_of(drafted, name, s) for s in greedy)


def fitted(drafted: list[DraftedShard], name: str, block: int) -> Calibration | None:
    """The calibration that fits a drafter's drafts."""
    return fit(places_of(chain.from_iterable(greedy_blocks(shard, name) for shard in drafted), block), block)


def calibrated(drafter: Drafter, answers: Path, store: FeatureStore) -> Calibration | None:
    """What the drafter's slots and lookups are worth on the validation answers."""
    drafted = drafted_shards({"": drafter}, load_split(answers, "validation"), store, greedy=True)
    return fitted(drafted, "", drafter.block)


def joined(blocks: Iterable[Block], calibration: Calibration) -> list[list[int]]:
    """The drafts of the likeliest tokens, as native/core/joint_drafter makes them, as far as their answers go: each
    place behind the right tokens, so what stands behind a wrong one is not what the engine would draft there."""
    places = places_of(blocks, len(calibration.slope))
    best, _ = choices(places, calibration)
    drafts: list[list[int]] = []
    for place, token in zip(places.slots.tolist(), places.tokens.gather(1, best[:, None])[:, 0].tolist(), strict=True):
        if place == 0:
            drafts.append([])
        drafts[-1].append(token)
    return drafts


def calibration_error(places: Places, calibration: Calibration) -> tuple[float, int]:
    """Expected calibration error of the drafts that the calibration chooses, and how many places were tested."""
    best, chances = choices(places, calibration)
    passed = best == places.right
    reached = places.reached(passed)
    return expected_calibration_error(chances[reached], passed[reached].double()), int(reached.sum())


def expected_calibration_error(chances: Tensor, right: Tensor) -> float:
    """Mean distance of what was said from what happened, over BINS bins of equal width."""
    bins = (chances * BINS).long().clamp(max=BINS - 1)
    error = 0.0
    for index in bins.unique():
        inside = bins == index
        error += abs(float(chances[inside].mean() - right[inside].mean())) * int(inside.sum()) / len(right)
    return error
