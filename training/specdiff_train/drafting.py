"""The drafter's drafts after every anchor, and what they can be joined with."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .batches import Batch, Place, all_places, batches_of, position
from .drafter import Drafter
from .features import JOIN_MATCH, Features, FeatureStore
from .phrases import LONGEST
from .shards import Shard

# How a slot stands to the looked-up token of its place; the numbers are native/core/outlook's Agreement.
ALONE, AGREES, DIFFERS = range(3)
# Classes of a copy, as outlook::of_copy counts them: matches of 1, 2, 3 and more tokens, phrases known by 1 to 4.
MATCHES = 3
CLASSES = MATCHES + LONGEST


@dataclass
class Drafted:
    """A block's best tokens, and how far each best logit is above the second."""

    tokens: list[int]
    margins: list[float]


# By answer position.
Drafts = dict[int, Drafted]


def logits_of(drafter: Drafter, batch: Batch) -> Tensor:
    """Of every slot, in one pass; in one pass a slot where the drafter is autoregressive."""
    if drafter.autoregressive:
        # A batch of its own: other drafters are asked with the same one.
        batch = replace(batch, seeds=torch.full_like(batch.seeds, -1))
        for slot in range(drafter.block - 1):
            batch.seeds[:, :, slot] = drafter.vocab[drafter(batch)[:, :, slot].argmax(-1)]
    logits: Tensor = drafter(batch)
    return logits


@torch.no_grad()
def drafts(drafter: Drafter, batch: Batch, positions: list[int]) -> Drafts:
    """One draft after each of a group's anchors, whose answer positions these are."""
    top = logits_of(drafter, batch)[0].topk(2, -1)
    best = drafter.vocab[top.indices[..., 0]].tolist()
    margins = (top.values[..., 0] - top.values[..., 1]).tolist()
    return dict(zip(positions, map(Drafted, best, margins), strict=True))


@dataclass
class DraftedShard:
    """A shard with what each drafter drafts at the answer positions of some sequences, from seeds and from masks."""

    shard: Shard
    features: Features
    sequences: list[int]
    seeded: dict[str, Drafts]
    masked: dict[str, Drafts]

    def fresh(self, s: int, anchor: int) -> bool:
        """Whether lookup matches fewer than JOIN_MATCH tokens at an anchor of sequence s."""
        place = position(self.shard, self.features, Place(s, anchor))
        return bool(self.features.matches[place] < JOIN_MATCH)


def drafted_shards(
    drafters: dict[str, Drafter],
    shards: list[Shard],
    store: FeatureStore,
    limit: int | None = None,
    from_masks: bool = False,
    greedy: bool = False,
) -> list[DraftedShard]:
    """Everything that is drafted over the shards' first `limit` groups; `greedy`: in greedy answers alone."""
    block, device = next((d.block, str(d.fc.device)) for d in drafters.values())
    result = []
    for shard in shards:
        features, groups = store.get(shard), shard.groups[:limit]
        wanted = [s for group in groups for s in group if not greedy or shard.sequences[s].temperature == 0]
        kept = set(wanted)
        done = DraftedShard(shard, features, wanted, {name: {} for name in drafters}, {name: {} for name in drafters})
        for group in groups:
            places = [place for place in all_places(shard, group) if place.sequence in kept]
            for some, batch in batches_of(shard, features, group, places, block, device):
                positions = [position(shard, features, place) for place in some]
                for name, drafter in drafters.items():
                    done.seeded[name] |= drafts(drafter, batch, positions)
                if from_masks:
                    batch.seeds[:] = -1
                    for name, drafter in drafters.items():
                        done.masked[name] |= drafts(drafter, batch, positions)
        result.append(done)
    return result


def copy_class(features: Features, place: int) -> int:
    """The class of what an answer position's seeds are copied from, if from anything."""
    phrase = int(features.phrases[place])
    return MATCHES + phrase - 1 if phrase else min(int(features.matches[place]), MATCHES) - 1
