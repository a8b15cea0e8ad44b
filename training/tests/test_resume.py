from dataclasses import replace

import torch

from specdiff_train import data
from specdiff_train.answers import generate
from specdiff_train.checkpoint import checkpoint_path, load
from specdiff_train.target import Target
from specdiff_train.train import Trainer


def run(config, steps, target, shards):
    trainer = Trainer(config, target, shards)
    for _ in range(steps):
        trainer.train_step()
    trainer.save()


def test_resumed_training_equals_an_uninterrupted_one(config, tmp_path):
    torch.set_num_threads(1)
    target = Target(config.target)
    shards = data.load(config.work / "answers", "train", target, config.taps, config.block)
    whole = replace(config, work=tmp_path / "whole")
    parts = replace(config, work=tmp_path / "parts")
    run(whole, 6, target, shards)
    run(parts, 2, target, shards)
    run(parts, 4, target, shards)
    a, b = (load(checkpoint_path(c), "cpu") for c in (whole, parts))
    assert a["step"] == b["step"] == 6
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name]), name
    start = Trainer(replace(config, work=tmp_path / "fresh"), target, shards).drafter.state_dict()
    assert not torch.equal(start["fc"], a["model"]["fc"])


def test_a_lost_shard_is_made_again_identically(config):
    path = sorted((config.work / "answers").glob("train_*.taps.npy"))[0]
    tokens = path.with_name(path.name.replace(".taps.npy", ".npz"))
    before = data.np.load(tokens)["tokens"].copy()
    tokens.unlink()
    generate(config)
    assert (data.np.load(tokens)["tokens"] == before).all()
