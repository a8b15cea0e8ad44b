"""Every knob of the pipeline, in one place."""

from dataclasses import asdict, dataclass
from pathlib import Path

TRAINING = Path(__file__).resolve().parent.parent
REPOSITORY = TRAINING.parent


@dataclass(frozen=True)
class Config:
    """Paths, sizes and budgets. Counts are tokens unless the name says otherwise."""

    target: Path
    work: Path = TRAINING / "work"
    output: Path = REPOSITORY / "models" / "smollm2-135m-instruct.dflash.gguf"
    device: str = "cpu"
    threads: int = 1
    seed: int = 1

    # answers
    answer_tokens: int = 1_000_000
    shard_prompts: int = 256
    validation_shards: int = 2
    test_shards: int = 3
    answer_sequences: int = 24
    engine_threads: int = 0  # the engine's own choice: the free cores

    # on_device: shards of prompts that a GPU answers
    first_shard: int = 1000
    asked_shards: int = 0

    # corpus text that is trained on beside the answers
    text_tokens: int = 1_000_000
    shard_texts: int = 64
    # answers whose turns of phrase are counted, and how many contexts go into the exported file
    phrase_tokens: int = 16_000_000
    phrase_entries: int = 120_000

    # hidden states kept on the disk; the oldest are computed again beyond
    feature_gigabytes: float = 20.0

    # drafter: llama.cpp's `dflash` architecture, anchor-first (the anchor's slot predicts the first drafted token)
    layers: int = 2
    block: int = 7
    taps: tuple[int, ...] = (2, 9, 15, 21, 28)
    draft_vocab: int = 8192
    mask_token: str = "<empty_output>"
    autoregressive: bool = False  # the equal-size drafter of standard speculative decoding, to compare with
    # What was tried and is not in the engine: `arms` compares them.
    markov_rank: int = 0  # a head that adds what the token before says (DSpark)
    seen_taps: tuple[int, ...] = ()  # of the taps, by their index; all where empty
    after: bool = False  # slots see the tokens behind the cursor
    random_start: bool = False  # layers that begin with nothing of the target's

    # evaluation
    rival: Path | None = None  # folder of an autoregressive drafter's weights, as `fit` leaves them

    # training
    start: Path | None = None  # a drafter's GGUF to go on from
    phrases: Path | None = None  # a drafter's GGUF whose phrases are used, instead of counting the answers'
    loss: str = "vat"
    train_seconds: float = 1500.0
    train_steps: int = 0  # where not 0, the budget instead of the seconds
    learning_rate: float = 6e-4
    warmup_steps: int = 60
    groups: int = 3
    anchors: int = 40
    decay: float = 4.0
    mask_probability: float = 0.2
    checkpoint_seconds: float = 60.0
    validation_seconds: float = 300.0
    validation_groups: int = 48

    # Attribution written into the exported file.
    name: str = "SmolLM2-135M-Instruct block-diffusion drafter"
    licence: str = "apache-2.0"

    def recipe(self) -> dict[str, object]:
        """What is written into the exported file: everything but paths."""
        skip = {"target", "work", "output", "start", "phrases", "rival", "name", "licence", "device", "threads"}
        # None of the last ones can be exported.
        skip |= {"engine_threads", "markov_rank", "seen_taps", "after", "random_start"}
        return {key: value for key, value in asdict(self).items() if key not in skip}
