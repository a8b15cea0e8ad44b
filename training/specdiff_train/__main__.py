"""Command line: `python -m specdiff_train STAGE [options]`, stages corpus, answers, texts, train, evaluate,
export, all.

Apart from them, with options of their own: `convert FOLDER OUTPUT.gguf`, `diffusion-lm train|evaluate|export` and
`causal-lm train|evaluate|export`.
"""

import argparse
import errno
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

from .config import Config
from .defaults import DEFAULT_TARGET, for_target

STAGES = ("corpus", "answers", "texts", "train", "evaluate", "export")


# Module and function of each stage.
FUNCTIONS = {
    "corpus": ("corpus", "build"),
    "prompts": ("prompts", "write"),
    "answers": ("answers", "generate"),
    "texts": ("texts", "write"),
    "train": ("train", "train"),
    "evaluate": ("evaluate", "evaluate"),
    "export": ("export", "export"),
    "arms": ("arms.compare", "compare"),
    "shortlist": ("add_shortlist", "add"),
    "asked": ("on_device.asked", "ask"),
    "decode": ("on_device.decode", "decode"),
    "cut": ("on_device.cut", "cut"),
    "look_up": ("on_device.look_up", "look_up"),
    "fit": ("on_device.fit", "fit"),
    "take": ("on_device.fit", "take"),
}


def stage_function(stage: str) -> Callable[[Config], None]:
    """The function of a stage; imported late, so that `corpus` needs no PyTorch."""
    module, name = FUNCTIONS[stage]
    function: Callable[[Config], None] = getattr(import_module(f".{module}", __package__), name)
    return function


def parse() -> tuple[str, Config]:
    """Command line to a stage and its configuration."""
    parser = argparse.ArgumentParser(prog="specdiff_train", description=__doc__)
    parser.add_argument("stage", choices=("all", *FUNCTIONS))
    parser.add_argument("--target", type=Path, default=DEFAULT_TARGET)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--answer-tokens", type=int)
    parser.add_argument("--answer-sequences", type=int, help="answers written at once")
    parser.add_argument("--shard-prompts", type=int)
    parser.add_argument("--validation-shards", type=int)
    parser.add_argument("--test-shards", type=int)
    parser.add_argument("--engine-threads", type=int)
    parser.add_argument("--first-shard", type=int, help="asked: index of the first shard of prompts")
    parser.add_argument("--asked-shards", type=int, help="asked: how many shards of prompts a GPU is to answer")
    parser.add_argument("--text-tokens", type=int, help="corpus text to train on; 0 for answers alone")
    parser.add_argument("--feature-gigabytes", type=float, help="hidden states kept on the disk")
    parser.add_argument("--start", type=Path, help="a drafter's GGUF to go on from")
    parser.add_argument("--phrases", type=Path, help="a drafter's GGUF whose phrases are used, not the answers' own")
    parser.add_argument("--loss", choices=("vat", "dpace", "decay", "chain"))
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seconds", type=float, dest="train_seconds", help="training time; the schedule follows it")
    parser.add_argument("--steps", type=int, dest="train_steps", help="training steps, in place of --seconds")
    parser.add_argument("--taps", type=lambda text: tuple(map(int, text.split(","))), help="layers, e.g. 2,9,15,21,28")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--groups", type=int)
    parser.add_argument("--anchors", type=int)
    parser.add_argument("--draft-vocab", type=int)
    parser.add_argument(
        "--autoregressive", action="store_true", default=None, help="train, fit, export: one that drafts token by token"
    )
    parser.add_argument("--rival", type=Path, help="evaluate: folder with an autoregressive drafter's weights")
    parser.add_argument("--mask-token", help="a token of the target that never occurs in text")
    parser.add_argument("--name", help="the drafter's, written into its file")
    parser.add_argument("--licence", help="the drafter's; the target's by default, as it begins with its weights")
    parser.add_argument("--validation-seconds", type=float)
    parser.add_argument("--validation-groups", type=int)
    given = vars(parser.parse_args())
    stage = given.pop("stage")
    known = {field.name for field in fields(Config)}
    target = given.pop("target")
    given = {name: value for name, value in given.items() if name in known and value is not None}
    config = replace(Config(target=target), **given)
    if stage not in ("corpus", "prompts") and not config.target.exists():
        parser.error(f"no target at {config.target}; run `npm run build` once, or give --target FILE.gguf")
    return stage, for_target(config, set(given)) if config.target.exists() else config


def separate(arguments: list[str]) -> bool:
    """Run what has a command line of its own, if the arguments ask for it."""
    if arguments[:1] == ["convert"]:
        from .convert.command import run

        run(arguments[1:])
    elif arguments[:1] == ["diffusion-lm"]:
        from .diffusion_lm.command import run

        run(arguments[1:])
    elif arguments[:1] == ["causal-lm"]:
        from .causal_lm.command import run

        run(arguments[1:])
    else:
        return False
    return True


def main() -> None:
    """Run one stage, or all in order; each continues where it was stopped."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        if separate(sys.argv[1:]):
            return
        stage, config = parse()
        for name in STAGES if stage == "all" else (stage,):
            stage_function(name)(config)
    except FileNotFoundError as error:
        missing = f"{name}: {error.filename} is missing; install it, or run the stage that makes it."
        raise SystemExit(missing) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        place = f" ({error.filename})" if error.filename else ""
        raise SystemExit(f"{name}: the disk is full{place}; what is complete stays, run again.") from None
    except KeyboardInterrupt:
        raise SystemExit(f"{name}: stopped; run it again to go on.") from None


if __name__ == "__main__":
    main()
