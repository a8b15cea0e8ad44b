"""Shards of answers as training and evaluation read them: sequences of tokens, and which of their rows are shared."""

from dataclasses import dataclass
from pathlib import Path

from .storage import read_jsonl

# Split and kind of corpus text, which the target did not write.
TEXT = "text"
# Splits that are trained on.
TRAINED_ON = ("train", TEXT)
# Sequences that begin alike are trained together, so that their common rows are computed once.
MOST_IN_GROUP = 4


@dataclass
class Sequence:
    """One answer. Rows are the target's: row p holds the hidden state at token p; the last token has none."""

    tokens: list[int]
    prompt_tokens: int
    lookup: list[int]
    kind: str
    language: str
    package: str
    temperature: float
    # Leading rows that it has in common with the sequence before it.
    shared: int = 0

    @property
    def rows(self) -> int:
        """Rows in all."""
        return len(self.tokens) - 1

    @property
    def anchors(self) -> range:
        """Positions after which a block can be drafted: the answer's tokens but the last."""
        return range(self.prompt_tokens, len(self.tokens) - 1)


@dataclass
class Shard:
    """Sequences in their order, and groups of them: consecutive ones that share rows."""

    path: Path
    sequences: list[Sequence]
    groups: list[range]

    @property
    def new_rows(self) -> int:
        """Rows that have to be computed."""
        return sum(sequence.rows - sequence.shared for sequence in self.sequences)

    @property
    def answer_tokens(self) -> int:
        """Tokens that the target wrote."""
        return sum(len(sequence.tokens) - sequence.prompt_tokens for sequence in self.sequences)


def load(path: Path) -> Shard:
    """One shard; answers of a single token draft nothing and are left out."""
    sequences: list[Sequence] = []
    for row in read_jsonl(path):
        if len(row["answer"]) < 2 or not row["prompt"]:
            continue
        sequences.append(
            Sequence(
                tokens=row["prompt"] + row["answer"],
                prompt_tokens=len(row["prompt"]),
                lookup=row["lookup"],
                kind=row["kind"],
                language=row["language"],
                package=row["package"],
                temperature=row["temperature"],
            )
        )
    groups: list[range] = []
    for index, sequence in enumerate(sequences):
        if index:
            sequence.shared = shared_rows(sequences[index - 1], sequence)
        if sequence.shared and len(groups[-1]) < MOST_IN_GROUP:
            groups[-1] = range(groups[-1].start, index + 1)
        else:
            groups.append(range(index, index + 1))
    return Shard(path, sequences, groups)


def load_split(folder: Path, split: str) -> list[Shard]:
    """All shards of a split, in order."""
    return [load(path) for path in sorted(folder.glob(f"{split}_*.jsonl"))]


def shared_rows(before: Sequence, sequence: Sequence) -> int:
    """Common leading tokens of two sequences; an answer's rows are never shared, since its distributions are wanted."""
    limit = min(before.rows, sequence.prompt_tokens)
    for index in range(limit):
        if before.tokens[index] != sequence.tokens[index]:
            return index
    return limit
