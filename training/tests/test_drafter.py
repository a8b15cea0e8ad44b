import copy

import pytest
import torch

from specdiff_train.batches import all_places, make_batch
from specdiff_train.checkpoint import new_drafter


@pytest.fixture(scope="module")
def drafter(config, target, shards, store):
    return new_drafter(config, target, shards, store.get(shards[0]).taps)


@pytest.fixture
def batch(config, shards, store):
    """Two groups, the second with sequences that share rows."""
    shard = shards[0]
    features = store.get(shard)
    groups = sorted((g for g in shard.groups if len(all_places(shard, g)) >= 6), key=len)[-2:]
    places = [all_places(shard, group) for group in groups]
    return make_batch(shard, features, groups, [[p[0], p[2], p[-1], p[-2]] for p in places], config.block)


def changed(batch, **values):
    other = copy.copy(batch)
    for name, value in values.items():
        setattr(other, name, value)
    return other


def test_rows_at_or_after_the_anchor_change_nothing(drafter, batch):
    with torch.no_grad():
        before = drafter(batch)
        hidden = ~batch.visible.any(1)
        assert hidden.any()
        taps = batch.taps.clone()
        taps[hidden] += 3
        assert torch.equal(before, drafter(changed(batch, taps=taps)))
        late = batch.taps.clone()
        late[batch.row_positions >= batch.anchors[:, :1]] += 3
        after = drafter(changed(batch, taps=late))
        assert torch.allclose(before[:, 0], after[:, 0], atol=1e-4)
        # A later anchor does see some of the changed rows: the check can fail.
        assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-4)


def test_blocks_do_not_see_each_other(drafter, batch):
    with torch.no_grad():
        both = drafter(batch)
        parts = ("visible", "anchors", "anchor_tokens", "seeds")
        alone = drafter(changed(batch, **{name: getattr(batch, name)[:, :1] for name in parts}))
        assert torch.allclose(both[:, :1], alone, atol=1e-4)


def test_groups_do_not_see_each_other(drafter, batch):
    with torch.no_grad():
        both = drafter(batch)
        alone = drafter(type(batch)(**{name: value[1:] for name, value in vars(batch).items()}))
        assert torch.allclose(both[1:], alone, atol=1e-4)


def test_seeds_matter(drafter, batch):
    with torch.no_grad():
        from_masks = drafter(changed(batch, seeds=torch.full_like(batch.seeds, -1)))
        assert not torch.allclose(from_masks, drafter(changed(batch, seeds=torch.full_like(batch.seeds, 9))))


def test_labels_follow_the_anchor(shards, batch, config):
    tokens = [s.tokens for s in shards[0].sequences]
    anchor, label = batch.anchor_tokens[0, 0].item(), batch.labels[0, 0].tolist()
    here = [label.index(-1) if -1 in label else config.block][0]
    found = [anchor, *label[:here]]
    assert any(found == t[i : i + len(found)] for t in tokens for i in range(len(t)))
