"""Training of the causal language model: next-token cross-entropy at every place."""

import numpy as np
import torch
from torch import Tensor, nn

from ..diffusion_lm.settings import Settings
from ..diffusion_lm.text import text
from ..diffusion_lm.trainer import Trainer, prepare, run
from ..diffusion_lm.windows import drawn, placed
from .model import CausalNetwork, CausalShape
from .start import initial


class CausalTrainer(Trainer):
    """Next-token prediction with the diffusion language model's text, output rows and schedule."""

    stage = "causal-lm"
    # It never predicts farther: counted windows are one token, and what follows it.
    distances = (1,)

    @property
    def shape(self) -> CausalShape:
        """The network's sizes."""
        settings = self.settings
        return CausalShape(self.vocab, settings.width, settings.blocks, settings.heads, settings.context)

    def empty(self) -> CausalNetwork:
        """See Trainer."""
        return CausalNetwork(self.shape)

    def initial(self, embedding: Tensor, log_frequency: Tensor, generator: torch.Generator) -> CausalNetwork:
        """See Trainer and start.py."""
        return initial(self.shape, embedding, log_frequency, self.kept, generator)

    def head(self) -> nn.Linear:
        """See Trainer."""
        return self.model.output

    def counted_logits(self, ids: Tensor) -> Tensor:
        """Of the token alone; the masks after it are the diffusion language model's."""
        return self.logits(self.features(ids[:, :1]))

    def features(self, ids: Tensor) -> Tensor:
        """What the output multiplies, at every place, [B, T, width]."""
        with self.precision():
            return self.model.features(ids).float()

    def text_loss(self, rng: np.random.Generator) -> Tensor:
        """See Trainer."""
        length = int(rng.choice(self.settings.lengths))
        pieces = drawn(self.text.train, max(1, self.settings.step_tokens // length), length + 1, rng)
        return self.losses(pieces, 1).mean()

    def losses(self, pieces: np.ndarray, first: int) -> Tensor:
        """Cross-entropy [B · (T - first)] of the places from `first` ≥ 1 on."""
        ids = placed(torch.from_numpy(pieces), self.device)
        features = self.features(ids[:, :-1])[:, first - 1 :]
        return self.cross_entropy(self.logits(features).flatten(0, 1), ids[:, first:].flatten())

    def losses_of(self, pieces: np.ndarray, first: int) -> float:
        """A piece's first token has nothing before it: its frequency predicts it."""
        alone = 0.0
        if first == 0:
            tokens = torch.from_numpy(pieces[:, 0]).to(self.device)
            biases = self.biases.expand(len(tokens), -1)
            alone = float(self.cross_entropy(biases, tokens).sum())
        parts = np.array_split(pieces, 6)
        return alone + sum(float(self.losses(part, max(first, 1)).sum()) for part in parts)


def train(settings: Settings) -> None:
    """Train until the budget is used; a killed run goes on from its last checkpoint."""
    prepare(settings)
    run(CausalTrainer(settings, text(settings)))
