from dataclasses import replace

import pytest
import torch

from specdiff_train.arms import compare as compare_module
from specdiff_train.arms.compare import compare
from specdiff_train.arms.table import Arm, arms
from specdiff_train.batches import all_places, make_batch
from specdiff_train.checkpoint import new_drafter
from specdiff_train.train import Trainer


@pytest.fixture
def make(config, target, shards, store):
    """A new drafter with some of the configuration changed."""

    def made(**changes):
        return new_drafter(replace(config, **changes), target, shards, store.get(shards[0]).taps)

    return made


@pytest.fixture
def batch(config, shards, store):
    """One place of each sequence of a group, of which some have text behind the cursor."""
    shard = shards[0]
    shared = [g for g in shard.groups if len(g) > 1 and any(shard.sequences[s].lookup for s in g)]
    places = {place.sequence: place for place in all_places(shard, shared[0])}
    return make_batch(shard, store.get(shard), shared[:1], [list(places.values())], config.block)


def test_a_markov_head_drafts_behind_what_it_has_drafted(make, batch):
    with torch.no_grad():
        plain, drafter = make()(batch), make(markov_rank=8)
        assert torch.equal(drafter(batch), plain), "it begins with nothing"
        drafter.following.normal_()
        logits = drafter.drafted(batch)
        drafted = drafter.vocab[logits.argmax(-1)]
        assert torch.allclose(drafter(replace(batch, labels=drafted)), logits, atol=1e-4)
        assert not torch.allclose(drafter(replace(batch, labels=drafted.roll(1, -1))), logits, atol=1e-4)


def test_few_taps_are_all_that_is_seen(make, batch, target):
    with torch.no_grad():
        drafter = make(seen_taps=(0, 2))
        before = drafter(batch)
        first, second, third = batch.taps.chunk(3, -1)
        assert torch.equal(drafter(replace(batch, taps=torch.cat([first, second + 3, third], -1))), before)
        assert not torch.equal(drafter(replace(batch, taps=torch.cat([first, second, third + 3], -1))), before)


def test_the_text_behind_the_cursor_is_seen_by_its_own_sequence_alone(make, batch):
    with torch.no_grad():
        drafter = make(after=True)
        before = drafter(batch)
        assert batch.after_visible.any()
        for a in range(before.shape[1]):
            own = batch.after_visible[:, a]
            hidden = torch.where(own, batch.after, 9)
            assert torch.allclose(drafter(replace(batch, after=hidden))[:, a], before[:, a], atol=1e-4)
            if own.any():
                other = torch.where(own, 9, batch.after)
                assert not torch.allclose(drafter(replace(batch, after=other))[:, a], before[:, a], atol=1e-4)


def test_a_random_start_has_nothing_of_the_target(make, target):
    drawn, copied = make(random_start=True).layers[0], make().layers[0]
    assert torch.equal(copied.qkv, target.layers[-2].qkv)
    assert not torch.allclose(drawn.qkv, copied.qkv, atol=0.01)
    assert torch.equal(drawn.attn_norm, torch.ones_like(drawn.attn_norm))


CHANGES = (
    {},
    {"autoregressive": True},
    {"layers": 1},
    {"block": 8},
    {"seen_taps": (2,)},
    {"random_start": True},
    {"markov_rank": 8},
    {"after": True},
    {"loss": "chain"},
)


@pytest.fixture
def comparison(config, store, shards, monkeypatch, tmp_path):
    """A work folder of its own with the toy answers, and an arm for each of CHANGES."""
    store.get(shards[0])
    work = tmp_path / "work"
    work.mkdir()
    for name in ("answers", "features"):
        (work / name).symlink_to(config.work / name)
    some = [Arm(f"arm {number}", changes) for number, changes in enumerate(CHANGES)]
    monkeypatch.setattr(compare_module, "arms", lambda _: some)
    return replace(config, work=work, train_steps=2, checkpoint_seconds=0.0)


def test_every_arm_is_trained_and_measured_once(comparison, capsys):
    compare(comparison)
    table = (comparison.work / "arms" / "arms.md").read_text()
    assert all(f"| arm {number} |" in table for number in range(len(CHANGES)))
    assert not list((comparison.work / "arms").glob("*.pt"))
    before = {path: path.stat().st_mtime_ns for path in (comparison.work / "arms").glob("*.json")}
    compare(comparison)
    assert before == {path: path.stat().st_mtime_ns for path in before}, "what has its figures is not trained again"
    compare(replace(comparison, seed=2))
    assert not any(path.stat().st_mtime_ns == time for path, time in before.items()), "trained otherwise, it is"


def test_an_interrupted_arm_goes_on_from_its_checkpoint(comparison, monkeypatch):
    real, train_step, steps = compare_module.measure, Trainer.train_step, []

    def counted(trainer):
        steps.append(trainer.step)
        return train_step(trainer)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "train_step", counted)
    for changes in CHANGES:
        only = [Arm(str(changes), changes)]
        monkeypatch.setattr(compare_module, "arms", lambda _, only=only: only)
        monkeypatch.setattr(compare_module, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(comparison)
        taken = len(steps)
        monkeypatch.setattr(compare_module, "measure", real)
        compare(comparison)
        assert len(steps) == taken, "all its steps were in the checkpoint"
    assert steps == [0, 1] * len(CHANGES)


def test_what_goes_on_begins_with_a_trained_drafter_and_all_else_with_the_target(config, tmp_path):
    trained = tmp_path / "drafter.gguf"
    assert all(arm.config(config).start is None for arm in arms(replace(config, output=trained, start=None)))
    trained.touch()
    every = arms(replace(config, start=trained, train_steps=10))
    starts = {arm.name: arm.config(config).start for arm in every}
    assert starts[every[0].name] is None
    gone_on = [arm for arm in every if arm.name.startswith("gone on")]
    assert gone_on and all(starts[arm.name] == trained for arm in gone_on)
    assert all(start is None for name, start in starts.items() if not name.startswith("gone on"))
