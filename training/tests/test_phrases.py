import json

import numpy as np

from specdiff_train.features import with_phrases
from specdiff_train.phrases import (
    LONGEST,
    SEPARATOR,
    PhraseBook,
    Phrases,
    counted,
    half_of,
    hash_with,
    hashes_with,
    texts,
)
from specdiff_train.shards import load_split
from specdiff_train.storage import write_jsonl


def learned(*answers):
    return Phrases(counted(answers, 10**6))


def test_what_came_most_follows_word_by_word():
    phrases = learned([1, 2, 3, 4], [1, 2, 3, 5], [9, 2, 3, 5, 6], [5, 6])
    assert phrases.follow([8, 2], 3, LONGEST) == (1, [3, 5, 6])
    assert phrases.next([1, 2, 3]) == (2, 5, False)  # [1, 2, 3] was followed by two tokens, once each


def test_what_came_once_is_not_known():
    assert learned([1, 2, 3]).next([1, 2]) == (0, SEPARATOR, False)
    assert learned([1, 2, 3], [1, 2, 3]).next([1, 2]) == (2, 3, True)


def test_an_unsure_phrase_gives_way_to_any_match():
    answers = [[1, 2, 3], [1, 2, 3], [1, 2, 4]]
    phrases = learned(*answers)
    assert phrases.follow([1, 2], 1, LONGEST, matched=0) == (2, [3])
    assert phrases.follow([1, 2], 1, LONGEST, matched=1) == (0, [])
    phrases = learned(*answers, [1, 2, 3])
    assert phrases.follow([1, 2], 1, LONGEST, matched=1) == (2, [3])
    assert phrases.follow([1, 2], 1, LONGEST, matched=2) == (0, [])


def test_the_two_most_frequent_continuations_are_counted():
    counts = counted([*[[1, 2]] * 4, *[[1, 3]] * 2, *[[1, 4]] * 5], 10)
    assert (counts.tokens.tolist(), counts.counts.tolist(), counts.second_counts.tolist()) == ([4], [5], [4])


def test_nothing_goes_across_texts():
    phrases = learned([1, 2], [3, 4], [1, 2], [3, 4])
    assert phrases.next([2]) == (0, SEPARATOR, False)
    assert phrases.next([2, 3]) == (1, 4, True)


def test_the_most_useful_contexts_are_kept():
    answers = [[1, 2]] * 9 + [[3, 4]] * 5 + [[8, 1, 2]] * 6
    assert len(counted(answers, 10).checks) == 4
    # After 8 and 1 comes what comes after 1 anyway: that says less than that 4 comes after 3.
    kept = Phrases(counted(answers, 3))
    assert kept.next([8, 1]) == (1, 2, True)
    assert kept.next([3]) == (1, 4, True)


def test_hashes_are_the_engines():
    """checkOf of test/support/phrases.ts, which the engine is tested with, gives the same for [5, 7]."""
    digest = hash_with(hash_with(0, 7), 5)
    assert digest >> 32 == CHECK_OF_5_7
    both = hashes_with(hashes_with(np.zeros(1, np.uint64), np.array([7], np.uint64)), np.array([5], np.uint64))
    assert int(both[0]) == digest


CHECK_OF_5_7 = 3601132569


def test_an_answer_never_sees_those_of_its_own_package(config, tmp_path):
    rows = (config.work / "answers" / "train_00000.jsonl").read_text().splitlines()
    rows = [{**json.loads(row), "package": name} for row, name in zip(rows, ["one", "two"] * len(rows), strict=False)]
    write_jsonl(tmp_path / "train_00000.jsonl", rows)
    write_jsonl(tmp_path / "train_00001.jsonl", rows[:3])
    write_jsonl(tmp_path / "test_00000.jsonl", rows[:1])
    book = PhraseBook(tmp_path, config.phrase_tokens, config.phrase_entries)
    book.keep_to(["train_00000.jsonl"])
    [shard, late] = load_split(tmp_path, "train")
    halves = {half_of(sequence) for sequence in shard.sequences}
    assert halves == {0, 1}
    for sequence in [*shard.sequences, *late.sequences]:
        other = texts([shard], config.phrase_tokens, 1 - half_of(sequence))
        assert book.of(shard, sequence).table == learned(*other).table
    [test] = load_split(tmp_path, "test")
    assert book.of(test, test.sequences[0]).table == learned(*texts([shard], config.phrase_tokens)).table


def test_phrases_take_the_place_of_shorter_matches_only(shards, store):
    features = store.get(shards[0])
    phrases = learned(*[sequence.tokens for sequence in shards[0].sequences] * 2)
    seeds, lengths = with_phrases(shards[0], features.copied, features.matches, lambda _: phrases)
    phrased = lengths > 0
    assert phrased.any() and not phrased.all()
    assert (lengths[phrased] > features.matches[phrased]).all()
    assert (seeds[~phrased] == features.copied[~phrased]).all()
    assert (seeds[phrased][:, 0] >= 0).all()
