"""Command line: `python -m specdiff_train STAGE [options]`, stages corpus, answers, train, evaluate, export, all."""

import argparse
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from .config import REPOSITORY, Config

STAGES = ("corpus", "answers", "train", "evaluate", "export")


def stage_function(stage: str) -> Callable[[Config], None]:
    """The function of a stage; imported late, so that `corpus` needs no PyTorch."""
    if stage == "corpus":
        from .corpus import build

        return build
    if stage == "prompts":
        from .prompts import write

        return write
    if stage == "answers":
        from .answers import generate

        return generate
    if stage == "train":
        from .train import train

        return train
    if stage == "evaluate":
        from .evaluate import evaluate

        return evaluate
    from .export import export

    return export


def parse() -> tuple[str, Config]:
    """Command line to a stage and its configuration."""
    parser = argparse.ArgumentParser(prog="specdiff_train", description=__doc__)
    parser.add_argument("stage", choices=(*STAGES, "all", "prompts"))
    parser.add_argument("--target", type=Path, default=REPOSITORY / "models/cache/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--answer-tokens", type=int)
    parser.add_argument("--answer-batch", type=int)
    parser.add_argument("--answer-new", type=int)
    parser.add_argument("--evaluation-batches", type=int)
    parser.add_argument("--backwards", action="store_true", help="answers from the last shard on: for a second process")
    parser.add_argument("--seconds", type=float, dest="train_seconds", help="training time; the schedule follows it")
    parser.add_argument("--steps", type=int, dest="train_steps", help="training steps, in place of --seconds")
    parser.add_argument("--untrained", action="store_true", help="export the initialization, a baseline for bench/")
    parser.add_argument("--taps", type=lambda text: tuple(map(int, text.split(","))), help="layers, e.g. 2,9,15,21,28")
    parser.add_argument("--sequences", type=int)
    parser.add_argument("--anchors", type=int)
    parser.add_argument("--draft-vocab", type=int)
    given = vars(parser.parse_args())
    stage = given.pop("stage")
    known = {field.name for field in fields(Config)}
    config = replace(
        Config(target=given.pop("target")), **{k: v for k, v in given.items() if k in known and v is not None}
    )
    if stage not in ("corpus", "prompts") and not config.target.exists():
        parser.error(f"no target at {config.target}; run `npm run build` once, or give --target FILE.gguf")
    return stage, config


def main() -> None:
    """Run one stage, or all in order; each continues where it was stopped."""
    stage, config = parse()
    for name in STAGES if stage == "all" else (stage,):
        stage_function(name)(config)


if __name__ == "__main__":
    main()
