"""A drafter that sees the text behind the cursor, which a target without fill-in-the-middle does not."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..batches import Batch
from ..drafter import Context, Drafter, Shape


class AfterDrafter(Drafter):
    """Slots see rows of the tokens behind the cursor too: their embeddings, through a matrix of their own."""

    added = frozenset(("embedded",))

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        generator = torch.Generator().manual_seed(1)
        matrix = torch.randn(self.width, self.width, generator=generator) / math.sqrt(self.width)
        self.embedded = nn.Parameter(matrix.to(self.fc.device))

    def context(self, batch: Batch) -> Context:
        """The target's rows, then those of the text behind the cursor."""
        rows = super().context(batch)
        fused = F.linear(self.target.embedding[batch.after], self.embedded)
        states = F.rms_norm(fused, (self.width,), self.hidden_norm, self.eps)
        return Context(
            torch.cat([rows.states, states], 1),
            torch.cat([rows.positions, batch.after_positions], 1),
            torch.cat([rows.visible, batch.after_visible], 2),
        )
