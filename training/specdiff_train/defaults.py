"""What the command line leaves open and the target's file answers."""

from dataclasses import replace

import gguf

from .config import REPOSITORY, Config

DEFAULT_TARGET = REPOSITORY / "models/cache/SmolLM2-135M-Instruct.Q4_1.gguf"


def for_target(config: Config, given: set[str]) -> Config:
    """Fill in taps for the target's depth; for another target than the default also the drafter's name, licence and
    output, so that the shipped drafter is not overwritten. `given`: fields that the user set."""
    fields = gguf.GGUFReader(config.target).fields

    def text(key: str, fallback: str) -> str:
        return str(fields[key].contents()) if key in fields else fallback

    values: dict[str, object] = {}
    layers = fields.get(f"{text('general.architecture', '')}.block_count")
    if layers is not None:
        values["taps"] = spread_taps(int(layers.contents()))
    if config.target.resolve() != DEFAULT_TARGET.resolve():
        stem = config.target.stem
        values["output"] = config.work / f"{stem}.dflash.gguf"
        values["name"] = f"{stem} block-diffusion drafter"
        values["licence"] = text("general.license", "that of the target")
    return replace(config, **{name: value for name, value in values.items() if name not in given})


def spread_taps(layers: int) -> tuple[int, ...]:
    """Up to five layers, evenly from the third to the last but one; never the first, which has no hidden states."""
    middle = layers // 2
    outer = max(middle - 2, 0)
    taps = {middle - outer, middle - outer // 2, middle, middle + outer // 2, middle + outer}
    return tuple(sorted(tap for tap in taps if 1 <= tap < layers))
