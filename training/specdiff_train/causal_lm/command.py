"""`python -m specdiff_train causal-lm train|take|evaluate|export`: a small causal model on a target's tokenizer."""

from ..diffusion_lm.command import run_stage
from .settings import CausalSettings


def run(arguments: list[str]) -> None:
    """Parse the arguments and run one stage; each goes on where it was stopped."""
    run_stage(__package__, arguments, "causal-lm", __doc__, CausalSettings())
