"""What the causal language model is worth: cross-entropy on held-out text, and τ as drafter of the target's answers."""

import json
from dataclasses import replace

import torch

from ..diffusion_lm.evaluate import DRAFT, Draft, tau
from ..diffusion_lm.settings import Settings
from ..diffusion_lm.text import text
from ..diffusion_lm.trainer import trained_checkpoint
from ..storage import write_text
from .model import CausalNetwork
from .train import CausalTrainer


def evaluate(settings: Settings) -> None:
    """Print the figures and keep them in WORK/evaluation.json."""
    torch.set_num_threads(settings.threads)
    trained_checkpoint(settings, "causal-lm")
    trainer = CausalTrainer(replace(settings, device="cpu"), text(settings))
    model = trainer.whole_model().requires_grad_(False)
    count = tau(settings, greedy(model, trainer.mask_id))
    print(f"causal-lm: {count}, τ {count.tau():.3f}", flush=True)
    figures = {
        "step": trainer.step,
        "loss": trainer.validate(),
        "draft_tokens": DRAFT,
        "tau": round(count.tau(), 4),
    }
    write_text(settings.work / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


def greedy(model: CausalNetwork, mask_id: int) -> Draft:
    """The best token, again and again; never the mask."""

    def draft(known: list[int]) -> list[int]:
        tokens = list(known)
        for _ in range(DRAFT):
            logits = model.output(model.features(torch.tensor([tokens]))[0, -1])
            logits[mask_id] = -torch.inf
            tokens.append(int(logits.argmax()))
        return tokens[len(known) :]

    return draft
