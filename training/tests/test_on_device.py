"""Answers and training as a GPU does them, on the CPU: against the whole forward pass and the CPU's batches."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from specdiff_train import shards as shard_files
from specdiff_train.batches import Place, all_places
from specdiff_train.batches import make_batch as reference_batch
from specdiff_train.checkpoint import best_path, new_drafter, trained_drafter
from specdiff_train.evaluate import add_rival, measure
from specdiff_train.features import SOFT_TOP, Features, layout
from specdiff_train.on_device.asked import AskedShard, ask, folder_of
from specdiff_train.on_device.cut import cut, cut_path
from specdiff_train.on_device.data import draw, load, make_batch
from specdiff_train.on_device.decode import decode, decoded_path
from specdiff_train.on_device.fit import fit, take
from specdiff_train.on_device.half_target import HalfTarget
from specdiff_train.on_device.look_up import look_up
from specdiff_train.storage import read_jsonl


@pytest.fixture(scope="module")
def own(config, tmp_path_factory):
    """A work folder with two shards asked, decoded and cut; shard 0 is one that the engine has answered, too."""
    work = tmp_path_factory.mktemp("on_device")
    (work / "corpus").symlink_to(config.work / "corpus")
    own = replace(
        config, work=work, first_shard=0, asked_shards=2, train_seconds=3.0, validation_seconds=1.0, threads=2
    )
    ask(own)
    decode(own)
    cut(own)
    look_up(own)
    return own


def answers_of(own, index):
    with np.load(decoded_path(own, index)) as file:
        ends = file["lengths"].cumsum()
        return [part.tolist() for part in np.split(file["tokens"], ends[:-1])]


def test_prompts_are_those_that_the_engine_is_asked(own, config):
    rows = read_jsonl(config.work / "answers" / "train_00000.jsonl")
    asked = AskedShard.load(folder_of(own) / "00000.npz")
    same = 0
    for prompt, row in zip(asked.prompts.lists(), rows, strict=True):
        # A space before the cursor is left out at first, and put back where the answer doesn't begin with it.
        assert prompt[:-2].tolist() == row["prompt"][: len(prompt) - 2]
        same += prompt.tolist() == row["prompt"]
    assert same >= len(rows) / 2
    assert [lookup.tolist() for lookup in asked.lookups.lists()] == [row["lookup"] for row in rows]


def test_greedy_answers_are_the_whole_passes_best_tokens(own, target):
    asked = AskedShard.load(folder_of(own) / "00001.npz")
    compared = 0
    for prompt, answer, heat in zip(asked.prompts.lists(), answers_of(own, 1), asked.temperatures, strict=True):
        if heat > 0 or not len(prompt):
            continue
        tokens = torch.tensor([[*prompt.tolist(), *answer]])
        hidden, _ = target.hidden(tokens[:, :-1], (1,))
        best = target.logits(hidden[0, len(prompt) - 1 :]).topk(2)
        clear = best.values[:, 0] - best.values[:, 1] > 1e-3
        assert (torch.tensor(answer)[clear] == best.indices[clear, 0]).all()
        compared += int(clear.sum())
    assert compared > 100


def test_the_products_rules_cut_the_answers(own):
    rows = read_jsonl(own.work / "answers" / "train_00001.jsonl")
    decoded = answers_of(own, 1)
    assert all(row["answer"] == answer[: len(row["answer"])] for row, answer in zip(rows, decoded, strict=True))
    assert any(len(row["answer"]) < len(answer) for row, answer in zip(rows, decoded, strict=True))
    with np.load(cut_path(own)) as kept:
        assert kept["00001"].tolist() == [len(row["answer"]) for row in rows]


def test_batches_are_the_cpus(own, target):
    data, half = load(own), HalfTarget(target)
    sequences = [
        s for index in (0, 1) for s in shard_files.load(own.work / "answers" / f"train_0000{index}.jsonl").sequences
    ]
    assert [s.tokens for s in sequences] == [
        row[:total].tolist() for row, total in zip(data.tokens, data.totals.tolist(), strict=True)
    ]
    rows = torch.tensor([i for i, s in enumerate(sequences) if len(s.anchors) > 3][:3])
    generator = torch.Generator().manual_seed(3)
    batch = make_batch(data, half, rows, own, generator)
    for g, row in enumerate(rows.tolist()):
        sequence = sequences[row]
        shard = shard_files.Shard(own.work, [replace(sequence, shared=0)], [range(1)])
        hidden, taps = target.hidden(torch.tensor([sequence.tokens[:-1]]), own.taps)
        p = torch.softmax(target.logits(hidden[0, sequence.prompt_tokens :]), -1).topk(SOFT_TOP)
        first = int(data.firsts[row])
        seeds = data.seeds[first : first + len(sequence.anchors)].numpy()
        none = np.zeros(len(seeds), np.int8)
        features = Features(
            taps[0].numpy(), np.arange(sequence.rows), p.indices.numpy(), p.values.numpy(), seeds, none, seeds, none,
            *layout(shard),
        )  # fmt: skip
        places = [Place(0, anchor) for anchor in batch.anchors[g].tolist()]
        wanted = reference_batch(shard, features, [range(1)], [places], own.block)
        for name in ("anchors", "anchor_tokens", "seeds", "labels", "soft_ids"):
            assert torch.equal(getattr(batch, name)[g], getattr(wanted, name)[0]), name
        assert torch.allclose(batch.soft_p[g], wanted.soft_p[0], atol=1e-4)
        seen = batch.visible[g, :, : sequence.rows]
        assert not batch.visible[g, :, sequence.rows :].any()
        # The window is wider than these texts are long, or cuts their beginning off.
        assert not (seen & ~wanted.visible[0]).any()
        assert seen.sum(1).tolist() == [min(int(n), int(seen.sum(1).max())) for n in wanted.visible[0].sum(1)]
        assert torch.allclose(batch.taps[g, : sequence.rows].float(), taps[0].float(), atol=1e-2)


def test_every_place_is_drawn_once_before_any_comes_again(own):
    data = load(own)
    rows = torch.arange(len(data))
    most = int(data.places(rows).max())
    drawn = draw(data, rows, most, most + 2, torch.Generator().manual_seed(1))
    for count, places in zip(data.places(rows).tolist(), drawn.tolist(), strict=True):
        assert sorted(places[:count]) == list(range(count))
        assert places[count : most + 2] == (places * 3)[: most + 2 - count]


def test_weights_go_on_into_evaluation_and_export(own, target):
    fit(own)
    log = [json.loads(line) for line in (own.work / "fit" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] > 0 and log[-1]["loss"] < 10
    take(own)
    drafter = trained_drafter(own, target)
    stored = torch.load(own.work / "fit" / "checkpoint.pt", weights_only=True)["model"]
    assert torch.allclose(drafter.fc, stored["fc"], atol=1e-3)
    assert torch.equal(drafter.vocab, stored["vocab"])
    recipe = torch.load(best_path(own), weights_only=True)["recipe"]
    assert recipe["train_steps"] == log[-1]["step"]


def test_the_autoregressive_drafter_sees_what_it_has_drafted(own, target, shards, store):
    """Its drafts are those of one slot after the other; a drafter of blocks gives others."""
    shard, features = shards[0], store.get(shards[0])
    rival = new_drafter(replace(own, autoregressive=True), target, shards, features.taps)
    group = max(shard.groups, key=len)
    places = all_places(shard, group)[:6]
    batch = reference_batch(shard, features, [group], [places], own.block)
    with torch.no_grad():
        wanted = torch.full_like(batch.seeds, -1)
        for slot in range(own.block):
            wanted[:, :, slot] = rival.vocab[rival(replace(batch, seeds=wanted))[:, :, slot].argmax(-1)]
        assert torch.equal(rival.vocab[rival.drafted(batch).argmax(-1)], wanted)
        rival.autoregressive = False
        assert not torch.equal(rival.vocab[rival.drafted(replace(batch, seeds=wanted)).argmax(-1)], wanted)


def test_it_is_fitted_and_evaluated(config, own, store, target, capsys):
    fit(replace(own, autoregressive=True, train_seconds=1.0, start=own.work / "fit"))
    rival = replace(config, rival=own.work / "fit_autoregressive")
    (own.work / "train").mkdir(exist_ok=True)
    test = shard_files.load_split(config.work / "answers", "test")
    figures = measure({"": new_drafter(config, target, test, store.get(test[0]).taps)}, test, store, config)
    add_rival(figures, rival, target, test, store)
    assert figures.count("autoregressive drafter", "greedy").emitted == figures.count("lookup", "greedy").emitted > 0
