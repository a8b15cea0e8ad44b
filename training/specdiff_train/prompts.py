"""Held-out prompts for benchmarks and parity tests: bench/prompts/heldout.jsonl, from the test packages only.

`python -m specdiff_train prompts`. A code or prose prompt is the text before a cursor; a summary prompt is a selection.
"""

import random
import re
from typing import Any

from .config import REPOSITORY, Config
from .storage import read_jsonl, write_jsonl

OUTPUT = REPOSITORY / "bench" / "prompts" / "heldout.jsonl"
COUNTS = {
    ("code", "python"): 10,
    ("code", "javascript"): 6,
    ("code", "typescript"): 5,
    ("code", "go"): 4,
    ("code", "rust"): 3,
    ("code", "cpp"): 3,
    ("prose", "prose"): 5,
    ("prose", "markdown"): 3,
    ("summary", "python"): 3,
    ("summary", "javascript"): 2,
    ("summary", "typescript"): 2,
    ("summary", "go"): 1,
    ("summary", "rust"): 1,
}
SIGNATURE = {
    "python": r"^[ \t]*(?:async )?def \w+\(.*\).*:$|^class \w+.*:$",
    "javascript": r"^(?:export )?(?:async )?function \w+ ?\(.*\) \{$"
    r"|^[ \t]+(?:async |static |get )?[a-z]\w+ ?\([^()]*\) \{$",
    "typescript": r"^(?:export )?(?:async )?function \w+.*\{$|^export const \w+ = \(.*\{$"
    r"|^[ \t]+(?:async |static )?[a-z]\w+\([^()]*\).* \{$",
    "go": r"^func .*\{$",
    "rust": r"^[ \t]*(?:pub(?:\(crate\))? )?(?:unsafe )?fn .*\{$",
    "cpp": r"^[ \t]*[\w:<>,&* ]+ \w+\(.*\)(?: const)? \{$",
}
COMMENT = r"^[ \t]*(?://[^/!].{20,}|# .{20,})$"
CONTROL_FLOW = re.compile(r"^\s*(if|for|while|switch|catch|else|return)\b")
MIN_PREFIX, MAX_PREFIX = 300, 2400
MIN_SELECTION, MAX_SELECTION = 250, 1800


def write(config: Config) -> None:
    """Choose the prompts (fixed seed, at most two from a file, spread over the packages) and write them."""
    rows = read_jsonl(config.work / "corpus" / "test.jsonl")
    prompts: list[dict[str, Any]] = []
    for (kind, language), count in COUNTS.items():
        rng = random.Random(f"{kind}/{language}")
        files = [row for row in rows if row["language"] == language]
        packages = sorted({row["package"] for row in files})
        made = 0
        attempts = 0
        while made < count:
            attempts += 1
            if attempts > 2000:
                raise SystemExit(f"prompts: too few {language} files for {count} {kind} prompts in the test packages.")
            # Go round the packages, so that none dominates; some have no place of the kind that is asked for.
            package = packages[(made + attempts // 50) % len(packages)]
            row = rng.choice([file for file in files if file["package"] == package])
            text = selection(row, rng) if kind == "summary" else prefix(row, kind, made, rng)
            # Addresses are noise in a prompt: sponsor lists and badges.
            if text is None or "://" in text or "www." in text or any(text[-120:] == p["text"][-120:] for p in prompts):
                continue
            prompts.append(
                {
                    "id": f"{kind}-{language}-{made + 1:02d}",
                    "kind": kind,
                    "language": language,
                    "package": package,
                    "licence": row["licence"],
                    "text": text,
                }
            )
            made += 1
    write_jsonl(OUTPUT, prompts)
    print(f"prompts: {len(prompts)} in {OUTPUT}")


def prefix(row: dict[str, Any], kind: str, index: int, rng: random.Random) -> str | None:
    """Text before a cursor: in code after a signature, after a comment or mid-line, in turn; in prose anywhere."""
    text = row["text"]
    if kind == "prose":
        if len(text) < MIN_PREFIX + 600:
            return None
        end = text.find(" ", rng.randrange(MIN_PREFIX, len(text) - 300))
    else:
        end = code_cursor(text, row["language"], index, rng)
    if end is None or end < MIN_PREFIX or end > len(text) - 40:
        return None
    start = max(0, end - rng.randrange(700, MAX_PREFIX))
    if start:
        start = text.find("\n", start, end) + 1
    cut = text[start:end]
    return cut if len(cut) >= MIN_PREFIX and cut.isascii() and cut.strip() else None


def code_cursor(text: str, language: str, index: int, rng: random.Random) -> int | None:
    """Offset of a cursor in code; None where the file has no such place."""
    if index % 4 == 1:
        places = list(re.finditer(COMMENT, text, re.MULTILINE))
    else:
        places = [m for m in re.finditer(SIGNATURE[language], text, re.MULTILINE) if not CONTROL_FLOW.match(m.group())]
    if not places:
        return None
    place = rng.choice(places)
    if index % 4 == 3:  # mid-line, some lines into the body
        line = place.end() + 1
        for _ in range(rng.randrange(1, 4)):
            line = text.find("\n", line) + 1
            if line == 0:
                return None
        end = text.find("\n", line)
        if end - line < 25:
            return None
        return line + rng.randrange((end - line) // 2, end - line - 4)
    # At the line's end; every other time the user has already typed Enter.
    return place.end() + (1 if index % 2 == 0 else 0)


def selection(row: dict[str, Any], rng: random.Random) -> str | None:
    """A function as a user would select it: from its signature to the next blank line that ends its block."""
    text = row["text"]
    places = [
        m for m in re.finditer(SIGNATURE[row["language"]], text, re.MULTILINE) if not CONTROL_FLOW.match(m.group())
    ]
    if not places:
        return None
    start = rng.choice(places).start()
    indent = len(text[start:]) - len(text[start:].lstrip(" \t"))
    lines = text[start:].split("\n")
    taken = [lines[0]]
    for line in lines[1:]:
        if line.strip() and len(line) - len(line.lstrip(" \t")) <= indent and not line.strip().startswith(("}", ")")):
            break
        taken.append(line)
    body = "\n".join(taken).rstrip()
    return body if MIN_SELECTION <= len(body) <= MAX_SELECTION and body.isascii() else None
