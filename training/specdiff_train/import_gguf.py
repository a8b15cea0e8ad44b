"""A drafter's weights back out of the GGUF that export.py writes."""

from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import dequantize

from .drafter import Drafter


def read_weights(path: Path, drafter: Drafter, taps: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Dequantized weights of a drafter of the same shape; the draft vocabulary and the tap scales stay `drafter`'s."""
    reader = gguf.GGUFReader(path)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    layers = int(reader.fields["dflash.block_count"].contents())
    if layers != len(drafter.layers) or tuple(reader.fields["dflash.target_layers"].contents()) != taps:
        raise SystemExit(f"{path.name} has other layers or taps than the configuration; start without it.")

    def value(name: str) -> torch.Tensor:
        tensor = stored[name]
        array = np.array(dequantize(tensor.data, tensor.tensor_type), np.float32)
        return torch.from_numpy(array).to(drafter.fc.device)

    width = drafter.width
    fc = value("fc.weight").view(width, -1, width) * drafter.tap_scale[None, :, None]
    state = {
        "fc": fc.reshape(width, -1),
        "hidden_norm": value("enc.output_norm.weight"),
        "norm": value("output_norm.weight"),
    }
    for i in range(layers):
        p = f"blk.{i}."
        state |= {
            f"layers.{i}.attn_norm": value(p + "attn_norm.weight"),
            f"layers.{i}.qkv": torch.cat([value(f"{p}attn_{n}.weight") for n in "qkv"]),
            f"layers.{i}.attn_output": value(p + "attn_output.weight"),
            f"layers.{i}.ffn_norm": value(p + "ffn_norm.weight"),
            f"layers.{i}.gate_up": torch.cat([value(p + "ffn_gate.weight"), value(p + "ffn_up.weight")]),
            f"layers.{i}.down": value(p + "ffn_down.weight"),
            f"layers.{i}.q_norm": value(p + "attn_q_norm.weight"),
            f"layers.{i}.k_norm": value(p + "attn_k_norm.weight"),
        }
    return state


def read_vocabulary(path: Path) -> torch.Tensor:
    """Target ids that the reduced head proposes, ascending."""
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    return torch.from_numpy(np.array(stored["d2t"].data).view(np.int64).copy())
