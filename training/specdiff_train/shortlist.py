"""Where the hidden states lie that the drafter's head meets, so that the engine need not multiply the whole head.

W·h is nearly (W·spread)·(down·h), a head of low rank whose greatest entries the engine then looks at with W's own rows
(native/core/shortlist). W is without its mean row here, which changes no order and would take most of the few bits.
Both factors are the best of their rank for the head and the states' second moments C: the first right singular vectors
V of W·C^½ give down = Vᵀ·C^-½ and spread = C^½·V. (Low-rank heads with exact rows for the best entries: Chen et al.,
arXiv 1806.04189, section 3; here the states are weighed, too.)
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from .batches import all_places, batches_of
from .drafter import Drafter
from .features import FeatureStore
from .shards import Shard

# Rank ÷ width: the default drafter's is 224. The engine's weights come in blocks of 32.
SHARE = 0.39
BLOCK = 32
# States that C is made of.
STATES = 16384
# Of C's mean, added to its diagonal: directions that hardly occur.
RIDGE = 1e-4


@dataclass
class Shortlist:
    """Factors of the head: `down` [rank, width], `spread` [width, rank]."""

    down: Tensor
    spread: Tensor


def shortlist_of(drafter: Drafter, shards: list[Shard], store: FeatureStore) -> Shortlist | None:
    """What the engine needs to score a drafter's likeliest tokens alone; None for too narrow a head, or too few
    states."""
    rank = round(drafter.width * SHARE / BLOCK) * BLOCK
    if rank == 0 or drafter.width % BLOCK:
        return None
    states = hidden_states(drafter, shards, store)
    return factored(drafter.head.cpu(), states, rank) if len(states) >= drafter.width else None


@torch.no_grad()
def hidden_states(drafter: Drafter, shards: list[Shard], store: FeatureStore) -> Tensor:
    """Some that the head met on the answers, from looked-up tokens: [STATES or more, or all that there are, width]."""
    found = [torch.empty(0, drafter.width)]
    device = str(drafter.fc.device)
    groups = [(shard, group) for shard in shards for group in shard.groups]
    random.Random(0).shuffle(groups)
    for shard, group in groups:
        features = store.get(shard)
        for _, batch in batches_of(shard, features, group, all_places(shard, group), drafter.block, device):
            found.append(drafter.hidden(batch).reshape(-1, drafter.width).cpu())
        if sum(map(len, found)) >= STATES:
            break
    return torch.cat(found)


def factored(head: Tensor, states: Tensor, rank: int) -> Shortlist:
    """The best factors of a rank for the order of `head` [W, width] · states, over `states` [N, width]."""
    moments = (states.double().T @ states.double()) / len(states)
    values, vectors = torch.linalg.eigh(moments)
    scales = (values.clamp(min=0) + RIDGE * values.mean()).sqrt()
    root, inverse = (vectors * scales) @ vectors.T, (vectors / scales) @ vectors.T
    # Right singular vectors of W·C^½: eigenvectors of its square, greatest last.
    weighted = (head - head.mean(0)).double() @ root
    best = torch.linalg.eigh(weighted.T @ weighted).eigenvectors.flip(1)[:, :rank]
    return Shortlist((best.T @ inverse).float(), (root @ best).float())
