import json

import gguf
import numpy as np
import pytest
import torch
from checkpoints import KINDS, VOCAB, published, reference, write_checkpoint, write_safetensors
from gguf.quants import dequantize

from specdiff_train.convert.command import convert
from specdiff_train.vocabulary import Vocabulary


def read(path):
    reader = gguf.GGUFReader(path)
    tensors = {
        t.name: torch.from_numpy(np.array(dequantize(t.data, t.tensor_type), np.float32)) for t in reader.tensors
    }
    return {name: field.contents() for name, field in reader.fields.items()}, tensors


def damaged(folder, kind, change):
    """A checkpoint whose tensors were changed by a function."""
    folder.mkdir(exist_ok=True)
    model = write_checkpoint(folder, kind)
    tensors = published(kind, model)
    change(tensors)
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_both_formats_give_the_same_file(kind, tmp_path):
    for form in ("safetensors", "bin"):
        write_checkpoint(tmp_path / form / "toy", kind, form)
        convert(tmp_path / form / "toy", tmp_path / f"{form}.gguf", "f32")
    assert (tmp_path / "safetensors.gguf").read_bytes() == (tmp_path / "bin.gguf").read_bytes()


@pytest.mark.parametrize("kind", ["sedd", "mdlm"])
def test_diffusion_models_follow_the_contract(kind, tmp_path):
    model = write_checkpoint(tmp_path / "toy", kind)
    convert(tmp_path / "toy", tmp_path / "toy.gguf", "f32")
    fields, tensors = read(tmp_path / "toy.gguf")
    assert fields["general.architecture"] == kind
    expected = {"context_length": 1024, "embedding_length": 64, "block_count": 2, "attention.head_count": 2}
    expected |= {"feed_forward_length": 256, "condition_length": 32, "frequency_length": 256}
    expected |= {"time_conditioned": kind == "sedd", "vocab_size": VOCAB + 1, "mask_token_id": VOCAB}
    for key, value in expected.items():
        assert fields[f"{kind}.{key}"] == value, key
    assert fields[f"{kind}.rope.freq_base"] == 10000
    assert fields[f"{kind}.attention.layer_norm_epsilon"] == pytest.approx(1e-5)
    assert fields["specdiff.tokenizer.sha256"] == Vocabulary(tmp_path / "toy.gguf").sha256()
    assert len(fields["tokenizer.ggml.tokens"]) == VOCAB
    network = model.backbone if kind == "mdlm" else model
    assert torch.equal(tensors["blk.1.modulation.weight"], network.blocks[1].adaLN_modulation.weight)
    assert torch.equal(tensors["time.1.bias"], network.sigma_map.mlp[2].bias)
    assert torch.equal(tensors["output.weight"], network.output_layer.linear.weight)
    assert len(tensors) == 10 + 2 * 10


def test_gpt2_is_transposed(tmp_path):
    model = write_checkpoint(tmp_path / "toy", "gpt2")
    convert(tmp_path / "toy", tmp_path / "toy.gguf", "f32")
    fields, tensors = read(tmp_path / "toy.gguf")
    assert fields["gpt2.context_length"] == 1024
    assert torch.equal(tensors["blk.1.ffn_up.weight"], model.h[1].mlp.c_fc.weight.T)
    assert fields["tokenizer.ggml.merges"] == ["h e", "t h", "i n"]


def test_gpt_neo_says_how_far_each_layer_sees(tmp_path):
    model = write_checkpoint(tmp_path / "toy", "gpt_neo")
    convert(tmp_path / "toy", tmp_path / "toy.gguf", "f32")
    fields, tensors = read(tmp_path / "toy.gguf")
    assert fields["general.architecture"] == "gptneo"
    assert fields["gptneo.attention.windows"] == [0, 256, 0, 256]
    assert fields["gpt2.context_length"] == 1024
    assert tensors["position_embd.weight"].shape == (1024, 64)
    attention = model.transformer.h[0].attn.attention
    scaled = attention.q_proj.weight * 32**0.5
    assert torch.allclose(tensors["blk.0.attn_qkv.weight"][:64], scaled)
    assert not tensors["blk.0.attn_qkv.bias"].any()


@pytest.mark.parametrize("type_name", ["f16", "q8_0", "q4_0"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_types_are_near(kind, type_name, tmp_path):
    write_checkpoint(tmp_path / "toy", kind)
    values = []
    for name in ("f32", type_name):
        convert(tmp_path / "toy", tmp_path / f"{name}.gguf", name)
        values.append(read(tmp_path / f"{name}.gguf")[1])
    for name, value in values[0].items():
        error = float((values[1][name] - value).norm() / value.norm().clamp(min=1e-9))
        assert error <= (0 if value.ndim == 1 else {"f16": 1e-3, "q8_0": 0.01, "q4_0": 0.15}[type_name]), name


def test_tokenizer_json_is_the_same_tokenizer(tmp_path):
    write_checkpoint(tmp_path / "toy", "gpt2")
    convert(tmp_path / "toy", tmp_path / "two.gguf", "f32")
    folder = tmp_path / "toy"
    vocab = json.loads((folder / "vocab.json").read_text())
    end = {"content": "<|endoftext|>", "id": vocab.pop("<|endoftext|>")}
    model = {"vocab": vocab, "merges": [["h", "e"], ["t", "h"], ["i", "n"]]}
    stored = {"model": model, "added_tokens": [end], "pre_tokenizer": {"type": "ByteLevel"}}
    (folder / "vocab.json").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    convert(folder, tmp_path / "one.gguf", "f32")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()
    stored["pre_tokenizer"]["type"] = "Whitespace"
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    with pytest.raises(SystemExit, match="only GPT-2's ByteLevel"):
        convert(folder, tmp_path / "no.gguf", "f32")


NAMES = {
    "sedd": "blocks.1.attn_out.weight",
    "mdlm": "backbone.blocks.1.attn_out.weight",
    "gpt2": "h.1.mlp.c_fc.weight",
    "gpt_neo": "transformer.h.1.attn.attention.q_proj.weight",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_tensor_is_named(kind, tmp_path):
    name = NAMES[kind]
    shown = name.removeprefix("backbone.").removeprefix("transformer.")

    def refused(change, message):
        with pytest.raises(SystemExit, match=message):
            convert(damaged(tmp_path / "toy", kind, change), tmp_path / "no.gguf", "f32")
        assert not (tmp_path / "no.gguf").exists()

    refused(lambda tensors: tensors.pop(name), f"has no tensor {shown}")
    refused(lambda tensors: tensors.update({name: tensors[name][:, :-1]}), rf"tensor {shown} has the shape \[")
    refused(lambda tensors: tensors[name].view(-1)[5:6].fill_(torch.nan), f"tensor {shown} holds values that are not")
    refused(lambda tensors: tensors.update({name + "x": tensors[name]}), f"has tensor {shown}x, for which")


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_a_file_that_is_cut_off(form, tmp_path):
    write_checkpoint(tmp_path / "toy", "gpt2", form)
    path = next((tmp_path / "toy").glob(f"*.{form}"))
    whole = path.read_bytes()
    for size in (0, 4, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(SystemExit, match="damaged"):
            convert(tmp_path / "toy", tmp_path / "no.gguf", "f32")


def test_a_tensor_beyond_the_end_is_named(tmp_path):
    write_checkpoint(tmp_path / "toy", "gpt2")
    path = tmp_path / "toy" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SystemExit, match=r"tensor \S+ ends beyond"):
        convert(tmp_path / "toy", tmp_path / "no.gguf", "f32")


class Attack:
    """Writes a file when it is unpickled by a loader that runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_an_attack_is_not_run(tmp_path):
    write_checkpoint(tmp_path / "toy", "gpt2", "bin")
    torch.save({"wte.weight": Attack(tmp_path / "run")}, tmp_path / "toy" / "pytorch_model.bin")
    with pytest.raises(SystemExit, match="was not run"):
        convert(tmp_path / "toy", tmp_path / "no.gguf", "f32")
    assert not (tmp_path / "run").exists()


def test_a_wrong_config_is_refused(tmp_path):
    for kind, change, message in (
        ("gpt2", {"n_head": 3}, "64 hidden values to 3 heads"),
        ("gpt2", {"n_layer": 3}, "has no tensor h.2."),
        ("gpt2", {"n_layer": 1}, "has tensor h.1."),
        ("gpt2", {"n_embd": "64"}, "positive whole number as n_embd, not '64'"),
        ("gpt2", {"activation_function": "relu"}, "activation_function 'relu'"),
        ("gpt2", {"model_type": "bert"}, "model_type 'bert'"),
        ("gpt2", {"vocab_size": VOCAB - 1}, "tensor wte.weight has the shape"),
        ("gpt_neo", {"attention_types": [[["global"], 3]]}, "attention of 3 layers"),
        ("gpt_neo", {"attention_types": 5}, "lists of kinds"),
        ("sedd", {"graph": {"type": "uniform"}}, "type 'uniform'"),
        ("sedd", {"model": None}, "an object as model"),
        ("mdlm", {"cond_dim": 16}, "tensor sigma_map.mlp.0.weight has the shape"),
    ):
        folder = tmp_path / "toy"
        write_checkpoint(folder, kind)
        config = reference(kind)[1] | change
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(SystemExit, match=message):
            convert(folder, tmp_path / "no.gguf", "f32")
    (folder / "config.json").write_text("{")
    with pytest.raises(SystemExit, match="is no JSON"):
        convert(folder, tmp_path / "no.gguf", "f32")


def test_a_tokenizer_of_another_size_is_refused(tmp_path):
    write_checkpoint(tmp_path / "toy", "gpt2")
    path = tmp_path / "toy" / "vocab.json"
    vocab = json.loads(path.read_text())
    path.write_text(json.dumps(vocab | {"more": len(vocab)}))
    with pytest.raises(SystemExit, match="give the tokenizer that it was trained with"):
        convert(tmp_path / "toy", tmp_path / "no.gguf", "f32")


def test_a_checkpoint_in_parts(tmp_path):
    model = write_checkpoint(tmp_path / "toy", "gpt2")
    convert(tmp_path / "toy", tmp_path / "one.gguf", "f32")
    (tmp_path / "toy" / "model.safetensors").unlink()
    tensors = published("gpt2", model)
    names = sorted(tensors)
    parts = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
    for file, own in parts.items():
        write_safetensors(tmp_path / "toy" / file, {name: tensors[name] for name in own})
    index = {"weight_map": {name: file for file, own in parts.items() for name in own}}
    (tmp_path / "toy" / "model.safetensors.index.json").write_text(json.dumps(index))
    convert(tmp_path / "toy", tmp_path / "parts.gguf", "f32")
    assert (tmp_path / "parts.gguf").read_bytes() == (tmp_path / "one.gguf").read_bytes()
    (tmp_path / "toy" / "b.safetensors").unlink()
    with pytest.raises(SystemExit, match="b.safetensors is missing"):
        convert(tmp_path / "toy", tmp_path / "no.gguf", "f32")
