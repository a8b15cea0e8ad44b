import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import engine_top, write_corpus, write_target

from specdiff_train.causal_lm.evaluate import evaluate
from specdiff_train.causal_lm.export import export
from specdiff_train.causal_lm.model import CausalNetwork
from specdiff_train.causal_lm.settings import CausalSettings
from specdiff_train.causal_lm.train import CausalTrainer, train
from specdiff_train.diffusion_lm.text import text
from specdiff_train.diffusion_lm.trainer import checkpoint_path
from specdiff_train.storage import write_jsonl


@pytest.fixture
def settings(tmp_path):
    """A toy corpus and target."""
    write_target(tmp_path / "tiny.gguf")
    write_corpus(tmp_path / "work")
    return CausalSettings(
        target=tmp_path / "tiny.gguf",
        corpus=tmp_path / "work" / "corpus",
        answers=tmp_path / "work" / "answers",
        work=tmp_path / "causal",
        output=tmp_path / "toy.gguf",
        text_tokens=2000,
        validation_tokens=500,
        width=32,
        blocks=2,
        heads=2,
        kept_rows=12,
        context=128,
        train_steps=8,
        step_tokens=128,
        lengths=(16, 24),
        block=8,
        warmup_steps=2,
    )


def trained(settings, steps):
    trainer = CausalTrainer(settings, text(settings))
    for _ in range(steps):
        trainer.train_step()
    trainer.save()
    return trainer


def test_resumed_training_equals_an_uninterrupted_one(settings, tmp_path):
    torch.set_num_threads(1)
    whole, parts = (replace(settings, work=tmp_path / name) for name in ("whole", "parts"))
    trained(whole, 6)
    trained(parts, 2)
    trained(parts, 4)
    a, b = (torch.load(checkpoint_path(s), weights_only=True) for s in (whole, parts))
    assert a["step"] == b["step"] == 6
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name]), name


def test_the_loss_is_the_one_of_all_tokens_and_causal(settings):
    """Rows that aren't kept are in the sum too, and what comes later changes nothing."""
    trainer = trained(settings, 3)
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
    row = {"prompt": tokens[:30], "answer": tokens[30:60], "lookup": [], "kind": "code", "language": "python"}
    settings.answers.mkdir()
    write_jsonl(settings.answers / "validation_00000.jsonl", [row | {"package": "toy", "temperature": 0}] * 2)
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
