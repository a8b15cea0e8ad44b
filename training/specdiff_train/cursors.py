"""Where a user would ask for a completion: random, seeded cursor positions in a document."""

import random


def cursor(text: str, rng: random.Random) -> int:
    """Character offset of a cursor: line start (35 %), line end (25 %), after the indentation (15 %) or mid-line."""
    kind = rng.random()
    anywhere = rng.randrange(min(len(text), 400), len(text)) if len(text) > 400 else len(text)
    line_start = text.rfind("\n", 0, anywhere) + 1
    if kind < 0.35:
        return line_start
    if kind < 0.60:
        end = text.find("\n", line_start)
        return len(text) if end < 0 else end
    if kind < 0.75:
        position = line_start
        while position < len(text) and text[position] in " \t":
            position += 1
        return position
    return anywhere


def document_tail(text: str, end: int, characters: int) -> str:
    """The `characters` before `end`, from the start of a line."""
    start = max(0, end - characters)
    if start:
        newline = text.find("\n", start, end)
        start = newline + 1 if newline >= 0 else start
    return text[start:end]
