"""Converted SEDD and MDLM in the engine's network against the reference: raw logits at every position."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checkpoints import VOCAB, network, reference, write_checkpoint
from native import LENGTHS, window_logits

from specdiff_reference.ddit import modulate, rotate
from specdiff_reference.samplers import sigma, times, window_sigma
from specdiff_train.convert.command import convert

KINDS = ("sedd", "mdlm")
MASK = VOCAB
ROWS = VOCAB + 1


def window(length, masked, seed):
    """Tokens of which the given share at random places is masked."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, VOCAB, (length,), generator=generator)
    ids[torch.rand(length, generator=generator) < masked] = MASK
    return ids


def logits(kind, model, ids, noise):
    """The reference's rows of one window."""
    with torch.no_grad():
        return model(ids[None], torch.tensor([noise]))[0].numpy()


def frozen_logits(kind, model, ids, noise, frozen):
    """Rows from `frozen` on; the tokens before were evaluated by themselves, only their keys and values stay."""
    net = network(kind, model)
    with torch.no_grad():
        condition = net.condition(torch.tensor([noise if kind == "sedd" else 0.0]))
        angles = torch.outer(torch.arange(len(ids)).float(), net.rotary_emb.inv_freq)
        cos, sin = angles.cos(), angles.sin()
        x = net.vocab_embed(ids[None])
        for block in net.blocks:
            shift1, scale1, gate1, shift2, scale2, gate2 = block.adaLN_modulation(condition)[:, None].chunk(6, -1)
            packed = block.attn_qkv(modulate(block.norm1(x), shift1, scale1))
            q, k, v = packed.view(1, len(ids), 3, block.heads, -1).permute(2, 0, 3, 1, 4)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            before = F.scaled_dot_product_attention(q[:, :, :frozen], k[:, :, :frozen], v[:, :, :frozen])
            after = F.scaled_dot_product_attention(q[:, :, frozen:], k, v)
            x = x + gate1 * block.attn_out(torch.cat([before, after], 2).transpose(1, 2).flatten(2))
            x = x + gate2 * block.mlp(modulate(block.norm2(x), shift2, scale2))
        return net.output_layer(x, condition)[0, frozen:].numpy()


@pytest.mark.usefixtures("shapes")
@pytest.mark.parametrize("kind", KINDS)
def test_every_position_of_every_length(kind, tmp_path):
    torch.set_num_threads(1)
    model = write_checkpoint(tmp_path / "toy", kind)
    convert(tmp_path / "toy", tmp_path / "toy.gguf", "f32")
    windows = [window(length, 0.4, length) for length in LENGTHS]
    noise = [round(float(window_sigma(ids[None], MASK)), 6) for ids in windows]
    lines = [(s, 0, 0, ids.tolist()) for s, ids in zip(noise, windows, strict=True)]
    served = window_logits(tmp_path / "toy.gguf", lines, ROWS)
    for ids, s, ours in zip(windows, noise, served, strict=True):
        expected = logits(kind, model, ids, s)
        assert expected.std() > 0.5
        difference = np.abs(ours - expected).max(-1)
        print(f"{kind}, {len(ids)} tokens: up to {difference.max():.2e}")
        assert difference.max() < 1e-3, (len(ids), int(difference.argmax()))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_every_step(kind, tmp_path):
    """σ at all times of 1 to 16 steps; MDLM without time conditioning must not read it."""
    model = write_checkpoint(tmp_path / "toy", kind)
    convert(tmp_path / "toy", tmp_path / "toy.gguf", "f32")
    ids = window(12, 0.5, 3)
    noise = sorted({round(float(s), 6) for steps in (1, 2, 4, 16) for s in sigma(times(steps))})
    served = window_logits(tmp_path / "toy.gguf", [(s, 0, 0, ids.tolist()) for s in noise], ROWS)
    for s, ours in zip(noise, served, strict=True):
        assert np.abs(ours - logits(kind, model, ids, s)).max() < 1e-3, s
    spread = max(np.abs(ours - served[0]).max() for ours in served)
    assert spread == 0 if kind == "mdlm" else spread > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_prefix(kind, tmp_path):
    model = write_checkpoint(tmp_path / "toy", kind)
    convert(tmp_path / "toy", tmp_path / "toy.gguf", "f32")
    cases = [(40, 24), (272, 256), (1024, 1008), (17, 1)]
    windows = [window(length, 0.3, length) for length, _ in cases]
    lines = [(0.7, frozen, frozen, ids.tolist()) for ids, (_, frozen) in zip(windows, cases, strict=True)]
    served = window_logits(tmp_path / "toy.gguf", lines, ROWS)
    for ids, (length, frozen), ours in zip(windows, cases, served, strict=True):
        difference = np.abs(ours - frozen_logits(kind, model, ids, 0.7, frozen)).max()
        print(f"{kind}, {length} tokens, {frozen} frozen: up to {difference:.2e}")
        assert difference < 1e-3, (length, frozen)
        assert np.abs(ours - logits(kind, model, ids, 0.7)[frozen:]).max() > 1e-2  # a different function


@pytest.mark.parametrize("type_name, most", [("f16", 0.02), ("q8_0", 0.1), ("q4_0", 1.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_quantized_logits_are_near(kind, type_name, most, tmp_path):
    """The mean difference, in logits whose spread is some units; what a type costs in τ is measured elsewhere."""
    model = write_checkpoint(tmp_path / "toy", kind)
    convert(tmp_path / "toy", tmp_path / "toy.gguf", type_name)
    ids = window(64, 0.4, 5)
    ours = window_logits(tmp_path / "toy.gguf", [(0.5, 0, 0, ids.tolist())], ROWS)[0]
    difference = np.abs(ours - logits(kind, model, ids, 0.5)).mean()
    print(f"{kind}, {type_name}: {difference:.4f} on average")
    assert difference < most


def test_reference_without_freezing_is_the_same():
    for kind in KINDS:
        model, _ = reference(kind)
        ids = window(20, 0.4, 1)
        assert np.abs(frozen_logits(kind, model, ids, 0.7, 0) - logits(kind, model, ids, 0.7)).max() < 1e-4
