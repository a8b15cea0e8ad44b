"""`python -m specdiff_train diffusion-lm train|take|evaluate|export`: a small MDLM on a target's tokenizer."""

import argparse
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

from .settings import Settings


def run(arguments: list[str]) -> None:
    """Parse the arguments and run one stage; each goes on where it was stopped."""
    run_stage(__package__, arguments, "diffusion-lm", __doc__, Settings())


def run_stage(
    package: str | None, arguments: list[str], program: str, description: str | None, defaults: Settings
) -> None:
    """Run the stage that the arguments name: the function of that name in the package's module of that name."""
    stage, settings = parse(arguments, program, description, defaults)
    getattr(import_module(f".{stage}", package), stage)(settings)


def parse(arguments: list[str], program: str, description: str | None, defaults: Settings) -> tuple[str, Settings]:
    """The stage, and the settings that the arguments make of the defaults."""
    parser = argparse.ArgumentParser(prog=f"specdiff_train {program}", description=description)
    parser.add_argument("stage", choices=("train", "take", "evaluate", "export"))
    for name in ("target", "corpus", "answers", "work", "output", "served"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--text-folder", type=Path, help="of text.json, train.u16 and validation.u16; WORK by default")
    parser.add_argument("--device", help="that trains, e.g. cuda; take, evaluate and export run on the processor")
    parser.add_argument("--evaluated-answers", type=int)
    for name in ("seed", "threads", "text-tokens", "width", "blocks", "heads", "kept-rows", "context", "step-tokens"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--warmup-steps", type=int)
    parser.add_argument("--counted-share", type=float, help="of the budget, for windows whose labels are counted")
    parser.add_argument("--validation-seconds", type=float, help="between two validations")
    parser.add_argument("--type", choices=("f32", "f16", "q8_0", "q4_0"), help="type of the exported matrices")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seconds", type=float, dest="train_seconds", help="processor time, with --device clock time")
    parser.add_argument("--steps", type=int, dest="train_steps", help="training steps, in place of --seconds")
    parser.add_argument("--mask-token")
    given = vars(parser.parse_args(arguments))
    stage = given.pop("stage")
    known = {field.name for field in fields(Settings)}
    settings = replace(defaults, **{k: v for k, v in given.items() if k in known and v is not None})
    if not settings.target.exists():
        parser.error(f"no target at {settings.target}; run `npm run build` once, or give --target FILE.gguf")
    return stage, settings
