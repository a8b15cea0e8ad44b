from dataclasses import replace

import pytest
import torch

from specdiff_train.checkpoint import checkpoint_path, load
from specdiff_train.evaluate import evaluate
from specdiff_train.features import FeatureStore
from specdiff_train.shards import load as load_shard
from specdiff_train.train import Trainer, train


def run(config, steps, target, shards, store):
    trainer = Trainer(config, target, shards, store)
    for _ in range(steps):
        trainer.train_step()
    trainer.save()


def test_resumed_training_equals_an_uninterrupted_one(config, target, shards, store, tmp_path):
    torch.set_num_threads(1)
    whole = replace(config, work=tmp_path / "whole")
    parts = replace(config, work=tmp_path / "parts")
    run(whole, 6, target, shards, store)
    run(parts, 2, target, shards, store)
    run(parts, 4, target, shards, store)
    a, b = (load(checkpoint_path(c), c) for c in (whole, parts))
    assert a["step"] == b["step"] == 6
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name]), name
    start = Trainer(replace(config, work=tmp_path / "fresh"), target, shards, store).drafter.state_dict()
    assert not torch.equal(start["fc"], a["model"]["fc"])


def test_lost_features_are_computed_again(config, target, shards, store):
    before = store.get(shards[0])
    taps = before.taps[:].copy()
    for path in (config.work / "features").glob("train_*"):
        path.unlink()
    again = FeatureStore(config, target)
    again.prefetch(shards[0])
    assert (again.get(shards[0]).taps[:] == taps).all()


def test_features_of_other_taps_or_of_another_shard_are_computed_again(config, target, shards, tmp_path):
    own = replace(config, work=tmp_path)
    before = FeatureStore(own, target).get(shards[0]).taps[:].copy()
    other = FeatureStore(replace(own, taps=(1, 3, 2)), target).get(shards[0])
    width = target.width
    assert (other.taps[:, width : 2 * width] == before[:, 2 * width :]).all()
    path = tmp_path / "again.jsonl"
    path.write_text(shards[0].path.read_text() + shards[0].path.read_text())
    again = load_shard(path)
    again.path = path.rename(tmp_path / shards[0].path.name)
    assert len(FeatureStore(own, target).get(again).positions) == again.new_rows > shards[0].new_rows


def test_a_checkpoint_of_other_taps_is_refused(config, target, shards, store, tmp_path):
    own = replace(config, work=tmp_path)
    run(own, 1, target, shards, store)
    with pytest.raises(SystemExit, match=r"was trained with taps \(1, 2, 3\), not \(1, 2\); give it the same --taps"):
        load(checkpoint_path(own), replace(own, taps=(1, 2)))
    with pytest.raises(SystemExit, match="was trained with autoregressive False"):
        load(checkpoint_path(own), replace(own, autoregressive=True))


def test_few_gigabytes_keep_the_newest_features_only(config, target, shards, tmp_path):
    small = replace(config, work=tmp_path, feature_gigabytes=1e-6)
    store = FeatureStore(small, target)
    for shard in shards[:2]:
        store.get(shard)
    assert len(list((tmp_path / "features").glob("*.npy"))) == 1


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(config, target, shards, store, tmp_path):
    broken = replace(config, work=tmp_path)
    run(broken, 1, target, shards, store)
    trainer = Trainer(broken, target, shards, store)
    with torch.no_grad():
        trainer.drafter.fc.fill_(float("nan"))
    with pytest.raises(SystemExit, match="the loss is nan at step 1"):
        trainer.train_step()
    assert load(checkpoint_path(broken), broken)["step"] == 1


def test_a_checkpoint_of_another_target_is_refused(config, target, shards, store, tmp_path):
    other = replace(config, work=tmp_path)
    run(other, 1, target, shards, store)
    path = checkpoint_path(other)
    state = torch.load(path)
    state["identity"]["tokenizer"] = "0"
    torch.save(state, path)
    with pytest.raises(SystemExit, match="another tokenizer"):
        Trainer(other, target, shards, store)


def test_train_and_evaluate(config, capsys):
    train(config)
    evaluate(config)
    table = capsys.readouterr().out
    assert "| lookup |" in table and "| joined |" in table
