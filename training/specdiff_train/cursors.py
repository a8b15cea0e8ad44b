"""Where a user would ask for a completion, and what then stands after the cursor."""

import random

MIN_BEFORE = 200
# Cursors of one place: their prompts begin alike, so that the engine evaluates the common part once.
NEXT_CURSOR = (60, 400)
HOLE_LINES = 6


def cursor_near(text: str, anywhere: int, rng: random.Random) -> int:
    """Character offset near `anywhere`: line start (40 %), line end (25 %), after the indentation (15 %), mid-line."""
    kind = rng.random()
    line_start = text.rfind("\n", 0, anywhere) + 1
    if kind < 0.40:
        return line_start
    if kind < 0.65:
        end = text.find("\n", line_start)
        return len(text) if end < 0 else end
    if kind < 0.80:
        position = line_start
        while position < len(text) and text[position] in " \t":
            position += 1
        return position
    return anywhere


def nested_cursors(text: str, count: int, rng: random.Random) -> list[int]:
    """Ascending cursors, a few lines apart; fewer where the document ends."""
    start = rng.randrange(min(MIN_BEFORE, len(text) // 2), len(text))
    cursors = [cursor_near(text, start, rng)]
    while len(cursors) < count:
        start = cursors[-1] + rng.randrange(*NEXT_CURSOR)
        if start >= len(text):
            break
        following = cursor_near(text, start, rng)
        if following > cursors[-1]:
            cursors.append(following)
    return [cursor for cursor in cursors if text[:cursor].strip()]


def text_after(text: str, cursor: int, characters: int, rng: random.Random) -> str:
    """What stands after the cursor: nothing yet (45 %), the document without a few lines (40 %), or all of it."""
    kind = rng.random()
    if kind < 0.45:
        return ""
    if kind < 0.85:
        end = text.find("\n", cursor)
        for _ in range(rng.randrange(HOLE_LINES)):
            if end >= 0:
                end = text.find("\n", end + 1)
        return "" if end < 0 else text[end : end + characters]
    return text[cursor : cursor + characters]
