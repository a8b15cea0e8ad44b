"""The learning rate's way through a training."""

import math

import torch

# Of the drafter's rate.
FINAL_RATE = 0.03


def set_rate(
    optimizer: torch.optim.Optimizer, rate: float, step: int, warmup_steps: int, progress: float, final: float
) -> None:
    """Warm-up over `warmup_steps`, then a cosine over the budget, of which `progress` (0..1) is used, down to the part
    `final` of `rate`. A group of parameters may have a `scale` of its own."""
    rate *= min(1.0, (step + 1) / warmup_steps)
    rate *= final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
