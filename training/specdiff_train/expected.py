"""What drafts of looked-up tokens and slots together bring, for an engine that has not seen any yet: its controller
plans with these chances until it knows better (native/core/controller).
"""

import numpy as np

from .calibration import Calibration
from .drafter import Drafter
from .drafting import drafted_shards
from .evaluate import arms, passes
from .features import FeatureStore
from .shards import Shard


def expected(
    drafter: Drafter, calibration: Calibration | None, shards: list[Shard], store: FeatureStore
) -> list[int] | None:
    """In thousandths: drafts whose first place is accepted, the first two, … [block], counted in passes over the greedy
    ones of these answers; None where there are none. Drafts that reach behind an answer's end tell nothing of what
    would have been accepted there, and are left out."""
    reached, drafts = np.zeros(drafter.block), 0
    for some in drafted_shards({"": drafter}, shards, store, greedy=True):
        for s in some.sequences:
            sequence = some.shard.sequences[s]
            end = len(sequence.tokens)
            propose = arms(some, s, {"": calibration})["joined"]
            for one in passes(sequence.tokens, sequence.prompt_tokens, end, propose):
                if one.anchor + 1 + drafter.block <= end:
                    drafts += 1
                    reached[: one.accepted] += 1
    found: list[int] = (1000 * reached / max(drafts, 1)).round().astype(int).tolist()
    return found if drafts else None
