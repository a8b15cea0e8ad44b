import random
from dataclasses import replace

import pytest
from conftest import TEXT, engine_top

from specdiff_train import texts
from specdiff_train.batches import Place, all_places, labels_of, make_batch, position
from specdiff_train.requests import Corpus
from specdiff_train.shards import TEXT as TEXT_KIND
from specdiff_train.shards import load_split
from specdiff_train.storage import read_jsonl
from specdiff_train.train import Trainer, train
from specdiff_train.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def shard(config):
    texts.write(replace(config, text_tokens=900, shard_texts=2))
    return load_split(config.work / "answers", TEXT_KIND)[0]


def greedy(config, tokens, count):
    """What the engine writes after `tokens`."""
    ids = list(tokens)
    for _ in range(count):
        best, _ = engine_top(config.target, ids, len(ids) - 1, 1, 1024)
        ids.append(int(best[0, 0]))
    return ids[len(tokens) :]


def test_text_is_tokenized_as_the_file_says(config):
    vocabulary = Vocabulary(config.target)
    tokens = vocabulary.tokenize("the 12\n")
    # "he" is merged before "th" could be; digits stand alone.
    assert [vocabulary.tokens[token] for token in tokens] == ["t", "he", "Ġ", "1", "2", "Ċ"]


def test_shards_hold_pieces_of_the_corpus_and_are_not_written_again(config, shard):
    vocabulary = Vocabulary(config.target)
    whole = vocabulary.tokenize(TEXT)
    for sequence in shard.sequences:
        assert sequence.kind == TEXT_KIND and len(sequence.tokens) == texts.WINDOW_TOKENS
        joined = ",".join(map(str, sequence.tokens))
        assert joined in ",".join(map(str, whole))
    before = shard.path.stat().st_mtime_ns
    texts.write(replace(config, text_tokens=900, shard_texts=2))
    assert shard.path.stat().st_mtime_ns == before


def test_labels_are_what_the_target_writes(config, shard, store):
    features = store.get(shard)
    sequence = shard.sequences[0]
    lengths = []
    for anchor in list(sequence.anchors)[:40]:
        place = position(shard, features, Place(0, anchor))
        lengths.append(len(labels_of(sequence, features, place, anchor, 7)))
    assert 1 <= min(lengths) <= 7
    for anchor in list(sequence.anchors)[:3]:
        place = position(shard, features, Place(0, anchor))
        labels = labels_of(sequence, features, place, anchor, 7)
        assert labels == greedy(config, sequence.tokens[: anchor + 1], len(labels))


def test_labels_end_where_the_target_would_have_written_something_else(shard, store):
    features = store.get(shard)
    sequence = shard.sequences[0]
    anchor = sequence.anchors[4]
    at = position(shard, features, Place(0, anchor))
    features.soft_ids[at : at + 7, 0] = sequence.tokens[anchor + 1 : anchor + 8]
    assert labels_of(sequence, features, at, anchor, 7) == sequence.tokens[anchor + 1 : anchor + 8]
    features.soft_ids[at + 2, 0] = 1
    assert labels_of(sequence, features, at, anchor, 7) == [*sequence.tokens[anchor + 1 : anchor + 3], 1]
    places = [p for p in all_places(shard, shard.groups[0]) if p == Place(0, anchor)]
    batch = make_batch(shard, features, [shard.groups[0]], [places], 7)
    assert batch.labels[0, 0].tolist() == [*sequence.tokens[anchor + 1 : anchor + 3], 1, -1, -1, -1, -1]


def test_training_takes_them_beside_the_answers(config, shard, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Trainer, "train_step", lambda self: seen.append(self.names) or setattr(self, "step", 99) or 0.0)
    # A folder of its own: other tests leave a checkpoint that has used its budget.
    (tmp_path / "answers").symlink_to(config.work / "answers")
    train(replace(config, work=tmp_path, text_tokens=900, train_steps=1))
    assert any(name.startswith("text_") for name in seen[0]) and any(name.startswith("train_") for name in seen[0])


def test_a_tokenizer_that_is_unknown_here_ends_with_one_sentence(config):
    vocabulary = Vocabulary(config.target)
    vocabulary.kind = "other"
    with pytest.raises(SystemExit, match="--text-tokens 0"):
        vocabulary.tokenize("x")


def test_windows_skip_files_that_are_too_short(config):
    rows = read_jsonl(config.work / "corpus" / "train.jsonl")
    short = {**rows[0], "text": "x = 1\n"}
    corpus = Corpus([short, *rows])
    rng = random.Random(1)
    assert all(texts.window(corpus, Vocabulary(config.target), rng)["answer"] for _ in range(5))
