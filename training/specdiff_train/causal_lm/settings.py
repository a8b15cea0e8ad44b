"""The knobs of the causal language model that are not the diffusion language model's."""

from dataclasses import dataclass
from pathlib import Path

from ..config import TRAINING
from ..diffusion_lm.settings import Settings


@dataclass(frozen=True)
class CausalSettings(Settings):
    """Same text, shape, output rows, budget and counted share; `draft_share` means nothing here. Windows are longer:
    every place of them has a label."""

    work: Path = TRAINING / "work-causal"
    output: Path = TRAINING / "work-causal" / "smollm2.causal.gguf"
    lengths: tuple[int, ...] = (64, 128, 256, 512)
    name: str = "Small causal model on SmolLM2's tokens"
