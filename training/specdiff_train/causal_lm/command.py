"""`python -m specdiff_train causal-lm train|evaluate|export`: a small causal model on a target's tokenizer."""

from ..diffusion_lm.command import parse
from .settings import CausalSettings


def run(arguments: list[str]) -> None:
    """Parse the arguments and run one stage; each goes on where it was stopped."""
    stage, settings = parse(arguments, "causal-lm", __doc__, CausalSettings())
    if stage == "train":
        from .train import train

        train(settings)
    elif stage == "evaluate":
        from .evaluate import evaluate

        evaluate(settings)
    else:
        from .export import export

        export(settings)
