"""The end of every GGUF that is written here."""

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import quantize

TypedTensors = dict[str, tuple[np.ndarray, Type]]


def write_file(writer: gguf.GGUFWriter, tensors: TypedTensors) -> None:
    """Add the tensors, quantized to their types (int64 as they are), to the metadata, and write the file."""
    for name, (array, kind) in tensors.items():
        if kind == Type.I64:
            writer.add_tensor(name, array)
        else:
            writer.add_tensor(name, quantize(array, kind), raw_dtype=kind)
    finish(writer)


def finish(writer: gguf.GGUFWriter) -> None:
    """Write what was added, and close the file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
