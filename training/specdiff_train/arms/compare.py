"""Trains every arm for the same steps on the same batches, and measures τ on the validation answers."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..config import Config
from ..evaluate import measure
from ..features import FeatureStore
from ..identity import check_target
from ..shards import TRAINED_ON, Shard, load_split
from ..storage import write_text
from ..target import Target
from ..train import LOG_EVERY, Trainer
from .table import Arm, arms

STEPS = 400
ARM_FIGURES = ("joined", "drafter", "drafter from masks")


def compare(config: Config) -> None:
    """Train what has no figures in WORK/arms yet; print and keep (arms.md) the table. Goes on where it was stopped."""
    torch.set_num_threads(config.threads)
    folder = config.work / "answers"
    shards = [shard for split in TRAINED_ON for shard in load_split(folder, split)]
    validation = load_split(folder, "validation")
    if not shards or not validation:
        raise SystemExit(f"arms: no answers in {folder}; run the answers stage first")
    check_target(config, folder)
    target = Target(config.target, config.device)
    config = config if config.train_steps else replace(config, train_steps=STEPS)
    every = arms(config)
    for arm in every:
        path = figures_path(arm, config)
        if read(path, arm, config, shards) is None:
            write_text(path, json.dumps(trained(arm, path, config, target, shards, validation), indent=1))
            checkpoint_beside(path, arm.config(config)).unlink(missing_ok=True)
        # Those of other processes too, which may train other arms meanwhile.
        known = (read(figures_path(one, config), one, config, shards) for one in every)
        table = markdown([figures for figures in known if figures is not None])
        write_text(config.work / "arms" / "arms.md", table)
    print(table)


def figures_path(arm: Arm, config: Config) -> Path:
    """Where an arm's figures are kept."""
    return config.work / "arms" / f"{file_name(arm)}.json"


def checkpoint_beside(figures: Path, own: Config) -> Path:
    """An unfinished arm's; one of another number of steps has another schedule."""
    return figures.with_suffix(f".{own.train_steps}.pt")


def read(path: Path, arm: Arm, config: Config, shards: list[Shard]) -> dict[str, Any] | None:
    """An arm's figures, where it was trained as it would be now."""
    if not path.exists():
        return None
    figures: dict[str, Any] = json.loads(path.read_text())
    same = figures["trained"] == json.loads(json.dumps(training(arm.config(config), shards)))
    return figures if same else None


def training(own: Config, shards: list[Shard]) -> dict[str, Any]:
    """What an arm's figures hang on."""
    return {**own.recipe(), "shards": [shard.path.name for shard in shards]}


def file_name(arm: Arm) -> str:
    """An arm's name without what a file's may not have."""
    return re.sub(r"[^a-z0-9]+", "-", arm.name.lower()).strip("-")


def trained(
    arm: Arm, path: Path, config: Config, target: Target, shards: list[Shard], validation: list[Shard]
) -> dict[str, Any]:
    """Figures of an arm after all steps. Its batches are every arm's: they hang on seed, step and shards. `path` is
    that of its figures; a checkpoint stands beside it until they are there."""
    own = arm.config(config)
    store = FeatureStore(own, target)
    trainer = Trainer(own, target, shards, store, checkpoint_beside(path, own))
    # One that is measured as it is has no step to take.
    for loss in trainer.losses() if own.train_steps else ():
        if trainer.step % LOG_EVERY == 0:
            print(f"arms: {arm.name}: step {trainer.step} of {own.train_steps}, loss {loss:.3f}", flush=True)
    figures = measure({"": trainer.drafter}, validation, store, own, limit=own.validation_groups)
    return {
        "arm": arm.name,
        "parameters": sum(parameter.numel() for parameter in trainer.drafter.parameters()),
        "trained": training(own, shards),
        **{name: figures.overall()[name] for name in ARM_FIGURES},
        "code": figures.count("joined", "code").tau(),
        "fresh": figures.count("drafter", "fresh code").tau(),
        "lookup": figures.overall()["lookup"],
        "phrases": figures.overall()["phrases"],
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """One line an arm."""
    lines = [
        "| τ | joined | … on code | drafter | … on fresh code | from masks | million parameters |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        taus = (row["joined"], row["code"], row["drafter"], row["fresh"], row["drafter from masks"])
        cells = " | ".join(f"{tau:.3f}" for tau in taus)
        lines.append(f"| {row['arm']} | {cells} | {row['parameters'] / 1e6:.1f} |")
    return "\n".join(lines) + "\n"
