import numpy as np
import torch

from specdiff_train import data
from specdiff_train.checkpoint import new_drafter
from specdiff_train.target import Target


def setup(config):
    target = Target(config.target)
    shards = data.load(config.work / "answers", "train", target, config.taps, config.block)
    return target, shards, new_drafter(config, target, shards)


def arguments(config, shard):
    tokens, taps = shard.tokens[:2], torch.from_numpy(np.array(shard.taps[:2]))
    anchors = torch.tensor([[shard.prompt_tokens + 3, shard.prompt_tokens + 9]] * 2)
    seeds = shard.seeds[:2].gather(1, anchors.unsqueeze(2).expand(-1, -1, config.block))
    return tokens, taps, anchors, seeds


def test_taps_at_or_after_the_anchor_change_nothing(config):
    _, shards, drafter = setup(config)
    tokens, taps, anchors, seeds = arguments(config, shards[0])
    with torch.no_grad():
        before = drafter(tokens, taps, anchors, seeds)
        changed = taps.clone()
        changed[:, int(anchors[0, 0]) :] += 3
        after = drafter(tokens, changed, anchors, seeds)
        assert torch.equal(before[:, 0], after[:, 0])
        # The second anchor comes later and does see some of the changed rows: the check can fail.
        assert not torch.allclose(before[:, 1], after[:, 1])
        early = taps.clone()
        early[:, int(anchors[0, 0]) - 1] += 3
        assert not torch.allclose(before[:, 0], drafter(tokens, early, anchors, seeds)[:, 0])


def test_tokens_after_the_anchor_change_nothing(config):
    _, shards, drafter = setup(config)
    tokens, taps, anchors, seeds = arguments(config, shards[0])
    with torch.no_grad():
        before = drafter(tokens, taps, anchors, seeds)
        changed = tokens.clone()
        changed[:, int(anchors[0, 1]) + 1 :] = 7
        assert torch.equal(before, drafter(changed, taps, anchors, seeds))


def test_blocks_do_not_see_each_other(config):
    _, shards, drafter = setup(config)
    tokens, taps, anchors, seeds = arguments(config, shards[0])
    with torch.no_grad():
        both = drafter(tokens, taps, anchors, seeds)
        alone = drafter(tokens, taps, anchors[:, :1], seeds[:, :1])
        assert torch.allclose(both[:, :1], alone, atol=1e-4)


def test_seeds_matter(config):
    _, shards, drafter = setup(config)
    tokens, taps, anchors, seeds = arguments(config, shards[0])
    with torch.no_grad():
        from_masks = drafter(tokens, taps, anchors, torch.full_like(seeds, -1))
        assert not torch.allclose(from_masks, drafter(tokens, taps, anchors, torch.full_like(seeds, 9)))


def test_soft_targets_agree_with_the_greedy_answers(config):
    _, shards, _ = setup(config)
    shard = shards[0]
    best = shard.soft_ids[:, shard.prompt_tokens :, 0]
    assert (best == shard.tokens[:, shard.prompt_tokens + 1 :]).float().mean() > 0.95
