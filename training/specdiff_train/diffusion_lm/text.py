"""The corpus as one row of the target's tokens, and how often one token follows another in it."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..storage import write_atomic, write_text
from ..vocabulary import Vocabulary
from .settings import Settings

# Distances at which followers are counted; a counted window has so many masks.
DISTANCES = (1, 2, 3)
END = "<|endoftext|>"
LONGEST_FILE = 20_000  # characters; a longer file gives one piece of this length


@dataclass
class Text:
    """Token ids, uint16; files are parted by the end-of-text token."""

    train: np.ndarray
    validation: np.ndarray


def text(settings: Settings) -> Text:
    """Tokens of a seeded choice of the corpus's files; made once for each folder. A folder that has those of the same
    tokenizer, seed and counts needs no corpus."""
    folder = settings.text_folder or settings.work
    mark = folder / "text.json"
    wanted = {
        "tokenizer": Vocabulary(settings.target).sha256(),
        "seed": settings.seed,
        "tokens": [settings.text_tokens, settings.validation_tokens],
    }
    if not mark.exists() or json.loads(mark.read_text(encoding="utf-8")) != wanted:
        known = Vocabulary(settings.target)
        if len(known.tokens) > 1 << 16:
            raise SystemExit(f"diffusion-lm: {settings.target.name} has over 65,536 tokens, more than can be stored.")
        made = {
            split: tokenize(settings.corpus / f"{split}.jsonl", known, count, settings.seed)
            for split, count in (("train", settings.text_tokens), ("validation", settings.validation_tokens))
        }
        mark.unlink(missing_ok=True)
        for split, tokens in made.items():
            write_atomic(folder / f"{split}.u16", lambda part, tokens=tokens: tokens.tofile(part))
            print(f"diffusion-lm: {len(tokens)} {split} tokens", flush=True)
        write_text(mark, json.dumps(wanted) + "\n")
    return Text(*(np.fromfile(folder / f"{split}.u16", np.uint16) for split in ("train", "validation")))


def tokenize(path: Path, known: Vocabulary, count: int, seed: int) -> np.ndarray:
    """At least `count` tokens (or all there are) of the files of a corpus split, in a seeded order."""
    if not path.exists():
        raise SystemExit(f"diffusion-lm: no corpus at {path}; run the corpus stage first, or give --corpus FOLDER.")
    end = known.id_of(END)
    offsets = [0]
    with path.open("rb") as file:
        for line in file:
            offsets.append(offsets[-1] + len(line))
        order = list(range(len(offsets) - 1))
        rng = random.Random(f"{seed}/text")
        rng.shuffle(order)
        parts: list[int] = []
        for index in order:
            if len(parts) >= count:
                break
            file.seek(offsets[index])
            content = json.loads(file.readline())["text"]
            start = rng.randrange(max(1, len(content) - LONGEST_FILE))
            parts += known.tokenize(content[start : start + LONGEST_FILE])
            parts.append(end)
    return np.array(parts, np.uint16)


def followers(tokens: Tensor, distance: int, row_of: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Distinct pairs (token, kept row of the token `distance` later), as ascending keys token·rows + row, and their
    counts."""
    before, after = tokens[:-distance], row_of[tokens[distance:]]
    kept = after >= 0
    return torch.unique(before[kept] * rows + after[kept], return_counts=True)
