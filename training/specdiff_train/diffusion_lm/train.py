"""Training of the diffusion language model."""

import numpy as np
import torch
from torch import Tensor, nn

from specdiff_reference.ddit import DditShape, Mdlm

from .settings import Settings
from .start import initial
from .text import text
from .trainer import Trainer, prepare, run
from .windows import Windows, noised, text_windows


class DiffusionTrainer(Trainer):
    """MDLM's bound."""

    stage = "diffusion-lm"

    @property
    def shape(self) -> DditShape:
        """The network's sizes."""
        return DditShape(
            vocab=self.vocab,
            width=self.settings.width,
            blocks=self.settings.blocks,
            heads=self.settings.heads,
            context=self.settings.context,
            mask=self.mask_id,
        )

    def empty(self) -> Mdlm:
        """See Trainer."""
        return Mdlm(self.shape)

    def initial(self, embedding: Tensor, log_frequency: Tensor, generator: torch.Generator) -> Mdlm:
        """See Trainer and start.py."""
        return initial(self.shape, embedding, log_frequency, self.kept, generator)

    def head(self) -> nn.Linear:
        """See Trainer."""
        return self.model.backbone.output_layer.linear

    def features(self, ids: Tensor) -> Tensor:
        """What the head multiplies, at every place, [B, T, width]."""
        network = self.model.backbone
        with self.precision():
            condition = network.condition(torch.zeros(1, device=self.device))
            return network.output_layer.features(network.hidden(ids, condition), condition).float()

    def bound(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Summed weighted cross-entropy of a batch (nats) and the number of places that were noised."""
        windows = windows.to(self.device)
        features = self.features(windows.ids).flatten(0, 1).index_select(0, windows.masked)
        labels, weights = (
            values.flatten().index_select(0, windows.masked) for values in (windows.clean, windows.weights)
        )
        return (self.cross_entropy(self.logits(features), labels) * weights).sum(), weights.sum()

    def counted_logits(self, ids: Tensor) -> Tensor:
        """Of the masks after the token."""
        return self.logits(self.features(ids)[:, 1:])

    def text_loss(self, rng: np.random.Generator) -> Tensor:
        """See Trainer."""
        total, places = self.bound(text_windows(self.text.train, self.settings, self.mask_id, rng))
        return total / places.clamp(min=1)

    def losses_of(self, pieces: np.ndarray, first: int) -> float:
        """The bound, with the same noise every time."""
        rng = np.random.default_rng(7)
        parts = np.array_split(pieces, 6)
        return sum(float(self.bound(noised(part, first, self.mask_id, rng))[0]) for part in parts)


def train(settings: Settings) -> None:
    """Train until the budget is used; a killed run goes on from its last checkpoint."""
    prepare(settings)
    run(DiffusionTrainer(settings, text(settings)))
