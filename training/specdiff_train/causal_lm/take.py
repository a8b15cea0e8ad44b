"""A trained model out of the pieces that were carried here; the same as the diffusion language model's."""

from ..diffusion_lm.take import take

__all__ = ["take"]
