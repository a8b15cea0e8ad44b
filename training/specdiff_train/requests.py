"""What the target is asked: completions at cursors and summaries of selections, as the extension asks them."""

import random
from dataclasses import dataclass
from typing import Any

from .cursors import nested_cursors, text_after

MIX = {
    "python": 0.24,
    "javascript": 0.17,
    "typescript": 0.17,
    "go": 0.11,
    "rust": 0.10,
    "cpp": 0.08,
    "c": 0.01,
    "markdown": 0.06,
    "prose": 0.06,
}
LANGUAGE_IDS = {"prose": "plaintext"}
# Prompt budgets in tokens; 512 is the extension's default.
BUDGETS = (128, 256, 512)
BUDGET_WEIGHTS = (0.3, 0.4, 0.3)
# Characters around the cursor that the extension reads: 12 a token of its budgets.
CHARACTERS_A_TOKEN = 12
CHARACTERS_AFTER = 128 * CHARACTERS_A_TOKEN
# The cut before the cursor moves in steps, as in server/completion/source.ts.
CUT_STEP = 4096
CURSORS = 4
SUMMARY_SHARE = 0.12
SAMPLED_SHARE = 0.17
TEMPERATURE = 0.8
SELECTION_LINES = (6, 40)


@dataclass(frozen=True)
class Asked:
    """One request, as training/answers reads it, and what is kept with the answer."""

    request: dict[str, Any]
    kept: dict[str, Any]


class Corpus:
    """The files of a split, by language and package."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.files: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for row in rows:
            self.files.setdefault(row["language"], {}).setdefault(row["package"], []).append(row)

    def pick(self, rng: random.Random, code_only: bool = False) -> dict[str, Any]:
        """A file of a random language (by MIX), then a random package of it, then a random file of that."""
        names = [n for n in MIX if n in self.files and not (code_only and n in ("markdown", "prose"))]
        packages = self.files[rng.choices(names, [MIX[n] for n in names])[0]]
        return rng.choice(packages[rng.choice(sorted(packages))])


def shard_requests(corpus: Corpus, seed: str, count: int) -> list[Asked]:
    """`count` requests; they depend on nothing but the corpus and the seed. Cursors of one place stand together."""
    rng = random.Random(seed)
    asked: list[Asked] = []
    while len(asked) < count:
        sampled = rng.random() < SAMPLED_SHARE
        temperature = TEMPERATURE if sampled else 0.0
        if rng.random() < SUMMARY_SHARE / (SUMMARY_SHARE + (1 - SUMMARY_SHARE) / CURSORS):
            asked.append(summary(corpus.pick(rng, code_only=True), temperature, rng))
        else:
            asked += completions(corpus.pick(rng), temperature, rng)
    return [
        Asked({**one.request, "id": str(number), "seed": rng.randrange(2**31)}, one.kept)
        for number, one in enumerate(asked[:count])
    ]


def completions(row: dict[str, Any], temperature: float, rng: random.Random) -> list[Asked]:
    """Completions at nested cursors of one file, with one budget."""
    text = row["text"]
    budget = rng.choices(BUDGETS, BUDGET_WEIGHTS)[0]
    asked = []
    for cursor in nested_cursors(text, CURSORS, rng):
        wanted = max(0, cursor - budget * CHARACTERS_A_TOKEN)
        start = wanted - wanted % CUT_STEP
        asked.append(
            Asked(
                {
                    "kind": "completion",
                    "languageId": LANGUAGE_IDS.get(row["language"], row["language"]),
                    "before": text[start:cursor],
                    "whole": start == 0,
                    "line": text.count("\n", 0, cursor),
                    "after": text_after(text, cursor, CHARACTERS_AFTER, rng),
                    "contextTokens": budget,
                    "temperature": temperature,
                },
                kept(row, "prose" if row["language"] in ("markdown", "prose") else "code", temperature),
            )
        )
    return asked


def summary(row: dict[str, Any], temperature: float, rng: random.Random) -> Asked:
    """A summary of some lines of a file."""
    lines = row["text"].split("\n")
    start = rng.randrange(max(1, len(lines) - SELECTION_LINES[0]))
    selection = "\n".join(lines[start : start + rng.randrange(*SELECTION_LINES)]).strip("\n")
    return Asked(
        {
            "kind": "summary",
            "languageId": row["language"],
            "before": selection or row["text"][:800],
            "whole": True,
            "line": 0,
            "after": "",
            "contextTokens": 768,
            "temperature": temperature,
        },
        kept(row, "summary", temperature),
    )


def kept(row: dict[str, Any], kind: str, temperature: float) -> dict[str, Any]:
    """Where an answer comes from: kind, language, package, licence, file."""
    return {
        "kind": kind,
        "language": row["language"],
        "package": row["package"],
        "licence": row["licence"],
        "path": row["path"],
        "temperature": temperature,
    }
