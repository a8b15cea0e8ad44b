"""One reading of a GGUF for all that ask: telling a vocabulary's strings apart takes seconds."""

from functools import lru_cache
from pathlib import Path

import gguf


def opened(path: Path) -> gguf.GGUFReader:
    """The file's reader, kept until another file is asked for or this one changes."""
    status = path.stat()
    return read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def read(path: Path, _changed: int, _size: int) -> gguf.GGUFReader:
    """Read a file; the other arguments tell its versions apart."""
    return gguf.GGUFReader(path)
