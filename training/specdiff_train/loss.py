"""The training loss: hard and soft cross-entropy, each slot weighted by what it adds to the accepted length."""

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING = 0.5
SOFT_SHARE = 0.5


def drafting_loss(
    logits: Tensor, labels: Tensor, soft_index: Tensor, soft_p: Tensor, decay: float, kind: str
) -> Tensor:
    """Mean over N blocks of S slots; soft and hard parts half each (VAT, arXiv 2608.30135).

    logits [N, S, W] over the draft vocabulary; labels [N, S] rows of it, negative where the target's token isn't in it
    or lies beyond the answer; soft_index [N, S, K] rows of it (-1 outside) and soft_p [N, S, K] the target's
    probabilities. `kind`: "vat" or "dpace", see the weights; "decay", DFlash's exp(-slot/decay) alone (arXiv
    2602.06036); "chain", that and the slots that are right in a row, as the drafter's own probabilities expect them.
    """
    log_q = F.log_softmax(logits, -1)
    known = labels >= 0
    hard = log_q.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    inside = soft_index >= 0
    p = soft_p * inside
    # Renormalised over what the draft vocabulary holds of the target's top tokens.
    p = p / p.sum(-1, keepdim=True).clamp(min=1e-6)
    soft = (p * log_q.gather(-1, soft_index.clamp(min=0))).sum(-1)
    with torch.no_grad():
        if kind == "vat":
            weight = vat_weights(logits.argmax(-1) == labels, decay) * known
        elif kind == "dpace":
            weight = dpace_weights(torch.where(known, hard.exp(), 0.0), decay) * known
        else:
            weight = decay_weights(hard, decay) * known
    each = -((1 - SOFT_SHARE) * hard + SOFT_SHARE * soft)
    loss = (each * weight).sum() / weight.sum().clamp(min=1e-6)
    return loss - expected_length(hard, known) if kind == "chain" else loss


def expected_length(log_q: Tensor, known: Tensor) -> Tensor:
    """Slots that are right in a row, of the labels' log-probabilities [N, S], a slot of all; mean over the blocks."""
    return torch.where(known, log_q.exp(), 0.0).cumprod(-1).mean()


def vat_weights(accepted: Tensor, decay: float) -> Tensor:
    """VAT (arXiv 2608.30135): 1 up to the first rejected slot of [N, S], from there on DFlash's decay starts anew."""
    slots = torch.arange(accepted.shape[1], device=accepted.device)
    rejection = accepted.long().cumprod(-1).sum(-1, keepdim=True)
    return torch.exp(-(slots - rejection).clamp(min=0) / decay)


def dpace_weights(q: Tensor, decay: float, smoothing: float = SMOOTHING) -> Tensor:
    """D-PACE (arXiv 2605.18810): w_j = sum over m >= j of prod_{i <= m} ((1-a) q_i + a), times exp(-j/decay)."""
    path = ((1 - smoothing) * q + smoothing).cumprod(-1)
    weight = path.flip(-1).cumsum(-1).flip(-1)
    return weight * decay_weights(q, decay)


def decay_weights(slots: Tensor, decay: float) -> Tensor:
    """DFlash's (arXiv 2602.06036): exp(-slot/decay) for each slot of [N, S]."""
    return torch.exp(-torch.arange(slots.shape[1], device=slots.device) / decay)
