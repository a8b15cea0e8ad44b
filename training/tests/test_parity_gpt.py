"""Converted GPT-2 and GPT-Neo in the engine against the reference: every token's log-probability at every position.

llama.cpp's GELU on a CPU is a table over fp16 values: it alone moves logits by over 1e-3 where they spread over some
units. So the large ones are compared with that table in the reference too, where only a value at the edge of two table
entries still differs, and the exact reference with logits that spread over half a unit.
"""

import numpy as np
import pytest
import torch
from checkpoints import VOCAB, write_checkpoint
from native import LENGTHS, causal_log_probabilities

from specdiff_reference import gpt
from specdiff_train.convert.command import convert

exact_gelu = gpt.F.gelu


def table_gelu(x, approximate):
    """What the table holds: input and output rounded to fp16; beyond ±10 it isn't asked."""
    rounded = exact_gelu(x.half().float(), approximate=approximate).half().float()
    return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, rounded))


@pytest.mark.usefixtures("shapes")
@pytest.mark.parametrize("spread, gelu", [(0.5, table_gelu), (0.15, exact_gelu)])
@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo"])
def test_fp32_logits_are_the_reference_s(kind, spread, gelu, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    model = write_checkpoint(tmp_path / "toy", kind, logit_scale=spread)
    convert(tmp_path / "toy", tmp_path / "toy.gguf", "f32")
    generator = torch.Generator().manual_seed(9)
    sequences = [torch.randint(0, VOCAB, (length,), generator=generator).tolist() for length in LENGTHS]
    served = causal_log_probabilities(tmp_path / "toy.gguf", sequences, VOCAB)
    monkeypatch.setattr(gpt.F, "gelu", gelu)
    for length, tokens, ours in zip(LENGTHS, sequences, served, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([tokens]))[0].log_softmax(-1).numpy()
        assert expected.std() > 2 * spread  # not flat, so that an error would show
        difference = np.abs(ours - expected).max(-1)
        print(f"{kind}, {length} tokens, spread {expected.std():.1f}, {gelu.__name__}: up to {difference.max():.1e}")
        assert difference.max() < 1e-3, (length, int(difference.argmax()))
        if gelu is table_gelu and length > 1:
            assert np.median(difference) < 2e-4


def test_local_attention_shows_beyond_its_window(tmp_path):
    """Or the test above would pass without it."""
    torch.set_num_threads(1)
    model = write_checkpoint(tmp_path / "toy", "gpt_neo", logit_scale=0.5)
    tokens = torch.randint(0, VOCAB, (1, 400), generator=torch.Generator().manual_seed(9))
    local = model.transformer.h[1].attn.attention
    with torch.no_grad():
        narrow = model(tokens)[0]
        local.window = 0
        whole = model(tokens)[0]
    assert torch.equal(narrow[:256], whole[:256])
    assert float((narrow - whole)[256:].abs().max()) > 0.02
