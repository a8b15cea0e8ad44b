"""Layers that begin with nothing of the target's: what does initialising from its last ones bring?"""

import math

import torch

from ..drafter import Drafter


@torch.no_grad()
def randomize(drafter: Drafter, seed: int) -> None:
    """Draw the layers' matrices anew, 1/sqrt(columns) wide, and set their norms' gains to 1."""
    generator = torch.Generator().manual_seed(seed)
    for layer in drafter.layers:
        for parameter in layer.parameters():
            if parameter.dim() == 2:
                drawn = torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter.shape[1])
                parameter.copy_(drawn)
            else:
                parameter.fill_(1)
