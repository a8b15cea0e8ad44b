"""The reference models and samplers against their definitions."""

import math

import pytest
import torch
from checkpoints import KINDS, VOCAB, network, reference

from specdiff_reference.ddit import Sedd
from specdiff_reference.samplers import (
    EPS,
    most_confident,
    sample,
    sigma,
    times,
    transition,
    unmask_share,
    window_sigma,
)

MASK = VOCAB


def ids_of(length, seed=0):
    return torch.randint(0, VOCAB, (1, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo"])
def test_causal_models_do_not_see_ahead(kind):
    model, _ = reference(kind)
    ids = ids_of(40)
    with torch.no_grad():
        assert torch.allclose(model(ids)[:, :20], model(ids[:, :20]), atol=1e-4)


def test_gpt_neo_local_layers_see_their_window_only():
    model, _ = reference("gpt_neo")
    local = model.transformer.h[1].attn.attention
    x = torch.randn(1, 300, 64, generator=torch.Generator().manual_seed(1))
    changed = x.clone()
    changed[:, 0] += 1
    with torch.no_grad():
        difference = (local(x) - local(changed)).abs().amax(-1)[0]
    assert difference[255] > 0 and difference[256:].max() == 0


def test_sedd_scores():
    model, _ = reference("sedd")
    assert isinstance(model, Sedd)
    ids, noise = ids_of(9), torch.tensor([0.7])
    ids[0, 4] = MASK
    with torch.no_grad():
        logits, scores, chances = model(ids, noise), model.log_score(ids, noise), model.probabilities(ids, noise)
    assert torch.equal(scores.gather(-1, ids[..., None]), torch.zeros(1, 9, 1))
    expected = logits[0, 4, 3] - math.log(math.expm1(0.7)) - math.log(VOCAB)
    assert scores[0, 4, 3] == pytest.approx(float(expected), abs=1e-4)
    # The constants cancel: scores over real tokens, normalized, are the softmax of the logits.
    assert torch.allclose(scores[0, 4, :MASK].softmax(-1), chances[0, 4, :MASK], atol=1e-6)
    with torch.no_grad():
        other = model(ids, torch.tensor([0.2]))
    assert (other - logits).abs().max() > 1e-3


def test_mdlm_without_time_does_not_read_sigma_and_keeps_given_tokens():
    model, _ = reference("mdlm")
    ids = ids_of(9)
    ids[0, 4] = MASK
    with torch.no_grad():
        a, b = (model.probabilities(ids, torch.tensor([value])) for value in (0.1, 3.0))
        model.time_conditioned = True
        c = model.probabilities(ids, torch.tensor([3.0]))
    assert torch.equal(a, b) and not torch.allclose(a[0, 4], c[0, 4])
    assert a[0, 4, MASK] == 0 and a[0, 3].argmax() == ids[0, 3] and a[0, 3].max() == 1


def test_names_are_the_published_ones():
    names = {kind: set(reference(kind)[0].state_dict()) for kind in KINDS}
    block = {
        "norm1.weight",
        "attn_qkv.weight",
        "attn_out.weight",
        "norm2.weight",
        *(f"mlp.{i}.{p}" for i in (0, 2) for p in ("weight", "bias")),
        "adaLN_modulation.weight",
        "adaLN_modulation.bias",
    }
    outside = {"vocab_embed.embedding", "rotary_emb.inv_freq", "output_layer.norm_final.weight"}
    outside |= {f"sigma_map.mlp.{i}.{p}" for i in (0, 2) for p in ("weight", "bias")}
    outside |= {f"output_layer.{part}.{p}" for part in ("linear", "adaLN_modulation") for p in ("weight", "bias")}
    sedd = outside | {f"blocks.{i}.{name}" for i in range(2) for name in block}
    assert names["sedd"] == sedd
    assert names["mdlm"] == {f"backbone.{name}" for name in sedd}
    assert {"wte.weight", "wpe.weight", "h.0.attn.c_attn.weight", "h.1.mlp.c_proj.bias", "ln_f.bias"} <= names["gpt2"]
    assert {"transformer.h.3.attn.attention.out_proj.bias", "transformer.wpe.weight"} <= names["gpt_neo"]


def test_the_schedule():
    grid = times(4)
    assert grid[0] == 1 and grid[-1] == pytest.approx(1e-5) and len(grid) == 5
    assert torch.allclose(1 - torch.exp(-sigma(grid)), (1 - EPS) * grid)
    # Tweedie's step is the exact reverse: what two half steps fill is what one whole step fills.
    t, m, s = grid[1], grid[2], grid[3]
    halves = 1 - (1 - unmask_share("analytic", t, m)) * (1 - unmask_share("analytic", m, s))
    assert torch.allclose(halves, unmask_share("analytic", t, s))
    # Euler's is of first order: it approaches it as steps become short.
    errors = [
        abs(float(unmask_share("euler", t, t - step) / unmask_share("analytic", t, t - step)) - 1)
        for step in (0.2, 0.02)
    ]
    assert errors[1] < 0.2 * errors[0] + 1e-9
    row = transition("analytic", torch.tensor([[0.25, 0.75, 0.0]]), t, s, 2)
    assert row.sum() == pytest.approx(1) and row[0, 2] > 0


def test_window_sigma():
    ids = torch.tensor([[MASK, 1, 2, 3], [MASK] * 4])
    assert window_sigma(ids, MASK)[0] == pytest.approx(-math.log(0.75))
    assert torch.isfinite(window_sigma(ids, MASK)).all()


@pytest.mark.parametrize("method", ["euler", "analytic", "confidence"])
def test_samplers_fill_masks_only_and_repeat_with_a_seed(method):
    model, _ = reference("mdlm")
    ids = ids_of(24)
    ids[0, 8:20] = MASK
    runs = [sample(model.probabilities, ids, MASK, 4, method, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    for run in runs:
        assert (run != MASK).all()
        assert torch.equal(run[0, :8], ids[0, :8]) and torch.equal(run[0, 20:], ids[0, 20:])


def test_confidence_fills_the_surest_first():
    chance = torch.tensor([[0.1, 0.9, 0.5, -1.0]])
    masked = torch.tensor([[True, True, True, False]])
    assert most_confident(chance, masked, 3).tolist() == [[False, True, False, False]]
    assert most_confident(chance, masked, 2).tolist() == [[False, True, True, False]]
    assert most_confident(chance, masked, 1).tolist() == [[True, True, True, False]]


@pytest.mark.parametrize("method", ["euler", "analytic", "confidence"])
def test_independent_positions_keep_their_distribution(method):
    """Where a position's distribution does not depend on the others, any order of unmasking that is not chosen by the
    drawn tokens gives it exactly: chi-square over 4,000 windows. Confidence chooses by them, and prefers the likely."""
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    ids = torch.full((4000, 3), 4)

    def fixed(ids, _):
        return chances.expand(*ids.shape, 5).clone()

    result = sample(fixed, ids, 4, 3, method, torch.Generator().manual_seed(3))
    counts = torch.bincount(result.flatten(), minlength=5)[:4].double()
    expected = chances[:4].double() * result.numel()
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    # 99.99 % of the distribution with three degrees of freedom.
    if method == "confidence":
        assert counts[0] > expected[0] and chi_square > 21.1
    else:
        assert chi_square < 21.1


def test_at_temperature_zero_the_denoiser_takes_the_best():
    model, _ = reference("sedd")
    ids = ids_of(12)
    ids[0, 6:] = MASK
    result = sample(model.probabilities, ids, MASK, 1, "analytic", torch.Generator().manual_seed(0), temperature=0)
    with torch.no_grad():
        best = model.probabilities(ids, window_sigma(ids, MASK)).argmax(-1)
    assert torch.equal(result[0, 6:], best[0, 6:])
    assert network("sedd", model) is model
