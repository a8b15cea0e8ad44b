from specdiff_train.features import with_phrases
from specdiff_train.phrases import LONGEST, SEPARATOR, PhraseBook, Phrases, texts
from specdiff_train.shards import load_split


def learned(*answers):
    phrases = Phrases()
    for answer in answers:
        phrases.learn(answer)
    return phrases


def test_what_came_most_follows_word_by_word():
    phrases = learned([1, 2, 3, 4], [1, 2, 3, 5], [9, 2, 3, 5, 6], [5, 6])
    assert phrases.follow([8, 2], 3, LONGEST) == (1, [3, 5, 6])
    assert phrases.next([1, 2, 3]) == (2, 5, False)  # [1, 2, 3] was followed by two tokens, once each


def test_what_came_once_is_not_known():
    assert learned([1, 2, 3]).next([1, 2]) == (0, SEPARATOR, False)
    assert learned([1, 2, 3], [1, 2, 3]).next([1, 2]) == (2, 3, True)


def test_an_unsure_phrase_gives_way_to_any_match():
    phrases = learned([1, 2, 3], [1, 2, 3], [1, 2, 4])
    assert phrases.follow([1, 2], 1, LONGEST, matched=0) == (2, [3])
    assert phrases.follow([1, 2], 1, LONGEST, matched=1) == (0, [])
    phrases.learn([1, 2, 3])
    assert phrases.follow([1, 2], 1, LONGEST, matched=1) == (2, [3])
    assert phrases.follow([1, 2], 1, LONGEST, matched=2) == (0, [])


def test_a_third_continuation_wears_the_second_down():
    phrases = learned(*[[1, 2]] * 4, *[[1, 3]] * 2, *[[1, 4]] * 5)
    assert phrases.next([1]) == (1, 4, False)


def test_a_shard_never_sees_its_own_answers(config, tmp_path):
    rows = (config.work / "answers" / "train_00000.jsonl").read_text().splitlines(keepends=True)
    for index in range(2):
        (tmp_path / f"train_0000{index}.jsonl").write_text("".join(rows[index::2]))
    (tmp_path / "test_00000.jsonl").write_text(rows[0])
    book = PhraseBook(tmp_path, config.phrase_tokens)
    first, second = load_split(tmp_path, "train")
    assert book.of(first).table == learned(*texts([second], config.phrase_tokens)).table
    assert book.of(second).table == learned(*texts([first], config.phrase_tokens)).table
    [test] = load_split(tmp_path, "test")
    assert book.of(test).table == learned(*texts([first, second], config.phrase_tokens)).table


def test_phrases_take_the_place_of_shorter_matches_only(shards, store):
    features = store.get(shards[0])
    phrases = learned(*[sequence.tokens for sequence in shards[0].sequences] * 2)
    seeds, lengths = with_phrases(shards[0], features.copied, features.matches, phrases)
    phrased = lengths > 0
    assert phrased.any() and not phrased.all()
    assert (lengths[phrased] > features.matches[phrased]).all()
    assert (seeds[~phrased] == features.copied[~phrased]).all()
    assert (seeds[phrased][:, 0] >= 0).all()
