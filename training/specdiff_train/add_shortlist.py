"""The factors of an exported drafter's head, made anew: for files of before there were any."""

from pathlib import Path

import gguf
import torch

from .config import Config
from .evaluate import read_drafter
from .export import add_shortlist
from .features import FeatureStore
from .gguf_file import finish
from .shards import load_split
from .shortlist import Shortlist, shortlist_of
from .storage import write_atomic
from .target import Target

PREFIX = "specdiff.shortlist."


def add(config: Config) -> None:
    """Write the drafter `config.start`, as it is, with factors of its head to `config.output`."""
    if config.start is None:
        raise SystemExit("shortlist: which drafter? --start FILE.gguf")
    torch.set_num_threads(config.threads)
    target = Target(config.target, config.device)
    store = FeatureStore(config, target)
    shards = load_split(config.work / "answers", "validation")
    if not shards:
        raise SystemExit(f"shortlist: no validation answers in {config.work}; run the answers stage first")
    shortlist = shortlist_of(read_drafter(config, target, shards[0], store), shards, store)
    if shortlist is None:
        raise SystemExit("shortlist: the drafter's head is too narrow, or there are too few answers")
    start, found = config.start, shortlist
    write_atomic(config.output, lambda part: copy_with(start, part, found))
    print(f"shortlist: {config.output} {config.output.stat().st_size / 1e6:.1f} MB")


def copy_with(drafter: Path, output: Path, shortlist: Shortlist) -> None:
    """Everything that the file has, and the factors."""
    reader = gguf.GGUFReader(drafter)
    writer = gguf.GGUFWriter(output, reader.fields["general.architecture"].contents())
    add_shortlist(writer, shortlist)
    for name, field in reader.fields.items():
        if name == "general.architecture" or name.startswith(("GGUF.", PREFIX)):
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=element)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    finish(writer)
