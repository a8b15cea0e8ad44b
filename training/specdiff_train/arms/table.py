"""What is compared: each arm's name, and what it changes of the configuration."""

from dataclasses import dataclass, replace
from typing import Any

from ..config import Config

# Learning rate of what goes on from trained weights.
GO_ON_RATE = 1e-4


@dataclass(frozen=True)
class Arm:
    """One way to train."""

    name: str
    changes: dict[str, Any]

    def config(self, config: Config) -> Config:
        """The configuration with what the arm changes."""
        return replace(config, **self.changes)


def arms(config: Config) -> list[Arm]:
    """All arms. First those that are trained from the target's layers, led by the configuration itself; then, where
    there is a drafter to go on from, those that change little of it."""
    last = len(config.taps) - 1
    new = {"start": None}
    begun = [
        Arm("as shipped: two layers, five taps, 8,192 tokens, slots from lookup, VAT", new),
        Arm("slots from masks alone", {**new, "mask_probability": 1.0}),
        Arm("one layer", {**new, "layers": 1}),
        Arm("three layers", {**new, "layers": 3}),
        Arm("four layers", {**new, "layers": 4}),
        Arm("layers that begin at random", {**new, "random_start": True}),
        Arm("the last tap alone", {**new, "seen_taps": (last,)}),
        Arm("three taps", {**new, "seen_taps": (0, last // 2, last)}),
        Arm("block of 8", {**new, "block": 8}),
        Arm("16,384 tokens", {**new, "draft_vocab": 16384}),
        Arm("autoregressive: a slot sees those before it, which hold what it drafted", {**new, "autoregressive": True}),
    ]
    start = config.start or config.output
    if not start.exists():
        return begun
    trained = {"start": start, "learning_rate": GO_ON_RATE, "train_steps": config.train_steps // 2}
    went_on = [
        Arm("gone on for no step", {**trained, "train_steps": 0}),
        Arm("gone on", trained),
        Arm("gone on, Markov head, rank 64", {**trained, "markov_rank": 64}),
        Arm("gone on, Markov head, rank 256", {**trained, "markov_rank": 256}),
        Arm("gone on, slots see the text behind the cursor", {**trained, "after": True}),
        Arm("gone on, loss: DFlash's decay", {**trained, "loss": "decay"}),
        Arm("gone on, loss: D-PACE", {**trained, "loss": "dpace"}),
        Arm("gone on, loss: chain", {**trained, "loss": "chain"}),
    ]
    return begun + went_on
