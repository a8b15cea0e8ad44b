import json

import numpy as np
import pytest
from conftest import TEXT

from specdiff_train.answers import generate, shard_path
from specdiff_train.cursors import nested_cursors
from specdiff_train.features import engine_rows, torch_rows
from specdiff_train.requests import Corpus, shard_requests
from specdiff_train.shards import Sequence, load, shared_rows
from specdiff_train.storage import read_jsonl

CORPUS = Corpus([{"language": "python", "package": "toy", "licence": "MIT", "path": "toy.py", "text": TEXT}])


def test_requests_depend_on_the_seed_alone():
    one = [asked.request for asked in shard_requests(CORPUS, "1/train/0", 20)]
    assert one == [asked.request for asked in shard_requests(CORPUS, "1/train/0", 20)]
    assert one != [asked.request for asked in shard_requests(CORPUS, "1/train/1", 20)]
    assert {request["kind"] for request in one} == {"completion", "summary"}


def test_cursors_ascend():
    import random

    for seed in range(50):
        cursors = nested_cursors(TEXT, 4, random.Random(seed))
        assert cursors == sorted(set(cursors))
        assert all(0 < cursor <= len(TEXT) for cursor in cursors)


def test_answers_obey_the_products_limits(config):
    rows = [row for path in (config.work / "answers").glob("*.jsonl") for row in read_jsonl(path)]
    assert len(rows) >= 36
    for row in rows:
        assert len(row["answer"]) <= (128 if row["kind"] == "summary" else 64)
        assert row["licence"] == "MIT"
    # Random text soon breaks a rule; one that never stops would show that no rule is applied.
    assert any(row["stop"] for row in rows)


def test_greedy_answers_are_the_targets_own(config, target, shards):
    sequence = next(s for s in shards[0].sequences if s.temperature == 0)
    import torch

    hidden, _ = target.hidden(torch.tensor([sequence.tokens[:-1]]), config.taps)
    best = target.logits(hidden[0]).argmax(-1)[sequence.prompt_tokens - 1 :].tolist()
    same = sum(a == b for a, b in zip(best, sequence.tokens[sequence.prompt_tokens :], strict=True))
    assert same >= 0.9 * len(best)


def test_a_lost_shard_is_written_again_and_others_are_kept(config):
    folder = config.work / "answers"
    lost, kept = shard_path(folder, "test", 0), shard_path(folder, "validation", 0)
    before, age = read_jsonl(lost), kept.stat().st_mtime_ns
    lost.unlink()
    generate(config)
    after = read_jsonl(lost)
    assert [row["prompt"] for row in after] == [row["prompt"] for row in before]
    assert kept.stat().st_mtime_ns == age


def test_another_tokenizer_is_refused(config):
    mark = config.work / "answers" / "target.json"
    stored = mark.read_text()
    mark.write_text(json.dumps({**json.loads(stored), "tokenizer": "0"}))
    try:
        with pytest.raises(SystemExit, match="another tokenizer"):
            generate(config)
    finally:
        mark.write_text(stored)


def test_shared_rows_end_before_the_answer():
    def sequence(tokens, prompt):
        return Sequence(tokens, prompt, [], "code", "python", "toy", 0.0)

    a = sequence([1, 2, 3, 4, 5, 6], 4)
    assert shared_rows(a, sequence([1, 2, 3, 4, 5, 6, 7], 3)) == 3
    assert shared_rows(a, sequence([1, 2, 9, 4], 3)) == 2
    assert shared_rows(a, sequence([9, 2, 3], 2)) == 0


def test_taps_of_the_engine_are_those_of_pytorch(config, target, shards):
    for served, computed in zip(
        engine_rows(config, target, shards[0]), torch_rows(config, target, shards[0]), strict=True
    ):
        a, b = served[0].astype(np.float32), computed[0].astype(np.float32)
        assert a.shape == b.shape
        # The engine quantizes activations.
        assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(b)
        assert (served[1][:, 0] == computed[1][:, 0]).mean() > 0.8
        assert np.allclose(served[2].sum(-1), computed[2].sum(-1), atol=0.1)


def test_features_are_the_same_whatever_is_shared(config, target, store, shards):
    shard = load(shards[0].path)
    assert any(sequence.shared for sequence in shard.sequences)
    features = store.get(shard)
    alone = load(shards[0].path)
    for sequence in alone.sequences:
        sequence.shared = 0
    for index, (taps, ids, _) in enumerate(engine_rows(config, target, alone)):
        rows = features.taps[features.rows[index]].astype(np.float32)
        assert np.linalg.norm(rows - taps.astype(np.float32)) < 0.02 * np.linalg.norm(taps.astype(np.float32))
        start = features.starts[index]
        assert (features.soft_ids[start : start + len(ids), 0] == ids[:, 0]).mean() > 0.9
