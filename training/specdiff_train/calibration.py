"""What a slot's margin is worth: the chance that its best token is the target's next one where all before it are right.

Logistic regression on the validation answers: log-odds are a slope times the margin (best logit less the second) plus a
constant, both by how the slot stands to the looked-up token of its place, plus a constant for each place. The engine
begins with these chances and goes on learning (native/core/slot_calibration, survival).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import all_places, batches_of
from .drafter import Drafter
from .features import FeatureStore
from .shards import Shard

# As the engine's outlook::Agreement counts them.
ALONE, AGREES, DIFFERS = range(3)
STATES = 3
BINS = 10
LEAST_TESTS = 50
# Keeps what was never tested at 0.
DECAY = 1e-4


@dataclass
class Reached:
    """N slots that were put to the test: all before them in their block were right."""

    places: Tensor  # [N] int64
    margins: Tensor  # [N]
    states: Tensor  # [N] int64: ALONE, AGREES, DIFFERS
    right: Tensor  # [N], 0 or 1


@dataclass
class Calibration:
    """Log-odds: scale [STATES] for each unit of the margin, bias [STATES], places [block]."""

    scale: Tensor
    bias: Tensor
    places: Tensor

    def chances(self, tests: Reached) -> Tensor:
        """The chance [N] of each test to be right."""
        odds = self.scale[tests.states] * tests.margins + self.bias[tests.states] + self.places[tests.places]
        return torch.sigmoid(odds)

    def thousandths(self) -> dict[str, list[int]]:
        """The numbers as the exported file holds them."""
        return {name: (1000 * value).round().int().tolist() for name, value in vars(self).items()}


@torch.no_grad()
def collect(drafter: Drafter, shards: list[Shard], store: FeatureStore) -> Reached:
    """Every slot of every greedy answer position that greedy verification would reach."""
    rows: list[tuple[int, float, int, bool]] = []
    for shard in shards:
        features = store.get(shard)
        for group in shard.groups:
            places = [p for p in all_places(shard, group) if shard.sequences[p.sequence].temperature == 0]
            for _, batch in batches_of(shard, features, group, places, drafter.block, str(drafter.fc.device)):
                top = drafter(batch)[0].topk(2, -1)
                best = drafter.vocab[top.indices[..., 0]].tolist()
                margins = (top.values[..., 0] - top.values[..., 1]).tolist()
                for block in zip(best, margins, batch.seeds[0].tolist(), batch.labels[0].tolist(), strict=True):
                    rows += slots_reached(*block)
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    place, margin, state, right = map(torch.from_numpy, columns)
    return Reached(place.long(), margin, state.long(), right)


def slots_reached(
    best: list[int], margins: list[float], seeds: list[int], labels: list[int]
) -> list[tuple[int, float, int, bool]]:
    """(place, margin, state, right) of one block's slots up to the first wrong one; labels are -1 where unknown."""
    rows = []
    along = True
    for place, (token, margin, seed, label) in enumerate(zip(best, margins, seeds, labels, strict=True)):
        if label < 0:
            break
        along = along and seed >= 0
        state = ALONE if not along else AGREES if token == seed else DIFFERS
        rows.append((place, margin, state, token == label))
        if token != label:
            break
        along = state == AGREES
    return rows


def fit(tests: Reached, block: int) -> Calibration | None:
    """The calibration that makes the tests likeliest; None for too few."""
    if len(tests.right) < LEAST_TESTS:
        return None
    values = torch.zeros(2 * STATES + block, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([values], max_iter=300, line_search_fn="strong_wolfe")

    def calibration() -> Calibration:
        return Calibration(values[:STATES], values[STATES : 2 * STATES], values[2 * STATES :])

    def closure() -> Tensor:
        optimizer.zero_grad()
        chances = calibration().chances(tests).clamp(1e-9, 1 - 1e-9)
        loss = F.binary_cross_entropy(chances, tests.right) + DECAY * values.pow(2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    values = values.detach()
    return calibration()


def expected_calibration_error(chances: Tensor, right: Tensor) -> float:
    """Mean distance of what was said from what happened, over BINS bins of equal width."""
    bins = (chances * BINS).long().clamp(max=BINS - 1)
    error = 0.0
    for index in bins.unique():
        inside = bins == index
        error += abs(float(chances[inside].mean() - right[inside].mean())) * int(inside.sum()) / len(right)
    return error
