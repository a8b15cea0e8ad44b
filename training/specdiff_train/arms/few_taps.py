"""A drafter that sees fewer of the target's layers than are kept of it."""

from dataclasses import replace

import torch
from torch import Tensor

from ..batches import Batch
from ..drafter import Context, Drafter, Shape


class FewTapsDrafter(Drafter):
    """Fuses the taps of the given indices; the others stay in the batch, unseen."""

    def __init__(self, shape: Shape, seen: tuple[int, ...]) -> None:
        # A checkpoint's scales are those of the taps that are seen.
        resumed = len(shape.tap_scale) == len(seen)
        super().__init__(shape if resumed else replace(shape, tap_scale=shape.tap_scale[list(seen)]))
        columns = (torch.tensor(seen)[:, None] * self.width + torch.arange(self.width)).flatten()
        self.register_buffer("columns", columns, persistent=False)

    def context(self, batch: Batch) -> Context:
        """The rows, of those taps alone."""
        seen: Tensor = batch.taps[..., self.columns]
        return super().context(replace(batch, taps=seen))
