"""Training: seeded, resumable at any step, by a budget of seconds or steps; τ on validation picks the weights kept."""

import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .batches import Batch, drawn_places, make_batch
from .checkpoint import best_path, checkpoint_path, drafter_of, load, new_drafter, save
from .config import Config
from .evaluate import measure
from .features import Features, FeatureStore
from .identity import check_target, identity
from .loss import drafting_loss
from .pause import wait_while_paused
from .schedule import FINAL_RATE, set_rate
from .shards import TRAINED_ON, Shard, load_split
from .target import Target

LOG_EVERY = 25
# Of a training whose budget are steps.
VALIDATIONS = 8


class Trainer:
    """Model, optimizer, place in the schedule. Every batch depends only on the seed, the step and the shards."""

    def __init__(
        self, config: Config, target: Target, shards: list[Shard], store: FeatureStore, path: Path | None = None
    ) -> None:
        """`path` of its checkpoint, which it goes on from; WORK/train's by default."""
        self.config, self.target, self.shards, self.store = config, target, shards, store
        self.path = path or checkpoint_path(config)
        self.step, self.elapsed, self.best = 0, 0.0, 0.0
        self.open: tuple[Shard, Features] | None = None
        # What the batches depend on: answers that come later are for the next run.
        self.names = [shard.path.name for shard in shards]
        self.identity = identity(config.target)
        state: dict[str, Any] | None = load(self.path, config) if self.path.exists() else None
        if state:
            self.drafter = drafter_of(config, target, state["model"])
            self.step, self.elapsed, self.best = state["step"], state["elapsed"], state["best"]
            by_name = {shard.path.name: shard for shard in shards}
            self.names = [name for name in state["shards"] if name in by_name]
            self.shards = [by_name[name] for name in self.names]
            if config.start:
                print(f"train: goes on from {self.path}; remove it to begin with {config.start} again", flush=True)
        store.book.keep_to(self.names)
        if not state:
            self.drafter = new_drafter(config, target, shards, store.get(shards[0]).taps)
        self.optimizer = torch.optim.AdamW(
            self.drafter.parameter_groups(), config.learning_rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True
        )
        if state:
            self.optimizer.load_state_dict(state["optimizer"])
        row_of = torch.full((target.head.shape[0],), -1, dtype=torch.long)
        row_of[self.drafter.vocab.cpu()] = torch.arange(len(self.drafter.vocab))
        self.row_of = row_of

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds. The only random state is (seed, step), see `groups`."""
        return {
            "model": self.drafter.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "best": self.best,
            "shards": self.names,
            "identity": self.identity,
            # What was really done, not what was asked for: it goes into the exported file.
            "recipe": {
                **self.config.recipe(),
                "train_steps": self.step,
                "train_seconds": round(self.elapsed),
                "answer_tokens": sum(shard.answer_tokens for shard in self.shards),
            },
        }

    def save(self) -> None:
        """Write the checkpoint."""
        save(self.path, self.state())

    def progress(self) -> float:
        """Share of the budget used, 0..1."""
        if self.config.train_steps:
            return self.step / self.config.train_steps
        return self.elapsed / self.config.train_seconds

    def order(self, epoch: int) -> list[int]:
        """An epoch's seeded order of the shards."""
        order = list(range(len(self.shards)))
        random.Random(f"{self.config.seed}/epoch {epoch}").shuffle(order)
        return order

    def groups(self) -> tuple[Shard, list[range]]:
        """This step's shard and groups: every epoch goes through all groups, shard by shard, in a new seeded order."""
        size = self.config.groups
        steps = [max(1, len(shard.groups) // size) for shard in self.shards]
        epoch, place = divmod(self.step, sum(steps))
        order = self.order(epoch)
        at = 0
        while place >= steps[order[at]]:
            place -= steps[order[at]]
            at += 1
        index = order[at]
        shard = self.shards[index]
        following = order[at + 1] if at + 1 < len(order) else self.order(epoch + 1)[0]
        if place == 0 and self.shards[following] is not shard:
            self.current(shard)
            self.store.prefetch(self.shards[following])
        mixed = list(shard.groups)
        random.Random(f"{self.config.seed}/epoch {epoch}/{index}").shuffle(mixed)
        return shard, mixed[place * size : (place + 1) * size]

    def batch(self) -> Batch:
        """This step's tensors."""
        config = self.config
        shard, groups = self.groups()
        features = self.current(shard)
        rng = np.random.default_rng([config.seed, self.step])
        places = [drawn_places(shard, features, group, config.anchors, rng) for group in groups]
        batch = make_batch(shard, features, groups, places, config.block)
        # Some blocks start from masks alone: so they do where nothing matches, and in stock llama.cpp.
        batch.seeds[torch.from_numpy(rng.random(batch.anchors.shape) < config.mask_probability)] = -1
        return batch

    def current(self, shard: Shard) -> Features:
        """Features of the step's shard, opened once."""
        if self.open is None or self.open[0] is not shard:
            self.open = (shard, self.store.get(shard))
        return self.open[1]

    def losses(self) -> Iterator[float]:
        """Train until the budget is used, a step at a time; the checkpoint is written meanwhile."""
        saved = self.elapsed
        while self.progress() < 1:
            wait_while_paused()
            begun = time.monotonic()
            loss = self.train_step()
            self.elapsed += time.monotonic() - begun
            if self.elapsed - saved >= self.config.checkpoint_seconds:
                saved = self.elapsed
                self.save()
            yield loss

    def train_step(self) -> float:
        """One optimizer step; returns the loss."""
        config = self.config
        batch = self.batch()
        labels = torch.where(batch.labels >= 0, self.row_of[batch.labels.clamp(min=0)], -1)
        soft_index = torch.where(batch.soft_ids >= 0, self.row_of[batch.soft_ids.clamp(min=0)], -1)
        targets = [value.flatten(0, 1).to(config.device) for value in (labels, soft_index, batch.soft_p)]
        logits = self.drafter.behind_labels(batch.to(config.device)).flatten(0, 1)
        loss = drafting_loss(logits, *targets, config.decay, config.loss)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise SystemExit(
                f"train: the loss is {value} at step {self.step}; the last checkpoint is kept. "
                "Lower --learning-rate and run again."
            )
        set_rate(self.optimizer, config.learning_rate, self.step, config.warmup_steps, self.progress(), FINAL_RATE)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.drafter.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return value


def train(config: Config) -> None:
    """Train until the budget is used; a killed run goes on from its last checkpoint."""
    torch.set_num_threads(config.threads)
    folder = config.work / "answers"
    shards = [shard for split in TRAINED_ON for shard in load_split(folder, split)]
    if not shards:
        raise SystemExit(f"train: no answers in {folder}; run the answers stage first")
    check_target(config, folder)
    target = Target(config.target, config.device)
    store = FeatureStore(config, target)
    validation = load_split(folder, "validation")
    trainer = Trainer(config, target, shards, store)
    tokens = sum(shard.answer_tokens for shard in trainer.shards)
    print(f"train: {len(trainer.shards)} shards, {tokens} answer tokens, begins at step {trainer.step}", flush=True)
    losses: list[float] = []
    validated = trainer.elapsed
    if trainer.step == 0:
        validate(config, trainer, validation, losses)
    for loss in trainer.losses():
        losses.append(loss)
        if trainer.step % LOG_EVERY == 0:
            recent = float(np.mean(losses[-100:]))
            print(f"train: {trainer.progress():6.1%} step {trainer.step} loss {recent:.3f}", flush=True)
        # By steps where the budget is: which weights are the best may not hang on the machine's speed.
        due = trainer.elapsed - validated >= config.validation_seconds
        if config.train_steps:
            due = trainer.step % max(1, config.train_steps // VALIDATIONS) == 0
        if due and trainer.progress() < 1:
            validated = trainer.elapsed
            validate(config, trainer, validation, losses)
    validate(config, trainer, validation, losses)
    trainer.save()


def validate(config: Config, trainer: Trainer, validation: list[Shard], losses: list[float]) -> None:
    """Append τ on validation to the training log; keep the weights where the drafter, joined as the engine joins it, is
    the best so far."""
    if not validation:
        return
    figures = measure(
        {"": trainer.drafter}, validation, trainer.store, config, limit=config.validation_groups
    ).overall()
    entry = {
        "step": trainer.step,
        "seconds": round(trainer.elapsed),
        "loss": round(float(np.mean(losses[-100:])), 4) if losses else None,
        **{name: round(tau, 3) for name, tau in figures.items()},
    }
    print(f"train: validation {entry}", flush=True)
    log = config.work / "train" / "log.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(json.dumps(entry) + "\n")
    served = figures["drafter" if config.autoregressive else "joined"]
    if trainer.step and served > trainer.best:
        trainer.best = served
        save(best_path(config), {**trainer.state(), "optimizer": {}})
        trainer.save()
