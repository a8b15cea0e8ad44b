"""What lookup and the target's phrases say behind a draft's tokens, where these are right (Lookup::after)."""

from bisect import bisect_right
from dataclasses import dataclass

from .features import index_of
from .lookup import NgramIndex
from .phrases import LONGEST, Phrases
from .shards import Sequence

# Longest match that counts for more than shorter ones (NgramIndex::LONGEST of native/core).
MATCHES = 8
# A phrase that came so many times as often as any other is of the next class.
RATIOS = (1.5, 3, 10)
SURENESSES = len(RATIOS) + 1


@dataclass(frozen=True)
class Evidence:
    """Tokens that matched and what followed; tokens a phrase is known by, its token and class; 0 and -1 for none."""

    matched: int
    copied: int
    known: int
    phrase: int
    sureness: int


def evidence_of(sequence: Sequence, phrases: Phrases, block: int) -> list[list[Evidence]]:
    """Of every anchor: what is said at each of its places, as far as the answer goes, behind the answer's tokens."""
    index = index_of(sequence, MATCHES)
    ends = range(sequence.prompt_tokens + 1, len(sequence.tokens))
    said = [phrased(sequence.tokens[max(0, end - LONGEST) : end], phrases) for end in ends]
    result = []
    for anchor in sequence.anchors:
        index.append(sequence.tokens[anchor])
        places = min(block, len(sequence.tokens) - 1 - anchor)
        first = anchor - sequence.prompt_tokens
        result.append(
            [
                Evidence(*looked_up(index, sequence.tokens[anchor + 1 : anchor + 1 + place]), *said[first + place])
                for place in range(places)
            ]
        )
    return result


def looked_up(index: NgramIndex, path: list[int]) -> tuple[int, int]:
    """Tokens that match where the text goes on with `path`, and what followed them."""
    length, place = index.find_end([*index.tokens[-MATCHES:], *path])
    return (length, index.tokens[place]) if length else (0, -1)


def phrased(text: list[int], phrases: Phrases) -> tuple[int, int, int]:
    """Tokens that the phrase after a text is known by, its token, and its class of sureness."""
    known = phrases.entry(text)
    if not known:
        return 0, -1, 0
    length, token, count, second = known
    return length, token, bisect_right(RATIOS, count / (second + 1))
