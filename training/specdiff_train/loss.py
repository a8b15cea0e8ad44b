"""The training loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING = 0.5
SOFT_SHARE = 0.5


def drafting_loss(
    logits: Tensor, labels: Tensor, soft_index: Tensor, soft_p: Tensor, decay: float, smoothing: float = SMOOTHING
) -> Tensor:
    """Hard and soft cross-entropy, each slot weighted by what it adds to the accepted length.

    logits [N, S, W] over the draft vocabulary; labels [N, S] rows of it, negative where the target's token isn't in it
    or lies beyond the answer; soft_index [N, S, K] rows of it (-1 outside) and soft_p [N, S, K] the target's
    probabilities.
    Weights: D-PACE (arXiv 2605.18810), w_j = sum over m >= j of prod_{i <= m} ((1-a) q_i + a), detached, times
    exp(-j/decay) of DFlash (arXiv 2602.06036); soft and hard parts as in VAT (arXiv 2608.30135).
    """
    slots = logits.shape[1]
    log_q = F.log_softmax(logits, -1)
    known = labels >= 0
    hard = log_q.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    inside = soft_index >= 0
    p = soft_p * inside
    # Renormalised over what the draft vocabulary holds of the target's top tokens.
    p = p / p.sum(-1, keepdim=True).clamp(min=1e-6)
    soft = (p * log_q.gather(-1, soft_index.clamp(min=0))).sum(-1)
    with torch.no_grad():
        q = torch.where(known, hard.exp(), torch.zeros_like(hard))
        path = ((1 - smoothing) * q + smoothing).cumprod(-1)
        weight = path.flip(-1).cumsum(-1).flip(-1)
        weight = weight * torch.exp(-torch.arange(slots, device=logits.device) / decay) * known
    each = -((1 - SOFT_SHARE) * hard + SOFT_SHARE * soft)
    return (each * weight).sum() / weight.sum().clamp(min=1e-6)
