"""Training on a GPU from decoded and cut answers: same drafter and loss as `train`, larger batches, nothing stored.

Output: WORK/fit/weights-{1,2}.pt, fp16, each small enough to be carried away alone, and WORK/fit/log.jsonl.
`take` (here) makes a checkpoint of them, which evaluate and export go on from.
"""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..batches import Batch
from ..checkpoint import best_path, drafter_from, drafter_of, save
from ..config import Config
from ..drafter import Drafter
from ..identity import identity
from ..loss import drafting_loss
from ..schedule import FINAL_RATE, set_rate
from ..target import Target
from ..tensor_file import save_tensors
from .data import Data, batches, load, make_batch
from .half_target import HalfTarget
from .weights import fit_folder, read_fitted, write_fitted

LOG_EVERY = 50
# Answers that are not trained on.
HELD_OUT = 1024


def fit(config: Config) -> None:
    """Train for `train_seconds`; goes on from WORK/fit/checkpoint.pt where there is one."""
    torch.manual_seed(config.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    target = Target(config.target, config.device)
    Fitting(config, target, load(config)).run()


class Fitting:
    """Model, optimizer, schedule."""

    def __init__(self, config: Config, target: Target, data: Data) -> None:
        self.config, self.data, self.half = config, data, HalfTarget(target)
        self.generator = torch.Generator(device=config.device).manual_seed(config.seed)
        mixed = torch.randperm(len(data), generator=self.generator, device=config.device)
        held_out = min(HELD_OUT, len(data) // 8)
        self.held_out, self.rows = mixed[:held_out], mixed[held_out:]
        self.step, self.elapsed, self.losses = 0, 0.0, list[Tensor]()
        self.folder = fit_folder(config)
        self.begun = {"start": str(config.start), "learning_rate": config.learning_rate, "answers": len(data)}
        path = self.folder / "checkpoint.pt"
        state = torch.load(path, map_location=config.device, weights_only=True) if path.exists() else None
        if state:
            self.drafter = drafter_of(config, target, state["model"])
        else:
            self.drafter = begun(config, target, data, self.half)
        self.optimizer = torch.optim.AdamW(
            self.drafter.parameters(), config.learning_rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True
        )
        if state:
            if state["begun"] != self.begun:
                raise SystemExit(
                    f"fit: {path} was begun as {state['begun']}, not {self.begun}; remove it to begin anew."
                )
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.elapsed = state["step"], state["elapsed"]
            self.generator.set_state(state["generator"].cpu())
        self.row_of = torch.full((target.head.shape[0],), -1, dtype=torch.long, device=config.device)
        self.row_of[self.drafter.vocab] = torch.arange(len(self.drafter.vocab), device=config.device)

    def run(self) -> None:
        """Train until the budget is used."""
        config = self.config
        print(f"fit: {len(self.rows)} answers, {int(self.data.places(self.rows).sum())} places", flush=True)
        self.validate()
        begun = validated = time.monotonic()
        offset = self.elapsed
        for rows in self.endless():
            self.train_step(rows)
            now = time.monotonic()
            self.elapsed = offset + now - begun
            if self.step % LOG_EVERY == 0:
                loss = self.check_loss()
                print(f"fit: {self.elapsed / config.train_seconds:6.1%} step {self.step} loss {loss:.3f}", flush=True)
            if self.elapsed >= config.train_seconds:
                break
            if now - validated >= config.validation_seconds:
                self.validate()
                self.save()
                validated = time.monotonic()
        self.validate()
        self.save()

    def check_loss(self) -> float:
        """Mean of the last steps'. Before weights are written, too: NaN would take the place of good ones."""
        loss = float(torch.stack(self.losses[-LOG_EVERY:]).mean()) if self.losses else 0.0
        if not math.isfinite(loss):
            raise SystemExit(f"fit: the loss is {loss} at step {self.step}; lower --learning-rate and run again.")
        return loss

    def endless(self) -> Iterator[Tensor]:
        """Batches of answers, epoch after epoch."""
        while True:
            yield from batches(self.data, self.rows, self.config.groups, self.generator)

    def train_step(self, rows: Tensor) -> None:
        """One optimizer step."""
        config = self.config
        batch = make_batch(self.data, self.half, rows, config, self.generator)
        masked = torch.rand(batch.anchors.shape, generator=self.generator, device=rows.device)
        batch.seeds[masked < config.mask_probability] = -1
        labels, soft_index = self.in_vocabulary(batch.labels), self.in_vocabulary(batch.soft_ids)
        targets = [value.flatten(0, 1) for value in (labels, soft_index, batch.soft_p)]
        loss = drafting_loss(self.logits(batch).flatten(0, 1), *targets, config.decay, config.loss)
        self.losses.append(loss.detach())
        progress = self.elapsed / config.train_seconds
        set_rate(self.optimizer, config.learning_rate, self.step, config.warmup_steps, progress, FINAL_RATE)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.drafter.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1

    def logits(self, batch: Batch) -> Tensor:
        """The drafter's behind right slots: all before the first wrong one are what it would have drafted. On a GPU its
        matrices are multiplied in bf16."""
        kind = torch.device(self.config.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
            logits: Tensor = self.drafter.behind_labels(batch)
        return logits.float()

    def in_vocabulary(self, ids: Tensor) -> Tensor:
        """Rows of the draft vocabulary, -1 outside."""
        return torch.where(ids >= 0, self.row_of[ids.clamp(min=0)], -1)

    @torch.no_grad()
    def validate(self) -> None:
        """Log how many slots are right in a row, of all anchors of the held-out answers, from seeds and from masks."""
        totals = np.zeros(3)
        generator = torch.Generator(device=self.config.device).manual_seed(0)
        for rows in self.held_out.split(self.config.groups):
            batch = make_batch(self.data, self.half, rows, self.config, generator)
            seeded = self.right_in_a_row(batch)
            batch.seeds[:] = -1
            totals += [seeded, self.right_in_a_row(batch), batch.anchors.numel()]
        entry: dict[str, Any] = {
            "step": self.step,
            "seconds": round(self.elapsed),
            "loss": round(float(torch.stack(self.losses[-200:]).mean()), 4) if self.losses else None,
            "seeded": round(float(totals[0] / totals[2]), 4),
            "masked": round(float(totals[1] / totals[2]), 4),
        }
        print(f"fit: held out {entry}", flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def right_in_a_row(self, batch: Batch) -> float:
        """Summed over all blocks of a batch."""
        best = self.logits(batch).argmax(-1)
        right = self.drafter.vocab[best] == batch.labels
        return float(right.long().cumprod(-1).sum())

    def save(self) -> None:
        """Write the checkpoint, and the weights in parts."""
        self.check_loss()
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.drafter.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "begun": self.begun,
            "generator": self.generator.get_state(),
        }
        save_tensors(self.folder / "checkpoint.pt", state)
        recipe = {
            **self.config.recipe(),
            "train_steps": self.step,
            "train_seconds": round(self.elapsed),
            "answer_tokens": int((self.data.totals - self.data.prompts).sum()),
            "device": torch.cuda.get_device_name() if self.config.device == "cuda" else self.config.device,
        }
        write_fitted(self.folder, self.drafter.state_dict(), recipe)


def begun(config: Config, target: Target, data: Data, half: HalfTarget) -> Drafter:
    """What training starts from; the vocabulary is the answers' most frequent tokens. `config.start` may be a folder
    with what another run of `fit` has learned."""
    if config.start and config.start.is_dir():
        return drafter_of(config, target, read_fitted(config.start, config.device)[0])
    position = torch.arange(data.tokens.shape[1], device=data.tokens.device)
    inside = (position >= data.prompts[:, None]) & (position < data.totals[:, None])
    counts = torch.bincount(data.tokens[inside].long(), minlength=target.head.shape[0]).float()
    longest = int(data.totals[:64].max())
    _, taps = half.hidden(data.tokens[:64, :longest].long(), config.taps)
    drafter = drafter_from(config, target, counts, taps[position[:longest] < data.totals[:64, None]])
    share = float(counts[drafter.vocab].sum() / counts.sum())
    print(f"fit: the draft vocabulary covers {share:.2%} of the answers", flush=True)
    return drafter


def take(config: Config) -> None:
    """Make WORK/train/best.pt of the weights in WORK/fit, for evaluate and export."""
    weights, recipe = read_fitted(fit_folder(config), config.device)
    save(best_path(config), {"model": weights, "identity": identity(config.target), "recipe": recipe})
    print(f"take: {best_path(config)}")
