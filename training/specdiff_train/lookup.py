"""Cyclic prompt lookup: the n-gram drafter, and what a lookup-initialised drafter starts its slots from.

The same rule as native/core/ngram_index: the longest suffix of LONGEST..1 tokens that occurred before, its newest
occurrence; what followed is copied, and where the copy reaches the end it wraps round.
"""

# Longest suffix that a drafter's slots are looked up by (`specdiff.lookup.longest` of native/core's metadata).
LONGEST = 3
SEPARATOR = -1


class NgramIndex:
    """A growing text and the newest place of each of its n-grams."""

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest
        self.tokens: list[int] = []
        self.places: dict[tuple[int, ...], int] = {}

    def append(self, token: int) -> None:
        """Add a token; the n-grams before it have a continuation only now."""
        end = len(self.tokens)
        self.tokens.append(token)
        if token == SEPARATOR:
            return
        for n in range(1, min(self.longest, end) + 1):
            gram = tuple(self.tokens[end - n : end])
            if gram[0] == SEPARATOR:
                return
            self.places[gram] = end

    def extend(self, tokens: list[int]) -> None:
        """Add tokens."""
        for token in tokens:
            self.append(token)

    def separate(self) -> None:
        """The next tokens are another text: no match and no copy goes across."""
        self.append(SEPARATOR)

    def find_end(self, text: list[int], shortest: int = 1) -> tuple[int, int]:
        """Length of the longest match of a text's end, and the place of what followed it; zeros where there is none."""
        for n in range(min(self.longest, len(text)), shortest - 1, -1):
            place = self.places.get(tuple(text[-n:]))
            if place is not None:
                return n, place
        return 0, 0

    def find(self, count: int, shortest: int = 1) -> tuple[int, list[int]]:
        """Length of the match and `count` tokens copied from after it; 0 and none where nothing matches."""
        size = len(self.tokens)
        length, place = self.find_end(self.tokens[-self.longest :], shortest)
        copied: list[int] = []
        at = place
        while length and len(copied) < count and self.tokens[at] != SEPARATOR:
            copied.append(self.tokens[at])
            at = at + 1 if at + 1 < size else place
        return length, copied
