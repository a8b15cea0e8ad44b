"""The target's turns of phrase: what it mostly writes after its last one to four tokens, counted in its own answers.

The same rule as native/core/phrases, which learns them from the exported file; a lookup-initialised drafter's slots
start from them where they say more than prompt lookup.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from .shards import Shard, load_split

LONGEST = 4
SEPARATOR = -1
# What came once says little.
LEAST_COUNT = 2
# A continuation is sure where it came so many times as often as any other.
SURE = 3


class Phrases:
    """The two most frequent continuations of every context, counted in constant room each."""

    def __init__(self, texts: Iterable[list[int]] = ()) -> None:
        # context -> best, its count, second, its count
        self.table: dict[tuple[int, ...], list[int]] = {}
        for text in texts:
            self.learn(text)

    def learn(self, tokens: list[int]) -> None:
        """Count one text."""
        for i in range(1, len(tokens)):
            for length in range(1, min(LONGEST, i) + 1):
                self._count(tuple(tokens[i - length : i]), tokens[i])

    def _count(self, context: tuple[int, ...], token: int) -> None:
        entry = self.table.setdefault(context, [token, 0, SEPARATOR, 0])
        if entry[0] == token:
            entry[1] += 1
        elif entry[3] == 0 or entry[2] == token:
            entry[2:] = token, entry[3] + 1
        elif entry[3] > 1:
            entry[3] -= 1
        else:
            entry[2:] = token, 1
        if entry[3] >= entry[1]:
            entry[:] = entry[2], entry[3], entry[0], entry[1]

    def next(self, text: list[int], longest: int = LONGEST) -> tuple[int, int, bool]:
        """Length of the longest known context of `text`'s end, what follows it, whether it is sure; 0 for none."""
        for length in range(min(longest, len(text)), 0, -1):
            entry = self.table.get(tuple(text[-length:]))
            if entry and entry[1] >= LEAST_COUNT:
                return length, entry[0], entry[1] >= SURE * entry[3]
        return 0, SEPARATOR, False

    def follow(self, text: list[int], count: int, longest: int, matched: int = 0) -> tuple[int, list[int]]:
        """Length of the first context, and at most `count` tokens, word by word; 0 where lookup's match is better."""
        context, found = text[-LONGEST:], []
        first, token, sure = self.next(context, longest)
        if first <= matched or (matched and not sure):
            return 0, []
        length = first
        while length and len(found) < count:
            found.append(token)
            context.append(token)
            length, token, _ = self.next(context[-LONGEST:])
        return first, found


def texts(shards: Iterable[Shard], most: int) -> Iterator[list[int]]:
    """The greedy answers, each with the tokens right before it, up to `most` tokens in all."""
    total = 0
    for shard in shards:
        for sequence in shard.sequences:
            if sequence.temperature > 0:
                continue
            text = sequence.tokens[max(0, sequence.prompt_tokens - LONGEST) :]
            total += len(text)
            if total > most:
                return
            yield text


class PhraseBook:
    """Phrases for a shard's seeds: of the training answers, but never of the shard's own."""

    def __init__(self, folder: Path, most: int) -> None:
        shards = load_split(folder, "train")
        self.all, even, odd = (Phrases(texts(some, most)) for some in (shards, shards[::2], shards[1::2]))
        self.other_half = {shard.path.name: even if index % 2 else odd for index, shard in enumerate(shards)}

    def of(self, shard: Shard) -> Phrases:
        """Those that the shard may be drafted with."""
        return self.other_half.get(shard.path.name, self.all)
