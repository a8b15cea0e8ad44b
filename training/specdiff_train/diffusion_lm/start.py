"""What the network starts from: the target's embedding in fewer dimensions, and heads that look at the last tokens.

A short training can afford neither to learn which tokens are alike nor to find the token before: both are given.
"""

import math
from pathlib import Path

import numpy as np
import torch
from gguf.quants import dequantize
from torch import Tensor

from specdiff_reference.ddit import DditShape, Mdlm

from ..opened import opened

# Rotary pairs that carry a position, the amplitude of each and the shift that all tokens share: the score at the
# wanted distance is then five above its neighbours', and a token's own content moves it by an eighth.
PAIRS, AMPLITUDE, SHIFT = 6, 6.2, 8.0


def target_embedding(path: Path) -> Tensor:
    """The target's token embedding [V, d], dequantized."""
    stored = next(t for t in opened(path).tensors if t.name == "token_embd.weight")
    return torch.from_numpy(np.array(dequantize(stored.data, stored.tensor_type), np.float32))


def projected(embedding: Tensor, width: int) -> Tensor:
    """The embedding's main components, [V, width], of root mean square 1."""
    if width > embedding.shape[1]:
        raise SystemExit(f"diffusion-lm: the target is {embedding.shape[1]} wide; choose a --width up to that.")
    centred = embedding - embedding.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    result = centred @ directions[:, -width:]
    return result / result.pow(2).mean().sqrt()


def initial(
    shape: DditShape, embedding: Tensor, log_frequency: Tensor, kept: Tensor, generator: torch.Generator
) -> Mdlm:
    """A network whose first layer copies the tokens 1..heads places back. Output rows that aren't kept are zero, so
    that they keep the frequency in their bias: log_frequency [V]."""
    torch.manual_seed(int(torch.randint(1 << 31, (1,), generator=generator)))
    model = Mdlm(shape)
    network, width = model.backbone, shape.width
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    network.vocab_embed.embedding.copy_(projected(embedding, width))
    network.vocab_embed.embedding[shape.mask_id] = torch.randn(width, generator=generator)
    head = network.output_layer
    head.linear.weight.zero_()
    head.linear.weight[kept] = network.vocab_embed.embedding[kept] * 0.02
    head.linear.bias.copy_(log_frequency)
    head.adaLN_modulation.weight.zero_()
    head.adaLN_modulation.bias.zero_()
    for block in network.blocks:
        block.adaLN_modulation.weight.zero_()
        block.adaLN_modulation.bias.zero_()
        block.adaLN_modulation.bias.view(6, width)[[2, 5]] = 1.0  # gates: open from the start
        torch.nn.init.normal_(block.attn_qkv.weight, 0, 1 / math.sqrt(width), generator=generator)
        torch.nn.init.normal_(block.attn_out.weight, 0, 0.3 / math.sqrt(width), generator=generator)
        torch.nn.init.normal_(block.mlp[0].weight, 0, 1 / math.sqrt(width), generator=generator)
        torch.nn.init.normal_(block.mlp[2].weight, 0, 0.3 / math.sqrt(4 * width), generator=generator)
        block.mlp[0].bias.zero_()
        block.mlp[2].bias.zero_()
    look_back(network.blocks[0], shape, generator)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def look_back(block: torch.nn.Module, shape: DditShape, generator: torch.Generator) -> None:
    """Make head h attend h + 1 places back and copy a part of what stands there: all tokens share a shift that the
    queries and keys read, and rotary positions turn it into a score of the distance alone."""
    head = shape.width // shape.heads
    half = head // 2
    rates = shape.rope_base ** (-torch.arange(0, head, 2).float() / head)[:PAIRS]
    shared = torch.randn(shape.width, generator=generator)
    shared /= shared.norm()
    block.adaLN_modulation.bias.view(6, shape.width)[0] = SHIFT * shared
    basis = torch.linalg.qr(torch.randn(shape.width, shape.width, generator=generator))[0]
    q, k, v = block.attn_qkv.weight.view(3, shape.heads, head, shape.width)
    q.mul_(0.1)
    k.mul_(0.1)
    for index in range(shape.heads):
        angles = rates * (index + 1)
        query, key = torch.zeros(head), torch.zeros(head)
        query[:PAIRS] = AMPLITUDE
        key[:PAIRS], key[half : half + PAIRS] = AMPLITUDE * angles.cos(), AMPLITUDE * angles.sin()
        q[index] += torch.outer(query, shared) / SHIFT
        k[index] += torch.outer(key, shared) / SHIFT
        part = basis[index * head : (index + 1) * head]
        v[index] = part
        block.attn_out.weight[:, index * head : (index + 1) * head] = part.T
