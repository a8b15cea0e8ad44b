"""Training: seeded, resumable at any step, by a budget of seconds or steps; validation τ on the way."""

import json
import math
import random
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import data
from .checkpoint import checkpoint_path, drafter_of, load, new_drafter, save
from .config import Config
from .evaluate import measure
from .loss import drafting_loss
from .pause import wait_while_paused
from .target import Target

LOG_EVERY = 25
FINAL_RATE = 0.03


class Trainer:
    """Model, optimizer and place in the schedule. Every batch depends only on the seed and the step's number."""

    def __init__(self, config: Config, target: Target, shards: list[data.Shard]) -> None:
        self.config, self.target, self.shards = config, target, shards
        self.path = checkpoint_path(config)
        self.step, self.elapsed = 0, 0.0
        state: dict[str, Any] | None = load(self.path, config.device) if self.path.exists() else None
        if state:
            self.drafter = drafter_of(config, target, state["model"])
            self.step, self.elapsed = state["step"], state["elapsed"]
        else:
            self.drafter = new_drafter(config, target, shards)
        self.optimizer = torch.optim.AdamW(
            self.drafter.parameters(), config.learning_rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True
        )
        if state:
            self.optimizer.load_state_dict(state["optimizer"])
        row_of = torch.full((target.head.shape[0],), -1, dtype=torch.long)
        row_of[self.drafter.vocab.cpu()] = torch.arange(len(self.drafter.vocab))
        self.row_of = row_of

    def save(self) -> None:
        """Write the checkpoint. The only random state is (seed, step), see `batch`."""
        state = {
            "model": self.drafter.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            # What was really done, not what was asked for: it goes into the exported file.
            "recipe": {
                **self.config.recipe(),
                "train_steps": self.step,
                "train_seconds": round(self.elapsed),
                "answer_tokens": sum(int((shard.ends - shard.prompt_tokens).sum()) for shard in self.shards),
            },
        }
        save(self.path, state)

    def progress(self) -> float:
        """Share of the budget used, 0..1."""
        if self.config.train_steps:
            return self.step / self.config.train_steps
        return self.elapsed / self.config.train_seconds

    def batch(self) -> tuple[data.Shard, Tensor]:
        """This step's shard and rows: every epoch goes through all sequences in a new seeded order."""
        size = self.config.sequences
        per_epoch = sum(math.ceil(len(shard.tokens) / size) for shard in self.shards)
        epoch, place = divmod(self.step, per_epoch)
        rng = random.Random(f"{self.config.seed}/epoch {epoch}")
        batches = []
        for index, shard in enumerate(self.shards):
            rows = list(range(len(shard.tokens)))
            rng.shuffle(rows)
            batches += [(index, rows[i : i + size]) for i in range(0, len(rows), size)]
        rng.shuffle(batches)
        index, rows = batches[place]
        return self.shards[index], torch.tensor(rows)

    def train_step(self) -> float:
        """One optimizer step; returns the loss."""
        config = self.config
        shard, rows = self.batch()
        rng = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        tokens, ends = shard.tokens[rows], shard.ends[rows]
        anchors = sample_anchors(shard.prompt_tokens, ends, config.anchors, rng)
        seeds = shard.seeds[rows].gather(1, anchors.unsqueeze(2).expand(-1, -1, config.block)).clone()
        # Some blocks start from masks alone: so they do where nothing matches, and in stock llama.cpp.
        seeds[torch.rand(anchors.shape, generator=rng) < config.mask_probability] = -1
        labels, soft_index, soft_p = self.targets(shard, rows, tokens, anchors, ends)
        taps = torch.from_numpy(shard.taps[rows.numpy()])
        logits = self.drafter(*(value.to(config.device) for value in (tokens, taps, anchors, seeds)))
        loss = drafting_loss(
            logits.flatten(0, 1), *(value.to(config.device) for value in (labels, soft_index, soft_p)), config.decay
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            raise SystemExit(f"train: the loss is {value} at step {self.step}; lower the learning rate and run again.")
        rate = config.learning_rate * min(1.0, (self.step + 1) / config.warmup_steps)
        rate *= FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress())))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.drafter.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return value

    def targets(
        self, shard: data.Shard, rows: Tensor, tokens: Tensor, anchors: Tensor, ends: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Labels [N, S] and soft targets [N, S, K] as rows of the draft vocabulary, N = sequences · anchors."""
        slots = self.config.block
        place = anchors.unsqueeze(2) + torch.arange(slots)  # slot i reads the target's distribution at its own place
        inside = place + 1 < ends[:, None, None]
        flat = place.clamp(max=tokens.shape[1] - 2).flatten(1)
        labels = self.row_of[tokens.gather(1, flat + 1)].view(place.shape)
        labels = torch.where(inside, labels, -100).flatten(0, 1)
        wide = flat.unsqueeze(2).expand(-1, -1, data.SOFT_TOP)
        soft_index = self.row_of[shard.soft_ids[rows].gather(1, wide)].view(-1, slots, data.SOFT_TOP)
        soft_p = shard.soft_p[rows].gather(1, wide).float().view(-1, slots, data.SOFT_TOP)
        return labels, soft_index, soft_p


def sample_anchors(prompt_tokens: int, ends: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Anchor positions [B, count] in the answers, at least one token before each end; repeated where too few exist."""
    room = (ends - 1 - prompt_tokens).clamp(min=1)
    order = torch.rand(len(ends), int(room.max()), generator=rng)
    order[torch.arange(order.shape[1]) >= room[:, None]] = 2.0
    picks = order.argsort(1)
    index = torch.arange(count)[None, :] % room[:, None]
    return picks.gather(1, index) + prompt_tokens


def train(config: Config) -> None:
    """Train until the budget is used; a killed run goes on from its last checkpoint."""
    torch.set_num_threads(config.threads)
    target = Target(config.target, config.device)
    folder = config.work / "answers"
    shards = data.load(folder, "train", target, config.taps, config.block)
    if not shards:
        raise SystemExit(f"train: no answers in {folder}; run the answers stage first")
    validation = data.load(folder, "validation", target, config.taps, config.block)
    trainer = Trainer(config, target, shards)
    tokens = sum(int((s.ends - s.prompt_tokens).sum()) for s in shards)
    print(f"train: {len(shards)} shards, {tokens} answer tokens, begins at step {trainer.step}", flush=True)
    losses: list[float] = []
    saved = validated = trainer.elapsed
    while trainer.progress() < 1:
        wait_while_paused()
        begun = time.monotonic()
        losses.append(trainer.train_step())
        trainer.elapsed += time.monotonic() - begun
        if trainer.step % LOG_EVERY == 0:
            recent = float(np.mean(losses[-100:]))
            print(f"train: {trainer.progress():6.1%} step {trainer.step} loss {recent:.3f}", flush=True)
        if trainer.elapsed - saved >= config.checkpoint_seconds:
            saved = trainer.elapsed
            trainer.save()
        if trainer.elapsed - validated >= config.validation_seconds:
            validated = trainer.elapsed
            log_validation(config, trainer, validation, losses)
    trainer.save()
    log_validation(config, trainer, validation, losses)


def log_validation(config: Config, trainer: Trainer, validation: list[data.Shard], losses: list[float]) -> None:
    """Append validation τ to the training log."""
    if not validation:
        return
    figures = measure(trainer.drafter, validation[:1], limit=16)
    entry = {
        "step": trainer.step,
        "seconds": round(trainer.elapsed),
        "loss": round(float(np.mean(losses[-100:])), 4) if losses else None,
        **{name: round(tau, 3) for name, tau in figures.overall().items()},
    }
    print(f"train: validation {entry}", flush=True)
    with (config.work / "train" / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
