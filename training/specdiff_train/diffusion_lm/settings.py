"""Every knob of the diffusion language model, in one place."""

from dataclasses import asdict, dataclass
from pathlib import Path

from ..config import REPOSITORY, TRAINING


@dataclass(frozen=True)
class Settings:
    """Paths, sizes and budgets. Counts are tokens unless the name says otherwise."""

    target: Path = REPOSITORY / "models/cache/SmolLM2-135M-Instruct.Q4_1.gguf"
    corpus: Path = TRAINING / "work" / "corpus"
    answers: Path = TRAINING / "work" / "answers"
    work: Path = TRAINING / "work-mdlm"
    output: Path = TRAINING / "work-mdlm" / "smollm2.mdlm.gguf"
    text_folder: Path | None = None  # the tokenized text, where not in `work`
    type: str = "q8_0"
    served: Path | None = None  # an exported file that `evaluate` runs in the engine's network, too
    device: str = "cpu"  # that trains
    threads: int = 1
    seed: int = 1

    # text
    text_tokens: int = 3_000_000
    validation_tokens: int = 60_000
    mask_token: str = "<empty_output>"

    # network
    width: int = 256
    blocks: int = 4
    heads: int = 4
    kept_rows: int = 8192  # output rows that are trained; the others keep their frequency in the text
    context: int = 1024

    # training
    train_seconds: float = 1800.0  # of processor time, a thread; of clock time where another device trains
    train_steps: int = 0  # where not 0, the budget instead of the seconds
    counted_share: float = 0.25  # of the budget: windows of one token and masks, whose labels are counted
    draft_share: float = 0.7  # of the steps after that: a whole prefix and a noised block behind it
    block: int = 16
    lengths: tuple[int, ...] = (24, 32, 48, 64, 128)
    step_tokens: int = 2048
    learning_rate: float = 1.5e-3
    warmup_steps: int = 20
    checkpoint_seconds: float = 120.0
    validation_seconds: float = 300.0

    # evaluation
    evaluated_answers: int = 40

    # Attribution written into the exported file.
    name: str = "Small MDLM on SmolLM2's tokens"
    licence: str = "apache-2.0"

    def recipe(self) -> dict[str, object]:
        """What is written into the exported file: everything but paths."""
        skip = {
            "target",
            "corpus",
            "answers",
            "work",
            "output",
            "served",
            "text_folder",
            "device",
            "type",
            "evaluated_answers",
            "name",
            "licence",
            "threads",
        }
        return {key: value for key, value in asdict(self).items() if key not in skip}
