"""The drafter's drafts after every anchor, and what they can be joined with."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .batches import Place, all_places, batches_of, position
from .drafter import Drafter
from .features import JOIN_MATCH, Features, FeatureStore
from .phrases import Phrases
from .shards import Shard

# Tokens of a slot that are looked at (native/core's TopFew).
TOP = 4


@dataclass
class Drafted:
    """Each slot's best tokens, best first, and how far each one's logit lies above the best one's: [slots][TOP]."""

    tokens: list[list[int]]
    gaps: list[list[float]]

    @property
    def best(self) -> list[int]:
        """Each slot's best token."""
        return [tokens[0] for tokens in self.tokens]


# By answer position.
Drafts = dict[int, Drafted]


def drafts(drafter: Drafter, logits: Tensor, positions: list[int]) -> Drafts:
    """One draft after each of a group's anchors, whose answer positions these are, from its logits [1, A, S, W]."""
    top = logits[0].topk(TOP, -1)
    gaps = top.values - top.values[..., :1]
    drafted = map(Drafted, drafter.vocab[top.indices].tolist(), gaps.tolist())
    return dict(zip(positions, drafted, strict=True))


@dataclass
class DraftedShard:
    """A shard with what each drafter drafts at the answer positions of some sequences, from seeds and from masks."""

    shard: Shard
    features: Features
    sequences: list[int]
    phrases: Phrases
    seeded: dict[str, Drafts]
    masked: dict[str, Drafts]
    behind: dict[str, Drafts]  # each slot's behind the right tokens: the same but where slots hang on those before

    def fresh(self, s: int, anchor: int) -> bool:
        """Whether lookup matches fewer than JOIN_MATCH tokens at an anchor of sequence s."""
        place = position(self.shard, self.features, Place(s, anchor))
        return bool(self.features.matches[place] < JOIN_MATCH)


@torch.no_grad()
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
        seeded: dict[str, Drafts] = {name: {} for name in drafters}
        masked: dict[str, Drafts] = {name: {} for name in drafters}
        behind: dict[str, Drafts] = {name: {} for name in drafters}
        done = DraftedShard(shard, features, wanted, store.book.all, seeded, masked, behind)
        for group in groups:
            places = [place for place in all_places(shard, group) if place.sequence in kept]
            for some, batch in batches_of(shard, features, group, places, block, device):
                positions = [position(shard, features, place) for place in some]
                for name, drafter in drafters.items():
                    done.seeded[name] |= drafts(drafter, drafter.drafted(batch), positions)
                    if drafter.sequential:
                        done.behind[name] |= drafts(drafter, drafter.behind_labels(batch), positions)
                if from_masks:
                    batch.seeds[:] = -1
                    for name, drafter in drafters.items():
                        done.masked[name] |= drafts(drafter, drafter.drafted(batch), positions)
        for name, drafter in drafters.items():
            if not drafter.sequential:
                done.behind[name] = done.seeded[name]
        result.append(done)
    return result
