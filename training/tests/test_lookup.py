from specdiff_train.lookup import NgramIndex


def lookup(tokens, count, shortest=1, other=()):
    index = NgramIndex()
    index.extend(list(other))
    index.separate()
    index.extend(tokens)
    return index.find(count, shortest)


def test_longest_suffix_wins_over_a_newer_shorter_one():
    assert lookup([1, 2, 3, 9, 7, 3, 5, 1, 2, 3], 2) == (3, [9, 7])


def test_newest_match_of_the_same_length():
    assert lookup([1, 8, 1, 9, 1], 1) == (1, [9])


def test_copy_wraps_round():
    assert lookup([5, 6, 5, 6], 7)[1] == [5, 6, 5, 6, 5, 6, 5]
    assert lookup([4, 4], 3)[1] == [4, 4, 4]


def test_no_match():
    assert lookup([1, 2, 3], 4) == (0, [])
    assert lookup([1], 4) == (0, [])


def test_shortest_match_is_respected():
    assert lookup([1, 8, 2, 1], 2)[1] == [8, 2]
    assert lookup([1, 8, 2, 1], 2, shortest=2) == (0, [])


def test_other_texts_are_copied_from_but_never_across_their_end():
    assert lookup([7, 1, 2], 3, other=[1, 2, 5, 6]) == (2, [5, 6])
    assert lookup([9, 6], 2, other=[5, 6]) == (0, [])
