"""Cyclic prompt lookup: the n-gram drafter, and what a lookup-initialised drafter starts its slots from."""

LONGEST = 3
SHORTEST = 1


def lookup(tokens: list[int], count: int, longest: int = LONGEST, shortest: int = SHORTEST) -> list[int] | None:
    """Propose `count` tokens after `tokens`, or None where nothing matches.

    The longest suffix of `longest`..`shortest` tokens that occurred before, newest occurrence first; what followed
    it is copied, and where the copy reaches the end it wraps round (prompt lookup decoding, made cyclic).
    """
    size = len(tokens)
    for n in range(min(longest, size - 1), shortest - 1, -1):
        last = tokens[-1]
        for end in range(size - 2, n - 2, -1):
            # `end` is the index of the match's last token; comparing it first skips most places cheaply.
            if tokens[end] == last and tokens[end - n + 1 : end + 1] == tokens[size - n :]:
                cycle = tokens[end + 1 : end + 1 + count]
                while len(cycle) < count:
                    cycle = cycle + cycle[: count - len(cycle)]
                return cycle
    return None
