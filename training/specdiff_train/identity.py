"""Which target a folder of answers or a checkpoint belongs to: mixing two would train nonsense."""

import json
from pathlib import Path

from .config import Config
from .storage import file_sha256, write_text
from .vocabulary import Vocabulary


def identity(target: Path) -> dict[str, str]:
    """Hashes of the target's file and of its tokens."""
    return {"target": file_sha256(target), "tokenizer": Vocabulary(target).sha256()}


def check_target(config: Config, folder: Path) -> None:
    """Mark a folder with the target's hashes, or compare them with its mark."""
    mark = folder / "target.json"
    own = identity(config.target)
    if not mark.exists():
        write_text(mark, json.dumps(own, indent=1) + "\n")
        return
    compare(json.loads(mark.read_text(encoding="utf-8")), own, str(folder), config)


def compare(stored: dict[str, str], own: dict[str, str], place: str, config: Config) -> None:
    """One clear error where what is stored belongs to another target."""
    if stored["tokenizer"] != own["tokenizer"]:
        raise SystemExit(
            f"{place} was made for a target with another tokenizer than {config.target.name}'s; use another --work."
        )
    if stored["target"] != own["target"]:
        raise SystemExit(f"{place} was made for another target than {config.target.name}; use another --work folder.")
