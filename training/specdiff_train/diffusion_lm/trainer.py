"""Training of a small language model on a target's tokens: seeded, resumable at any step, by a budget of seconds or
steps. What the model is and what it learns from a batch is its subclass's."""

import json
import math
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pause import wait_while_paused
from ..schedule import set_rate
from ..storage import file_sha256
from ..tensor_file import save_tensors
from ..vocabulary import Vocabulary
from .settings import Settings
from .start import target_embedding
from .take import log_path, write_pieces
from .text import DISTANCES, Text
from .windows import CountedWindows

LOG_EVERY = 10
# More labels of counted windows than these teach nothing new: there are few tokens.
COUNTED_LABELS = 12_288
FINAL_RATE = 0.05
VALIDATION_WINDOWS, VALIDATION_LENGTH = 192, 64


class Trainer(ABC):
    """Model, optimizer, place in the schedule. Every batch depends only on the seed, the step and the text."""

    # The stage's name in what is printed, and the distances that counted windows have labels for.
    stage: ClassVar[str]
    distances: ClassVar[tuple[int, ...]] = DISTANCES

    def __init__(self, settings: Settings, words: Text) -> None:
        self.settings, self.text = settings, words
        self.step, self.elapsed = 0, 0.0
        self.device = torch.device(settings.device)
        vocabulary = Vocabulary(settings.target)
        self.identity = identity_of(settings, vocabulary)
        self.vocab = len(vocabulary.tokens)
        self.mask_id = vocabulary.id_of(settings.mask_token)
        counts = np.bincount(words.train, minlength=self.vocab)
        order = np.argsort(-counts, kind="stable")
        kept = np.sort(order[order != self.mask_id][: settings.kept_rows])
        self.kept = torch.from_numpy(kept)
        row_of = np.full(self.vocab, -1)
        row_of[kept] = np.arange(len(kept))
        frequency = (counts + 0.1) / (counts.sum() + 0.1 * len(counts))
        path = checkpoint_path(settings)
        state = load(path, self.identity) if path.exists() else None
        if state:
            self.model = self.empty()
            self.model.load_state_dict(state["model"])
            self.step, self.elapsed = state["step"], state["elapsed"]
        else:
            generator = torch.Generator().manual_seed(settings.seed)
            log_frequency = torch.from_numpy(np.log(frequency)).float()
            self.model = self.initial(target_embedding(settings.target), log_frequency, generator)
        self.model.to(self.device)
        self.kept, self.row_of = self.kept.to(self.device), torch.from_numpy(row_of).to(self.device)
        head = self.head()
        # Only kept rows learn: a matrix of their own, put back when the state is saved.
        self.rows = nn.Parameter(head.weight.detach()[self.kept].clone())
        self.biases = nn.Parameter(head.bias.detach()[self.kept].clone())
        head.requires_grad_(False)
        others = np.setdiff1d(np.arange(self.vocab), [*kept, self.mask_id])
        self.rest_bias = head.bias.detach().clone()
        self.rest = self.rest_bias[torch.from_numpy(others).to(self.device)].logsumexp(0)
        learned = [p for p in self.model.parameters() if p.requires_grad]
        self.parameters = [*learned, self.rows, self.biases]
        self.optimizer = torch.optim.AdamW(
            self.parameters, settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        # A checkpoint that was taken from pieces has none.
        if state and "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        self.counted: CountedWindows | None = None

    @abstractmethod
    def empty(self) -> nn.Module:
        """The model, to be filled from a checkpoint."""

    @abstractmethod
    def initial(self, embedding: Tensor, log_frequency: Tensor, generator: torch.Generator) -> nn.Module:
        """The model that training starts from: the target's embedding [V, d], frequencies in the text [V]."""

    @abstractmethod
    def head(self) -> nn.Linear:
        """The model's output, [V, width] with a bias."""

    @abstractmethod
    def counted_logits(self, ids: Tensor) -> Tensor:
        """Logits [B, distances, kept] of counted windows' ids [B, tokens]."""

    @abstractmethod
    def text_loss(self, rng: np.random.Generator) -> Tensor:
        """Loss of a batch of the text, nats a token."""

    @abstractmethod
    def losses_of(self, pieces: np.ndarray, first: int) -> float:
        """Summed loss in nats of pieces [B, T] from place `first` on, given the places before."""

    def progress(self) -> float:
        """Share of the budget used, 0..1."""
        if self.settings.train_steps:
            return self.step / self.settings.train_steps
        return self.elapsed / self.settings.train_seconds

    def whole_model(self) -> nn.Module:
        """The model with the learned output rows in their places."""
        head = self.head()
        with torch.no_grad():
            head.weight[self.kept] = self.rows
            head.bias[self.kept] = self.biases
        return self.model

    def logits(self, features: Tensor) -> Tensor:
        """Kept rows' logits [..., kept] of features [..., width]."""
        return F.linear(features, self.rows, self.biases)

    def log_normalizer(self, kept_logits: Tensor) -> Tensor:
        """ln Σ e^logit over all real tokens, of the kept rows' logits [..., kept]."""
        return torch.logaddexp(kept_logits.logsumexp(-1), self.rest)

    def cross_entropy(self, kept_logits: Tensor, labels: Tensor) -> Tensor:
        """Nats [N] of any real tokens [N], by the kept rows' logits [N, kept]; exact over all rows."""
        row = self.row_of[labels]
        chosen = kept_logits.gather(-1, row.clamp(min=0)[:, None])[:, 0]
        return self.log_normalizer(kept_logits) - torch.where(row >= 0, chosen, self.rest_bias[labels])

    def counted_loss(self, rng: np.random.Generator) -> Tensor:
        """Mean cross-entropy with counted distributions."""
        if self.counted is None:
            self.counted = CountedWindows(self.text.train, self.row_of, len(self.kept), self.distances)
        # As many labels a step whatever the distances are.
        count = min(self.settings.step_tokens // 4 * len(DISTANCES), COUNTED_LABELS) // len(self.distances)
        ids, labels = self.counted.draw(count, self.mask_id, rng)
        logits = self.counted_logits(ids)
        losses = self.log_normalizer(logits) * labels.sum(-1) - (logits * labels).sum(-1)
        return losses.sum() / labels.sum().clamp(min=1)

    def precision(self) -> torch.autocast:
        """What the network but its output is computed in: bf16 on a GPU."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type != "cpu")

    def seconds(self) -> float:
        """The clock of the budget. The process's own time: on a busy machine the schedule would otherwise end before it
        was trained. Where another device trains, clock time."""
        if self.device.type == "cpu":
            return time.process_time() / self.settings.threads
        return time.monotonic()

    def checked(self, losses: list[Tensor], step: int) -> list[float]:
        """The values of losses from `step` on, which must be numbers; waits for the device."""
        values = torch.stack(losses).tolist()
        for index, value in enumerate(values):
            if not math.isfinite(value):
                raise SystemExit(
                    f"{self.stage}: the loss is {value} at step {step + index}; the last checkpoint is kept. "
                    "Lower --learning-rate and run again."
                )
        return values

    def train_step(self) -> Tensor:
        """One optimizer step; returns the loss in nats a token, which only on the processor is known to be a number."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self.step])
        loss = self.counted_loss(rng) if self.progress() < settings.counted_share else self.text_loss(rng)
        if self.device.type == "cpu":
            self.checked([loss.detach()], self.step)
        rate, warmup = settings.learning_rate, settings.warmup_steps
        set_rate(self.optimizer, rate, self.step, warmup, self.progress(), FINAL_RATE)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Nats a token on text that isn't trained on: whole windows of 64, and their last 16 places given the others.
        Same windows every time."""
        tokens = self.text.validation
        starts = np.linspace(0, len(tokens) - VALIDATION_LENGTH - 1, VALIDATION_WINDOWS).astype(int)
        pieces = tokens[starts[:, None] + np.arange(VALIDATION_LENGTH)].astype(np.int64)
        return {
            name: self.losses_of(pieces, first) / (len(pieces) * (VALIDATION_LENGTH - first))
            for name, first in (("window", 0), ("draft", VALIDATION_LENGTH - self.settings.block))
        }

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds. The only random state is (seed, step)."""
        recipe = {**self.settings.recipe(), "train_steps": self.step, "train_seconds": round(self.elapsed)}
        if self.device.type == "cuda":
            recipe["device"] = torch.cuda.get_device_name()
        return {
            "model": self.whole_model().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "identity": self.identity,
            "recipe": recipe,
        }

    def save(self) -> None:
        """Write the checkpoint atomically."""
        save_tensors(checkpoint_path(self.settings), self.state())


def checkpoint_path(settings: Settings) -> Path:
    """Where training keeps its latest state."""
    return settings.work / "checkpoint.pt"


def trained_checkpoint(settings: Settings, program: str) -> Path:
    """The checkpoint that `PROGRAM train` left."""
    path = checkpoint_path(settings)
    if not path.exists():
        raise SystemExit(f"{program}: no checkpoint at {path}; run `{program} train` first.")
    return path


def latest(settings: Settings, program: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """What that checkpoint holds; it must be of the target's tokenizer."""
    return load(trained_checkpoint(settings, program), identity_of(settings, vocabulary))


def identity_of(settings: Settings, vocabulary: Vocabulary) -> dict[str, str]:
    """Hashes of the target and its tokenizer, which a checkpoint carries."""
    return {"target": file_sha256(settings.target), "tokenizer": vocabulary.sha256()}


def load(path: Path, identity: dict[str, str]) -> dict[str, Any]:
    """Read a checkpoint (tensors and plain values only) of the same tokenizer."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["identity"]["tokenizer"] != identity["tokenizer"]:
        raise SystemExit(f"{path} was made for a target with another tokenizer; use another --work folder.")
    return state


def run(trainer: Trainer) -> None:
    """Train until the budget is used; a killed run goes on from its last checkpoint."""
    settings = trainer.settings
    learned = sum(parameter.numel() for parameter in trainer.parameters)
    print(f"{trainer.stage}: {learned / 1e6:.1f} M learned parameters, begins at step {trainer.step}", flush=True)
    losses: list[float] = []
    pending: list[Tensor] = []
    saved = validated = trainer.elapsed
    if trainer.step == 0:
        log(trainer, losses)
    # Another device than the processor is waited for now and then only.
    every = 1 if trainer.device.type == "cpu" else LOG_EVERY
    while trainer.progress() < 1:
        wait_while_paused()
        begun = trainer.seconds()
        pending.append(trainer.train_step())
        if waited := len(pending) == every:
            losses += trainer.checked(pending, trainer.step - len(pending))
            pending.clear()
        trainer.elapsed += trainer.seconds() - begun
        if not waited:
            continue
        if trainer.step % LOG_EVERY == 0:
            recent = float(np.mean(losses[-20:]))
            print(f"{trainer.stage}: {trainer.progress():6.1%} step {trainer.step} loss {recent:.3f}", flush=True)
        if trainer.elapsed - saved >= settings.checkpoint_seconds:
            saved = trainer.elapsed
            trainer.save()
        if trainer.elapsed - validated >= settings.validation_seconds:
            validated = trainer.elapsed
            log(trainer, losses)
    if pending:
        losses += trainer.checked(pending, trainer.step - len(pending))
    log(trainer, losses)
    trainer.save()
    if trainer.device.type != "cpu":
        for path in write_pieces(trainer):
            print(f"{trainer.stage}: {path}", flush=True)


def prepare(settings: Settings) -> None:
    """Threads, and what a GPU's matrix products are computed in: TF32."""
    torch.set_num_threads(settings.threads)
    if settings.device != "cpu":
        torch.set_float32_matmul_precision("high")


def log(trainer: Trainer, losses: list[float]) -> None:
    """Append the validation figures to WORK/log.jsonl."""
    entry = {
        "step": trainer.step,
        "cpu_seconds" if trainer.device.type == "cpu" else "seconds": round(trainer.elapsed),
        "loss": round(float(np.mean(losses[-50:])), 4) if losses else None,
        **{name: round(value, 4) for name, value in trainer.validate().items()},
    }
    print(f"{trainer.stage}: validation {entry}", flush=True)
    path = log_path(trainer.settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
