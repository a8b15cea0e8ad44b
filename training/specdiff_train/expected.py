"""What drafts of looked-up tokens and slots together bring, for an engine that has not seen any yet: its controller
plans with these chances until it knows better (native/core/controller).
"""

from dataclasses import dataclass

import numpy as np

from .calibration import Calibration
from .drafter import Drafter
from .drafting import drafted_shards
from .evaluate import arms, passes
from .features import FeatureStore
from .shards import Shard


@dataclass
class Expected:
    """In thousandths: drafts whose first place is accepted, the first two, … [block], of greedy and sampled answers."""

    greedy: list[int]
    sampled: list[int]


def expected(
    drafter: Drafter, calibration: Calibration | None, shards: list[Shard], store: FeatureStore
) -> Expected | None:
    """Counted in passes over these answers; None where greedy or sampled ones are missing. Drafts that reach behind an
    answer's end tell nothing of what would have been accepted there, and are left out."""
    reached = np.zeros((2, drafter.block))
    drafts = np.zeros((2, 1))
    for some in drafted_shards({"": drafter}, shards, store):
        for s in some.sequences:
            sequence = some.shard.sequences[s]
            kind, end = int(sequence.temperature > 0), len(sequence.tokens)
            propose = arms(some, s, {"": calibration})["joined"]
            for one in passes(sequence.tokens, sequence.prompt_tokens, end, propose):
                if one.anchor + 1 + drafter.block <= end:
                    drafts[kind] += 1
                    reached[kind, : one.accepted] += 1
    if not drafts.all():
        return None
    greedy, sampled = (1000 * reached / drafts).round().astype(int).tolist()
    return Expected(greedy, sampled)
