from specdiff_train.lookup import lookup


def test_longest_suffix_wins_over_a_newer_shorter_one():
    assert lookup([1, 2, 3, 9, 7, 3, 5, 1, 2, 3], 2) == [9, 7]


def test_newest_match_of_the_same_length():
    assert lookup([1, 8, 1, 9, 1], 1) == [9]


def test_copy_wraps_round():
    assert lookup([5, 6, 5, 6], 7) == [5, 6, 5, 6, 5, 6, 5]
    assert lookup([4, 4], 3) == [4, 4, 4]


def test_no_match():
    assert lookup([1, 2, 3], 4) is None
    assert lookup([1], 4) is None


def test_shortest_match_is_respected():
    assert lookup([1, 8, 2, 1], 2) == [8, 2]
    assert lookup([1, 8, 2, 1], 2, shortest=2) is None
