import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import (
    engine_top,
    language_model_settings,
    resumed_equals_uninterrupted,
    trained,
    write_language_model_answers,
)

from specdiff_train.causal_lm.evaluate import evaluate
from specdiff_train.causal_lm.export import export
from specdiff_train.causal_lm.model import CausalNetwork
from specdiff_train.causal_lm.settings import CausalSettings
from specdiff_train.causal_lm.train import CausalTrainer, train
from specdiff_train.diffusion_lm.text import text


@pytest.fixture
def settings(tmp_path):
    return language_model_settings(CausalSettings, tmp_path)


def test_resumed_training_equals_an_uninterrupted_one(settings, tmp_path):
    resumed_equals_uninterrupted(CausalTrainer, settings, tmp_path)


def test_the_loss_is_the_one_of_all_tokens_and_causal(settings):
    """Rows that aren't kept are in the sum too, and what comes later changes nothing."""
    trainer = trained(CausalTrainer, settings, 3)
    pieces = trainer.text.validation[:60].astype(np.int64).reshape(3, 20)
    model = trainer.whole_model()
    with torch.no_grad():
        logits = model(torch.from_numpy(pieces[:, :-1]))
        logits[..., trainer.mask_id] = -torch.inf
        wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(pieces[:, 1:]).flatten())
        assert float(trainer.losses(pieces, 1).mean()) == pytest.approx(float(wanted), rel=1e-4)
        changed = pieces.copy()
        changed[:, 10:] = 7
        assert torch.equal(model(torch.from_numpy(pieces))[:, :10], model(torch.from_numpy(changed))[:, :10])


def test_the_first_layer_looks_back(settings):
    trainer = CausalTrainer(replace(settings, width=64, heads=1), text(settings))
    model = trainer.model
    ids = torch.from_numpy(trainer.text.train[:40].astype(np.int64))[None]
    block = model.blk[0]
    with torch.no_grad():
        q, k = block.queries_and_keys(block.attn_norm(model.token_embd(ids)), *model.rotation(40))
        scores = (q @ k.transpose(-1, -2) / 8)[0, 0].masked_fill(torch.ones(40, 40).triu(1) > 0, -torch.inf)
    assert float(scores.softmax(-1).diagonal(-1).mean()) > 0.6


def test_train_evaluate_export(settings):
    tokens = text(settings).validation.tolist()
    write_language_model_answers(settings, tokens)
    train(settings)
    evaluate(settings)
    entries = [json.loads(line) for line in (settings.work / "log.jsonl").read_text().splitlines()]
    assert entries[0]["step"] == 0 and entries[-1]["window"] < entries[0]["window"]
    assert json.loads((settings.work / "evaluation.json").read_text())["tau"] >= 1

    export(replace(settings, type="f32"))
    trainer = CausalTrainer(settings, text(settings))
    model = trainer.whole_model()
    assert isinstance(model, CausalNetwork)
    with torch.no_grad():
        wanted = model(torch.tensor([tokens[:40]]))[0].softmax(-1)
    ids, chances = engine_top(settings.output, tokens[:40], 0, 5, 64)
    given = wanted.gather(-1, torch.from_numpy(ids.copy()).long())
    assert torch.allclose(given, torch.from_numpy(chances.copy()), atol=1e-4)
    assert (given[:, 0] >= wanted.max(-1).values - 1e-5).all()


def test_the_command_line_knows_it(settings):
    python = subprocess.run(
        [sys.executable, "-m", "specdiff_train", "causal-lm", "export", "--target", settings.target]
        + ["--work", settings.work],
        capture_output=True,
        text=True,
    )
    assert "run `causal-lm train` first" in python.stderr
