"""What the network starts from: as the diffusion language model's (diffusion_lm/start.py), with biases of q and k where
that one has a shift that all tokens share."""

import torch
from torch import Tensor

from ..diffusion_lm.start import AMPLITUDE, PAIRS, projected
from .model import Block, CausalNetwork, CausalShape, normal, rope_rates


@torch.no_grad()
def initial(
    shape: CausalShape, embedding: Tensor, log_frequency: Tensor, kept: Tensor, generator: torch.Generator
) -> CausalNetwork:
    """A network whose first layer copies the tokens 1..heads places back. Output rows that aren't kept are zero, so
    that they keep the frequency in their bias: log_frequency [V]."""
    network = CausalNetwork(shape)
    network.token_embd.weight.copy_(projected(embedding, shape.width))
    network.output.weight.zero_()
    network.output.weight[kept] = network.token_embd.weight[kept] * 0.02
    network.output.bias.copy_(log_frequency)
    for block in network.blk:
        for part in (block.attn_q, block.attn_k, block.attn_v):
            normal(part.weight, 1, generator)
            part.bias.zero_()
        normal(block.attn_output.weight, 0.3, generator)
        normal(block.ffn_gate.weight, 1, generator)
        normal(block.ffn_up.weight, 1, generator)
        normal(block.ffn_down.weight, 0.3, generator)
    look_back(network.blk[0], shape, generator)
    return network


def look_back(block: Block, shape: CausalShape, generator: torch.Generator) -> None:
    """Make head h attend h + 1 places back and copy a part of what stands there: rotary positions turn the biases of q
    and k into a score of the distance alone."""
    head = shape.width // shape.heads
    half = head // 2
    rates = rope_rates(shape)[:PAIRS]
    basis = torch.linalg.qr(torch.randn(shape.width, shape.width, generator=generator))[0]
    block.attn_q.weight.mul_(0.1)
    block.attn_k.weight.mul_(0.1)
    for index in range(shape.heads):
        rows = slice(index * head, (index + 1) * head)
        angles = rates * (index + 1)
        query, key = block.attn_q.bias[rows], block.attn_k.bias[rows]
        query[:PAIRS] = AMPLITUDE
        key[:PAIRS], key[half : half + PAIRS] = AMPLITUDE * angles.cos(), AMPLITUDE * angles.sin()
        block.attn_v.weight[rows] = basis[rows]
        block.attn_output.weight[:, rows] = basis[rows].T
