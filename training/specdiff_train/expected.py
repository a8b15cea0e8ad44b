"""What drafts of looked-up tokens and slots together bring, for an engine that has not seen any yet: its controller
plans with these chances until it knows better (native/core/controller).
"""

import numpy as np

from .calibration import Calibration
from .drafting import DraftedShard
from .evaluate import arms, passes


def expected(drafted: list[DraftedShard], calibration: Calibration | None, block: int) -> list[int] | None:
    """In thousandths: drafts whose first place is accepted, the first two, … [block], counted in passes over greedy
    answers; None where there are none. Drafts that reach behind an answer's end tell nothing of what would have been
    accepted there, and are left out."""
    reached, drafts = np.zeros(block), 0
    for some in drafted:
        for s in some.sequences:
            sequence = some.shard.sequences[s]
            end = len(sequence.tokens)
            propose = arms(some, s, {"": calibration})["joined"]
            for one in passes(sequence.tokens, sequence.prompt_tokens, end, propose):
                if one.anchor + 1 + block <= end:
                    drafts += 1
                    reached[: one.accepted] += 1
    found: list[int] = (1000 * reached / max(drafts, 1)).round().astype(int).tolist()
    return found if drafts else None
