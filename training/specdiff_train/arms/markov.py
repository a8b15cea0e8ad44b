"""A drafter with a Markov head (DSpark, arXiv 2607.05147): each slot's logits are moved by the token before it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..batches import Batch
from ..drafter import Drafter, Shape

START = 0.1


class MarkovDrafter(Drafter):
    """Adds following · preceding[token before the slot's] to a slot's logits; draft vocabulary on both sides.

    The slots are still denoised in one pass: only this sum goes from slot to slot.
    """

    added = frozenset(("preceding", "following"))

    def __init__(self, shape: Shape, rank: int) -> None:
        super().__init__(shape)
        tokens = len(self.vocab)
        generator = torch.Generator().manual_seed(0)
        # One more for tokens that are not in the draft vocabulary.
        self.preceding = nn.Parameter(START * torch.randn(tokens + 1, rank, generator=generator))
        self.following = nn.Parameter(torch.zeros(tokens, rank))
        row_of = torch.full((self.target.head.shape[0],), tokens)
        row_of[self.vocab.cpu()] = torch.arange(tokens)
        self.register_buffer("row_of", row_of, persistent=False)

    @property
    def sequential(self) -> bool:
        """Always: by what is added."""
        return True

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, A, S, W], each slot's behind the labels of the slots before it."""
        before = torch.cat([batch.anchor_tokens.unsqueeze(2), batch.labels[:, :, :-1]], 2)
        return super().forward(batch) + self.moved(before)

    def drafted(self, batch: Batch) -> Tensor:
        """Logits [B, A, S, W], each slot's behind the best tokens of the slots before it."""
        logits = super().forward(batch)
        before = batch.anchor_tokens
        for slot in range(self.block):
            logits[:, :, slot] += self.moved(before)
            before = self.vocab[logits[:, :, slot].argmax(-1)]
        return logits

    def moved(self, before: Tensor) -> Tensor:
        """What token ids [...] add to the logits [..., W] of the place behind them; -1 is one that is not known."""
        rows = torch.where(before >= 0, self.row_of[before.clamp(min=0)], len(self.vocab))
        return F.linear(self.preceding[rows], self.following)
