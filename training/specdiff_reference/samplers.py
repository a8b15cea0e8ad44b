"""Schedule and samplers of absorbing discrete diffusion, one window of tokens at a time.

With α(t) = e^{−σ(t)} a token is masked at time t with probability 1 − α. All samplers here only ever fill masks.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

EPS = 1e-3
FIRST, LAST = 1.0, 1e-5

Method = Literal["euler", "analytic", "confidence"]
Network = Callable[[Tensor, Tensor], Tensor]


def sigma(t: Tensor) -> Tensor:
    """Total noise of the loglinear schedule, −log(1 − (1−ε)t) (SEDD, appendix C.2)."""
    return -torch.log1p(-(1 - EPS) * t)


def rate(t: Tensor) -> Tensor:
    """dσ/dt."""
    return (1 - EPS) / (1 - (1 - EPS) * t)


def times(steps: int) -> Tensor:
    """T + 1 times from 1 to 1e-5 (float64, so that differences of the small ones are right)."""
    return torch.linspace(FIRST, LAST, steps + 1, dtype=torch.float64)


def window_sigma(ids: Tensor, mask_id: int) -> Tensor:
    """σ of a window by what is masked in it, −ln(1 − fraction) with at most 1 − ε masked; ids [B, T] to [B]."""
    fraction = (ids == mask_id).double().mean(-1).clamp(max=1 - EPS)
    return -torch.log1p(-fraction)


def unmask_share(method: Method, t: Tensor, s: Tensor) -> Tensor:
    """Probability that a mask is filled between times t and s < t, if the network's scores are normalized.

    Analytic: (e^{σt−σs} − 1)/(e^{σt} − 1), Tweedie's step (SEDD, theorem 4.2), which is MDLM's (αs − αt)/(1 − αt)
    (equation 7). Euler: the first-order (t − s)·σ'(t)/(e^{σt} − 1), cut at 1 (SEDD, algorithm 2).
    """
    masked = torch.expm1(sigma(t))
    if method == "euler":
        return ((t - s) * rate(t) / masked).clamp(max=1.0)
    return torch.expm1(sigma(t) - sigma(s)) / masked


def transition(method: Method, probabilities: Tensor, t: Tensor, s: Tensor, mask_id: int) -> Tensor:
    """Distribution of a masked position at time s [..., vocab], the mask among it, of the network's at time t."""
    share = unmask_share(method, t, s).to(probabilities)
    result = probabilities * share
    result[..., mask_id] = 1 - share
    return result


def tempered(probabilities: Tensor, temperature: float) -> Tensor:
    """p^(1/temperature), normalized; at temperature 0 all on the most probable."""
    if temperature == 0:
        return torch.zeros_like(probabilities).scatter(-1, probabilities.argmax(-1, keepdim=True), 1.0)
    if temperature == 1:
        return probabilities
    return (probabilities.log() / temperature).softmax(-1)


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """One sample of every row of [..., vocab]."""
    flat = probabilities.flatten(0, -2)
    return torch.multinomial(flat, 1, generator=generator).view(probabilities.shape[:-1])


@torch.no_grad()
def sample(
    network: Network,
    ids: Tensor,
    mask_id: int,
    steps: int,
    method: Method,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> Tensor:
    """Fill the masks of ids [B, T] in `steps` evaluations of `network` (ids, σ [B]) -> probabilities [B, T, vocab].

    Given tokens, before or after a mask, condition every step and stay. The last evaluation fills what is left with
    the denoiser: a sample of every remaining position's own distribution. `confidence` fills, instead of a random
    share, the positions whose sampled token is the most probable (as MaskGIT does, arXiv 2202.04200, section 3.2).
    """
    grid = times(steps)
    ids = ids.clone()
    for step in range(steps):
        t, s = grid[step], grid[step + 1]
        masked = ids == mask_id
        probabilities = tempered(network(ids, window_sigma(ids, mask_id)), temperature)
        tokens = draw(probabilities, generator)
        if step == steps - 1:
            filled = masked
        elif method == "confidence":
            chance = probabilities.gather(-1, tokens[..., None])[..., 0].masked_fill(~masked, -1.0)
            filled = most_confident(chance, masked, steps - step)
        else:
            share = unmask_share(method, t, s)
            filled = masked & (torch.rand(ids.shape, generator=generator, dtype=torch.float64) < share)
        ids = torch.where(filled, tokens, ids)
    return ids


def most_confident(chance: Tensor, masked: Tensor, steps_left: int) -> Tensor:
    """The share 1/steps_left of the masks (rounded up) with the highest chance; chance and masked are [B, T]."""
    count = -(-masked.sum(-1, keepdim=True) // steps_left)
    ranks = chance.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    return masked & (ranks < count)
