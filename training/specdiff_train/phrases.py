"""The target's turns of phrase: what it mostly writes after its last one to four tokens, counted in its own answers.

What native/core/phrases knows of them comes from here, by the exported file; a lookup-initialised drafter's slots start
from them where they say more than prompt lookup.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gguf
import numpy as np

from .shards import TRAINED_ON, Sequence, Shard, load_split

LONGEST = 4
SEPARATOR = -1
# What came once says little.
LEAST_COUNT = 2
# A continuation is sure where it came so many times as often as any other.
SURE = 3
# What an entry is worth whose shorter context says the same already: it makes the phrase win over a shorter match.
SAME_WORTH = 0.3
MOST_COUNT = 255
MASK = 2**64 - 1


def hash_with(digest: int, token: int) -> int:
    """The hash of an n-gram, made longer by one token before it (native/core/token_hash.h)."""
    z = (digest + 0x9E3779B97F4A7C15 + token) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def hashes_with(digests: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The same for arrays of uint64."""
    z = digests + np.uint64(0x9E3779B97F4A7C15) + tokens
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@dataclass
class Counts:
    """E contexts: hash, most frequent continuation and how often it came, how often the second did."""

    checks: np.ndarray  # [E] uint32
    tokens: np.ndarray  # [E] int32
    counts: np.ndarray  # [E] uint8, at most MOST_COUNT
    second_counts: np.ndarray  # [E] uint8


def read_counts(path: Path) -> Counts:
    """Those that came with a drafter's GGUF."""
    fields = gguf.GGUFReader(path).fields
    kinds = {"checks": np.uint32, "tokens": np.int32, "counts": np.uint8, "second_counts": np.uint8}
    if "specdiff.phrases.checks" not in fields:
        raise SystemExit(f"{path.name} has no phrases; run without --phrases.")
    return Counts(*(np.array(fields[f"specdiff.phrases.{name}"].contents(), kind) for name, kind in kinds.items()))


def counted(texts: Iterable[list[int]], most: int) -> Counts:
    """The `most` contexts that are worth the most in drafts of these texts."""
    joined = np.array([token for text in texts for token in (*text, SEPARATOR)], np.int64)
    if not len(joined):
        return Counts(*(np.zeros(0, kind) for kind in (np.uint32, np.int32, np.uint8, np.uint8)))
    parts = [of_length(joined, length) for length in range(1, LONGEST + 1)]
    checks, tokens, counts, seconds, worth = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = np.argsort(-worth, kind="stable")[:most]
    kept = kept[worth[kept] > 0]
    small = [np.minimum(numbers[kept], MOST_COUNT).astype(np.uint8) for numbers in (counts, seconds)]
    return Counts(checks[kept], tokens[kept].astype(np.int32), *small)


Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def of_length(joined: np.ndarray, length: int) -> Columns:
    """Of every context of `length` tokens: hash, continuation, its count, the second's count, worth."""
    places = np.arange(length, len(joined))
    inside = joined[places] != SEPARATOR
    digests = np.zeros(len(places), np.uint64)
    shorter = digests
    for back in range(1, length + 1):
        token = joined[places - back]
        inside &= token != SEPARATOR
        shorter = digests
        digests = hashes_with(digests, token.astype(np.uint64))
    places, digests, shorter = places[inside], digests[inside], shorter[inside]
    token = joined[places].astype(np.uint64)
    best = best_of(digests, token)
    worth = best.counts.astype(float)
    if length > 1:
        # What the context without its first token says, for one place of each context.
        before = best_of(shorter, token)
        same = before.tokens[np.searchsorted(before.digests, shorter[best.first])] == best.tokens
        worth[same] *= SAME_WORTH
    worth[best.counts < LEAST_COUNT] = 0
    checks = (best.digests >> np.uint64(32)).astype(np.uint32)
    return checks, best.tokens, best.counts, best.seconds, worth


@dataclass
class Best:
    """Of each distinct digest, ascending: its best continuation, counts, and one place of it."""

    digests: np.ndarray
    tokens: np.ndarray
    counts: np.ndarray
    seconds: np.ndarray
    first: np.ndarray


def best_of(digests: np.ndarray, tokens: np.ndarray) -> Best:
    """Counts of continuations."""
    order = np.lexsort((tokens, digests))
    by_digest, by_token = digests[order], tokens[order]
    starts = starts_of(by_digest, by_token)
    counts = np.diff(np.concatenate([starts, [len(order)]]))
    pair_digests, pair_tokens, pair_places = by_digest[starts], by_token[starts], order[starts]
    ranked = np.lexsort((-counts, pair_digests))
    ranked_digests, ranked_counts = pair_digests[ranked], counts[ranked]
    firsts = starts_of(ranked_digests)
    following = np.minimum(firsts + 1, len(ranked) - 1)
    has_second = (following > firsts) & (ranked_digests[following] == ranked_digests[firsts])
    return Best(
        ranked_digests[firsts],
        pair_tokens[ranked][firsts],
        ranked_counts[firsts],
        np.where(has_second, ranked_counts[following], 0),
        pair_places[ranked][firsts],
    )


def starts_of(*columns: np.ndarray) -> np.ndarray:
    """Where any of the columns has another value than the place before."""
    new = np.ones(len(columns[0]), bool)
    new[1:] = np.any([column[1:] != column[:-1] for column in columns], 0)
    return np.flatnonzero(new)


class Phrases:
    """What follows a text's end, by counts."""

    def __init__(self, counts: Counts) -> None:
        columns = (counts.tokens, counts.counts, counts.second_counts)
        self.table = dict(
            zip(counts.checks.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True)
        )

    def next(self, text: list[int], longest: int = LONGEST) -> tuple[int, int, bool]:
        """Length of the longest known context of `text`'s end, what follows it, whether it is sure; 0 for none."""
        known = self.entry(text, longest)
        if not known:
            return 0, SEPARATOR, False
        length, token, count, second = known
        return length, token, count >= SURE * second

    def entry(self, text: list[int], longest: int = LONGEST) -> tuple[int, int, int, int] | None:
        """Length of that context, what follows it, how often that came, and how often the second."""
        digest, known = 0, None
        for length in range(1, min(longest, len(text)) + 1):
            digest = hash_with(digest, text[-length])
            entry = self.table.get(digest >> 32)
            if entry and entry[1] >= LEAST_COUNT:
                known = length, *entry
        return known

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


def texts(shards: Iterable[Shard], most: int, half: int | None = None) -> Iterator[list[int]]:
    """The greedy answers, of all packages or of a half of them, each with the tokens right before it, up to `most`
    tokens in all."""
    total = 0
    for shard in shards:
        for sequence in shard.sequences:
            if sequence.temperature > 0 or half not in (None, half_of(sequence)):
                continue
            text = sequence.tokens[max(0, sequence.prompt_tokens - LONGEST) :]
            total += len(text)
            if total > most:
                return
            yield text


def half_of(sequence: Sequence) -> int:
    """Which half of the packages a sequence's is in: 0 or 1."""
    return zlib.crc32(sequence.package.encode()) & 1


class PhraseBook:
    """Phrases for a sequence's seeds: of the training answers, but of none in its own package: in a new repository
    there are none either."""

    def __init__(self, folder: Path, tokens: int, entries: int, given: Counts | None = None) -> None:
        """Counted in up to `tokens` tokens of the answers in `folder`; at most `entries` contexts. Or those `given`,
        for all shards: they were counted in other answers."""
        self.folder, self.tokens, self.entries, self.given = folder, tokens, entries, given
        self.names: frozenset[str] | None = None

    def keep_to(self, names: Iterable[str]) -> None:
        """Count in these shards alone, before anything was counted: others may have come since a training began."""
        self.names = frozenset(names)

    def training(self) -> list[Shard]:
        """The shards that are counted in."""
        shards = load_split(self.folder, "train")
        return [shard for shard in shards if self.names is None or shard.path.name in self.names]

    @cached_property
    def counts(self) -> Counts:
        """What is exported, and what other splits' answers are drafted with."""
        return self.given or counted(texts(self.training(), self.tokens), self.entries)

    @cached_property
    def all(self) -> Phrases:
        """Of all training answers."""
        return Phrases(self.counts)

    @cached_property
    def halves(self) -> tuple[Phrases, Phrases]:
        """Those of each half of the packages."""
        shards = self.training()
        first, second = (Phrases(counted(texts(shards, self.tokens, half), self.entries)) for half in (0, 1))
        return first, second

    def of(self, shard: Shard, sequence: Sequence) -> Phrases:
        """Those that a sequence may be drafted with."""
        # The halves are counted for training alone.
        if self.given or not shard.path.name.startswith(TRAINED_ON):
            return self.all
        return self.halves[1 - half_of(sequence)]
