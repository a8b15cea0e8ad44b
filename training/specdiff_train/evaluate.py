"""τ on held-out packages under the product's stop rules: of the drafter, lookup (with phrases too), and all joined."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch

from .calibration import Calibration, blocks_of, calibrated, fitted, joined
from .checkpoint import drafter_of, new_drafter, trained_drafter
from .config import Config
from .drafter import Drafter
from .drafting import DraftedShard, Drafts, drafted_shards
from .features import FeatureStore
from .identity import check_target
from .on_device.weights import read_fitted
from .shards import Shard, load_split
from .storage import write_text
from .target import Target
from .vocabulary import Vocabulary

SHORT = 16
# Passes on code where lookup matches nothing that is worth copying.
FRESH = "fresh code"

Propose = Callable[[int], list[int]]


@dataclass
class Pass:
    """One target pass; the anchor is the last token before it."""

    anchor: int
    emitted: int
    drafted: int
    accepted: int


@dataclass
class Count:
    """Sums over target passes; the token that a prefill gives counts for none."""

    passes: int = 0
    emitted: int = 0
    drafted: int = 0
    accepted: int = 0

    def add(self, one: Pass) -> None:
        """Count a pass."""
        self.passes += 1
        self.emitted += one.emitted
        self.drafted += one.drafted
        self.accepted += one.accepted

    def tau(self) -> float:
        """Tokens emitted per target pass."""
        return self.emitted / max(1, self.passes)


@dataclass
class Figures:
    """Counts by arm and group; a group is a language, a kind of prompt or an answer length."""

    end_token: int
    counts: dict[tuple[str, str], Count] = field(default_factory=dict)

    def count(self, arm: str, group: str) -> Count:
        """The count of an arm and group, made where it is missing."""
        return self.counts.setdefault((arm, group), Count())

    def overall(self) -> dict[str, float]:
        """τ of each arm over everything greedy."""
        return {arm: count.tau() for (arm, group), count in self.counts.items() if group == "greedy"}


def evaluate(config: Config) -> None:
    """Print and keep (WORK/train/evaluation.json, .md) the table of τ on the test packages."""
    torch.set_num_threads(config.threads)
    folder = config.work / "answers"
    shards = load_split(folder, "test")
    if not shards:
        raise SystemExit(f"evaluate: no test answers in {folder}; run the answers stage first")
    check_target(config, folder)
    target = Target(config.target, config.device)
    store = FeatureStore(config, target)
    drafters = {"": trained_drafter(config, target)}
    if config.start:
        drafters["start: "] = read_drafter(config, target, shards[0], store)
    known = {name: calibrated(drafter, folder, store) for name, drafter in drafters.items()}
    figures = measure(drafters, shards, store, config, calibrations=known)
    if config.rival:
        add_rival(figures, config, target, shards, store)
    table = markdown(figures)
    write_text(config.work / "train" / "evaluation.md", table)
    flat = {f"{arm} / {group}": {**vars(c), "tau": round(c.tau(), 4)} for (arm, group), c in figures.counts.items()}
    write_text(config.work / "train" / "evaluation.json", json.dumps(flat, indent=1))
    print(table)


def add_rival(figures: Figures, config: Config, target: Target, shards: list[Shard], store: FeatureStore) -> None:
    """τ of the autoregressive drafter of `config.rival` alone, on the greedy answers: what the paper compares with."""
    assert config.rival
    weights, _ = read_fitted(config.rival, config.device)
    rival = drafter_of(replace(config, autoregressive=True), target, weights)
    arm = "autoregressive drafter"
    for some in drafted_shards({arm: rival}, shards, store, greedy=True):
        for s in some.sequences:
            count_passes(figures, arm, some, s, arms(some, s, {arm: None})[f"{arm}drafter"])


def read_drafter(config: Config, target: Target, shard: Shard, store: FeatureStore) -> Drafter:
    """The drafter that training started from, with its own draft vocabulary."""
    assert config.start
    return new_drafter(config, target, [shard], store.get(shard).taps)


def measure(
    drafters: dict[str, Drafter],
    shards: list[Shard],
    store: FeatureStore,
    config: Config,
    limit: int | None = None,
    calibrations: dict[str, Calibration | None] | None = None,
) -> Figures:
    """τ by arm and group over the shards' first `limit` groups (chains of at most `block` tokens).

    The target's choice after each prefix is known from its answer, so a pass is simulated: exact for greedy answers,
    for sampled ones what a drafter that proposes its best token would have seen. Joined drafts choose by
    `calibrations`; without, by what fits these shards.
    """
    drafted = drafted_shards(drafters, shards, store, limit, from_masks=True)
    if calibrations is None:
        calibrations = {name: fitted(drafted, name, config.block) for name in drafters}
    figures = Figures(end_token=Vocabulary(config.target).end)
    for some in drafted:
        for s in some.sequences:
            for arm, propose in arms(some, s, calibrations).items():
                count_passes(figures, arm, some, s, propose)
    return figures


def count_passes(figures: Figures, arm: str, drafted: DraftedShard, s: int, propose: Propose) -> None:
    """Count an arm's passes over sequence s in every group that it belongs to."""
    sequence = drafted.shard.sequences[s]
    greedy = sequence.temperature == 0
    groups = ["greedy" if greedy else "sampled"]
    if greedy:
        groups += [sequence.kind, sequence.language]
        if sequence.kind != "summary":
            groups.append("completions")
    # The product's engine does not count the end token.
    end = len(sequence.tokens) - (sequence.tokens[-1] == figures.end_token)
    tokens, start = sequence.tokens, sequence.prompt_tokens
    for one in passes(tokens, start, end, propose):
        fresh = greedy and sequence.kind == "code" and drafted.fresh(s, one.anchor)
        for name in [*groups, FRESH] if fresh else groups:
            figures.count(arm, name).add(one)
    if greedy:
        for one in passes(tokens, start, min(end, start + SHORT), propose):
            figures.count(arm, f"first {SHORT} tokens").add(one)


def arms(drafted: DraftedShard, s: int, calibrations: dict[str, Calibration | None]) -> dict[str, Propose]:
    """What is compared on sequence s: each maps an anchor to a draft."""
    features = drafted.features
    start = drafted.shard.sequences[s].prompt_tokens
    first = features.starts[s] - start

    def looked_up(anchor: int) -> list[int]:
        return [token for token in features.copied[first + anchor].tolist() if token >= 0]

    def phrased(anchor: int) -> list[int]:
        return [token for token in features.seeds[first + anchor].tolist() if token >= 0]

    result: dict[str, Propose] = {"lookup": looked_up, "phrases": phrased}
    for name, calibration in calibrations.items():

        def alone(anchor: int, table: Drafts = drafted.seeded[name]) -> list[int]:
            return table[first + anchor].best

        def masks(anchor: int, table: Drafts = drafted.masked[name]) -> list[int]:
            return table[first + anchor].best

        if calibration is None:

            def together(anchor: int, table: Drafts = drafted.seeded[name]) -> list[int]:
                return phrased(anchor) if features.clear(first + anchor) else table[first + anchor].best
        else:
            drafts = joined(blocks_of(drafted, name, s), calibration)

            def together(anchor: int, drafts: list[list[int]] = drafts, start: int = start) -> list[int]:
                return drafts[anchor - start]

        result |= {f"{name}joined": together, f"{name}drafter": alone, f"{name}drafter from masks": masks}
    return result


def passes(tokens: list[int], start: int, end: int, propose: Propose) -> Iterator[Pass]:
    """Speculative decoding against a known answer tokens[start:end]; tokens[start] came from the prefill."""
    anchor = start
    while anchor + 1 < end:
        draft = propose(anchor)
        accepted = 0
        while (
            accepted < len(draft) and anchor + 1 + accepted < end and draft[accepted] == tokens[anchor + 1 + accepted]
        ):
            accepted += 1
        emitted = min(accepted + 1, end - 1 - anchor)
        yield Pass(anchor, emitted, len(draft), accepted)
        anchor += emitted


def markdown(figures: Figures) -> str:
    """A table: one line an arm, one column a group."""
    groups = list(dict.fromkeys(group for _, group in figures.counts))
    names = list(dict.fromkeys(arm for arm, _ in figures.counts))
    lines = [f"| τ | {' | '.join(groups)} |", "|---" * (len(groups) + 1) + "|"]
    for arm in names:
        cells = [f"{figures.count(arm, group).tau():.2f}" for group in groups]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
