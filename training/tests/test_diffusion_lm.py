import json
import math
import shutil
from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch
from conftest import language_model_settings, resumed_equals_uninterrupted, trained, write_language_model_answers
from gguf.quants import dequantize

from specdiff_reference.ddit import rotate
from specdiff_train.diffusion_lm.evaluate import evaluate
from specdiff_train.diffusion_lm.export import export
from specdiff_train.diffusion_lm.settings import Settings
from specdiff_train.diffusion_lm.take import piece_paths, take, write_pieces
from specdiff_train.diffusion_lm.text import text
from specdiff_train.diffusion_lm.train import DiffusionTrainer, train
from specdiff_train.diffusion_lm.trainer import checkpoint_path
from specdiff_train.diffusion_lm.windows import CountedWindows, drawn, noised
from specdiff_train.vocabulary import Vocabulary


@pytest.fixture
def settings(tmp_path):
    return language_model_settings(Settings, tmp_path)


def test_resumed_training_equals_an_uninterrupted_one(settings, tmp_path):
    resumed_equals_uninterrupted(DiffusionTrainer, settings, tmp_path)


def test_the_bound_is_the_one_of_all_tokens(settings):
    """Rows that aren't kept are in the sum too: against the whole model's softmax over every real token."""
    trainer = trained(DiffusionTrainer, settings, 3)
    pieces = drawn(trainer.text.validation, 6, 16, np.random.default_rng(1))
    windows = noised(pieces, 4, trainer.mask_id, np.random.default_rng(2))
    model = trainer.whole_model()
    with torch.no_grad():
        total, places = trainer.bound(windows)
        chances = model.probabilities(windows.ids, torch.zeros(6))
        losses = -chances.gather(-1, windows.clean[..., None])[..., 0].log()
    masked = windows.weights > 0
    assert (windows.clean[masked].numpy()[:, None] != trainer.kept.numpy()).all(1).any(), "no label outside was tested"
    assert float(total) == pytest.approx(float((losses * windows.weights)[masked].sum()), rel=1e-4)
    assert float(places) == pytest.approx(float(windows.weights.sum()))


def test_noise_masks_what_the_schedule_says():
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, 9, (4000, 24))
    windows = noised(tokens, 8, 99, rng)
    masked = windows.ids == 99
    assert not masked[:, :8].any() and torch.equal(windows.ids[~masked], windows.clean[~masked])
    # t is uniform over [1/16, 1]: on average (1 + 1/16) / 2 are masked, and every place weighs 1.
    assert float(masked[:, 8:].float().mean()) == pytest.approx((1 + 1 / 16) / 2, abs=0.01)
    assert float(windows.weights[:, 8:].mean()) == pytest.approx(1.0, abs=0.02)


def test_counted_windows_count():
    tokens = np.array([1, 2, 1, 3, 1, 2, 4], np.uint16)
    row_of = torch.tensor([-1, 0, 1, 2, -1])
    counted = CountedWindows(tokens, row_of, 3)
    ids, labels = counted.draw(200, 9, np.random.default_rng(0))
    ones = labels[ids[:, 0] == 1]
    assert (ids[:, 1:] == 9).all() and len(ones)
    assert torch.allclose(ones[0], torch.tensor([[0, 2 / 3, 1 / 3], [1, 0, 0], [0, 1 / 2, 1 / 2]]), atol=1e-6)
    assert not labels[ids[:, 0] == 4].any()


def test_the_first_layer_looks_back(settings):
    trainer = DiffusionTrainer(replace(settings, width=64, heads=1), text(settings))
    network = trainer.model.backbone
    block = network.blocks[0]
    ids = torch.from_numpy(trainer.text.train[:40].astype(np.int64))[None]
    with torch.no_grad():
        shift, scale = block.adaLN_modulation(network.condition(torch.zeros(1)))[:, None].chunk(6, -1)[:2]
        packed = block.attn_qkv(block.norm1(network.vocab_embed(ids)) * (1 + scale) + shift)
        q, k, _ = packed.view(1, 40, 3, 1, 64).permute(2, 0, 3, 1, 4)
        angles = torch.outer(torch.arange(40).float(), network.rotary_emb.inv_freq)
        q, k = (rotate(x, angles.cos(), angles.sin()) for x in (q, k))
        attention = (q @ k.transpose(-1, -2) / math.sqrt(64)).softmax(-1)[0]
    assert float(attention[0].diagonal(-1).mean()) > 0.6
    with pytest.raises(SystemExit, match="choose a --width up to that"):
        DiffusionTrainer(replace(settings, width=128), text(settings))


def test_train_evaluate_export(settings, capsys):
    tokens = text(settings).validation.tolist()
    write_language_model_answers(settings, tokens)
    train(settings)
    evaluate(settings)
    entries = [json.loads(line) for line in (settings.work / "log.jsonl").read_text().splitlines()]
    assert entries[0]["step"] == 0 and entries[-1]["step"] == 8 and entries[-1]["window"] > 0
    figures = json.loads((settings.work / "evaluation.json").read_text())
    assert figures["tau, T=1"] >= 1 and figures["tau, T=4"] >= 1
    export(replace(settings, type="f32"))
    assert "mdlm, f32" in capsys.readouterr().out
    reader = gguf.GGUFReader(settings.output)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["mdlm.mask_token_id"] == Vocabulary(settings.target).id_of("<empty_output>")
    assert fields["mdlm.vocab_size"] == len(fields["tokenizer.ggml.tokens"]) == 263
    assert fields["mdlm.time_conditioned"] is False
    assert fields["specdiff.tokenizer.sha256"] == Vocabulary(settings.target).sha256()
    assert json.loads(fields["specdiff.recipe"])["train_steps"] == 8
    state = torch.load(checkpoint_path(settings), weights_only=True)["model"]
    stored = next(t for t in reader.tensors if t.name == "output.weight")
    written = torch.from_numpy(dequantize(stored.data, stored.tensor_type).copy())
    assert torch.equal(written, state["backbone.output_layer.linear.weight"])


def test_pieces_give_the_checkpoint_again(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("specdiff_train.diffusion_lm.take.PIECE_BYTES", 20_000)
    trainer = trained(DiffusionTrainer, settings, 3)
    paths = write_pieces(trainer)
    assert len(paths) > 10 and all(path.stat().st_size <= 20_000 for path in paths)
    there = replace(settings, work=tmp_path / "there", text_folder=settings.work)
    with pytest.raises(SystemExit, match=r"take: no weights-1\.part"):
        take(there)
    there.work.mkdir()
    for path in paths:
        shutil.copy(path, there.work)
    piece_paths(there)[-1].unlink()
    with pytest.raises(SystemExit, match="aren't all there are"):
        take(there)
    shutil.copy(paths[-1], there.work)
    take(there)
    whole, taken = (torch.load(checkpoint_path(one), weights_only=True) for one in (settings, there))
    assert taken.keys() == whole.keys() - {"optimizer"} and taken["recipe"] == whole["recipe"]
    assert taken["model"].keys() == whole["model"].keys()
    for name, value in whole["model"].items():
        assert torch.allclose(taken["model"][name], value, atol=2e-3, rtol=1e-3), name
    head = "backbone.output_layer.linear.weight"
    assert torch.equal(taken["model"][head] == 0, whole["model"][head] == 0)
    again = DiffusionTrainer(there, text(there))
    assert again.step == 3
    assert again.validate()["window"] == pytest.approx(trainer.validate()["window"], abs=0.01)
    export(there)
    assert "mdlm, q8_0" in capsys.readouterr().out


def test_tokens_are_enough_to_train(settings, tmp_path):
    text(settings)
    shutil.rmtree(settings.corpus)
    there = replace(settings, work=tmp_path / "there", text_folder=settings.work)
    assert len(text(there).train) > 2000
    with pytest.raises(SystemExit, match="run the corpus stage first"):
        text(replace(there, text_tokens=1000))
    assert len(text(there).validation) > 500


def test_what_is_missing_is_said(settings):
    with pytest.raises(SystemExit, match="run `diffusion-lm train` first"):
        export(settings)
    (settings.corpus / "train.jsonl").unlink()
    with pytest.raises(SystemExit, match="run the corpus stage first"):
        text(settings)


def test_a_checkpoint_of_another_tokenizer_is_refused(settings):
    trained(DiffusionTrainer, settings, 1)
    state = torch.load(checkpoint_path(settings))
    state["identity"]["tokenizer"] = "0"
    torch.save(state, checkpoint_path(settings))
    with pytest.raises(SystemExit, match="another tokenizer"):
        DiffusionTrainer(settings, text(settings))
