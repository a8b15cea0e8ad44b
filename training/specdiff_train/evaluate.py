"""τ on held-out packages: of the drafter, of cyclic lookup, of both joined, and of the untrained drafter."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from . import data
from .checkpoint import new_drafter, restored_drafter
from .config import Config
from .drafter import Drafter
from .lookup import lookup
from .storage import write_text
from .target import Target

SEQUENCES = 8
ANCHORS = 20
SHORT = 32
JOIN_MATCH = 2

Propose = Callable[[int, list[int]], list[int]]


@dataclass
class Count:
    """Sums over target passes; the token that a prefill gives counts for none."""

    passes: int = 0
    emitted: int = 0
    drafted: int = 0
    accepted: int = 0

    def tau(self) -> float:
        """Tokens emitted per target pass."""
        return self.emitted / max(1, self.passes)


@dataclass
class Figures:
    """Counts by arm and group; a group is a language, a kind of prompt or an answer length."""

    counts: dict[tuple[str, str], Count] = field(default_factory=dict)

    def count(self, arm: str, group: str) -> Count:
        """The count of an arm and group, made where it is missing."""
        return self.counts.setdefault((arm, group), Count())

    def overall(self) -> dict[str, float]:
        """τ of each arm over everything."""
        return {arm: count.tau() for (arm, group), count in self.counts.items() if group == "all"}


def evaluate(config: Config) -> None:
    """Print and keep (WORK/train/evaluation.json, .md) the table of τ on the test packages."""
    torch.set_num_threads(config.threads)
    target = Target(config.target, config.device)
    folder = config.work / "answers"
    shards = data.load(folder, "test", target, config.taps, config.block)
    if not shards:
        raise SystemExit(f"evaluate: no test answers in {folder}; run the answers stage first")
    figures = measure(restored_drafter(config, target), shards)
    train = data.load(folder, "train", target, config.taps, config.block)
    untrained = measure(new_drafter(config, target, train), shards)
    for (arm, group), count in untrained.counts.items():
        if arm != "lookup":
            figures.counts[f"untrained: {arm}", group] = count
    table = markdown(figures)
    write_text(config.work / "train" / "evaluation.md", table)
    flat = {f"{arm} / {group}": {**vars(c), "tau": round(c.tau(), 4)} for (arm, group), c in figures.counts.items()}
    write_text(config.work / "train" / "evaluation.json", json.dumps(flat, indent=1))
    print(table)


def measure(drafter: Drafter, shards: list[data.Shard], limit: int | None = None) -> Figures:
    """τ by arm and group over the shards' first `limit` sequences (greedy, chains of at most `block` tokens)."""
    figures = Figures()
    for shard in shards:
        rows = range(min(limit or len(shard.tokens), len(shard.tokens)))
        from_masks = drafts(drafter, shard, rows, masks=True)
        from_lookup = drafts(drafter, shard, rows, masks=False)
        for b in rows:
            tokens = shard.tokens[b].tolist()
            start, end = shard.prompt_tokens, int(shard.ends[b])
            groups = ["all", f"language {shard.language[b]}", f"kind {shard.kind}"]
            for arm, propose in arms(shard, b, from_masks[b].tolist(), from_lookup[b].tolist()).items():
                simulate(tokens, start, end, propose, [figures.count(arm, group) for group in groups])
                short_end = min(end, start + SHORT)
                simulate(tokens, start, short_end, propose, [figures.count(arm, f"first {SHORT} tokens")])
    return figures


def arms(shard: data.Shard, b: int, from_masks: list[list[int]], from_lookup: list[list[int]]) -> dict[str, Propose]:
    """What is compared on sequence b: each maps (anchor, tokens up to it) to a draft."""
    start, block = shard.prompt_tokens, shard.seeds.shape[2]
    seeds = [[t for t in row if t >= 0] for row in shard.seeds[b].tolist()]
    return {
        "drafter from masks": lambda anchor, known: from_masks[anchor - start],
        "drafter from looked-up tokens": lambda anchor, known: from_lookup[anchor - start],
        "lookup": lambda anchor, known: seeds[anchor],
        "joined": lambda anchor, known: lookup(known, block, shortest=JOIN_MATCH) or from_lookup[anchor - start],
    }


def simulate(tokens: list[int], start: int, end: int, propose: Propose, counts: list[Count]) -> None:
    """Speculative decoding against a known greedy answer tokens[start:end]; tokens[start] came from the prefill."""
    anchor = start
    while anchor + 1 < end:
        draft = propose(anchor, tokens[: anchor + 1])
        accepted = 0
        while (
            accepted < len(draft) and anchor + 1 + accepted < end and draft[accepted] == tokens[anchor + 1 + accepted]
        ):
            accepted += 1
        emitted = min(accepted + 1, end - 1 - anchor)
        for count in counts:
            count.passes += 1
            count.emitted += emitted
            count.drafted += len(draft)
            count.accepted += accepted
        anchor += emitted


def drafts(drafter: Drafter, shard: data.Shard, rows: range, masks: bool) -> Tensor:
    """Drafts [rows, T-1-prompt, block] after every anchor of the answers."""
    device = drafter.fc.device
    anchors = torch.arange(shard.prompt_tokens, shard.tokens.shape[1] - 1)
    result = []
    for first in range(0, len(rows), SEQUENCES):
        part = torch.tensor(list(rows)[first : first + SEQUENCES])
        taps = torch.from_numpy(shard.taps[part.numpy()]).to(device)
        tokens = shard.tokens[part].to(device)
        pieces = []
        for some in anchors.split(ANCHORS):
            place = some.expand(len(part), -1)
            seeds = shard.seeds[part][:, some]
            if masks:
                seeds = torch.full_like(seeds, -1)
            pieces.append(drafter.draft(tokens, taps, place.to(device), seeds.to(device)).cpu())
        result.append(torch.cat(pieces, 1))
    return torch.cat(result)


def markdown(figures: Figures) -> str:
    """A table: one line an arm, one column a group."""
    groups = list(dict.fromkeys(group for _, group in figures.counts))
    arms = list(dict.fromkeys(arm for arm, _ in figures.counts))
    lines = [f"| τ | {' | '.join(groups)} |", "|---" * (len(groups) + 1) + "|"]
    for arm in arms:
        cells = [f"{figures.counts[arm, group].tau():.2f}" for group in groups]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
