"""Small seeded checkpoints as they are published, through the converter and the engine, against PyTorch."""

import json
import pickle
import sys

import numpy as np
import pytest
import torch
from conftest import byte_symbols, engine_top
from safetensors.torch import save_file

from specdiff_convert.__main__ import convert
from specdiff_reference.gpt2 import Gpt2
from specdiff_reference.gpt_neo import GptNeo
from specdiff_train import engine

WIDTH, HEADS, LAYERS, CONTEXT = 64, 4, 4, 1024
TOKENS = ["<|endoftext|>", *byte_symbols(), "he", "th"]
SIZES = {
    "gpt2": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT},
    "gpt_neo": {
        **{"hidden_size": WIDTH, "num_layers": LAYERS, "num_heads": HEADS, "max_position_embeddings": CONTEXT},
        **{"window_size": 256, "attention_types": [[["global", "local"], LAYERS // 2]]},
    },
}
REFERENCES = {"gpt2": Gpt2, "gpt_neo": GptNeo}


def reference(architecture):
    torch.manual_seed(7)
    model = REFERENCES[architecture](len(TOKENS), CONTEXT, WIDTH, LAYERS, HEADS).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    # Norms that are not all alike, and embeddings small enough that positions and layers count.
    for name, parameter in model.named_parameters():
        if ".ln_" in name or name.startswith("ln_"):
            parameter += 0.2 * torch.randn_like(parameter)
    model.wte.weight *= 0.4
    model.wpe.weight *= 0.4
    return model


def write(folder, architecture, form="safetensors", prefix="transformer.", tokenizer="vocab"):
    folder.mkdir(parents=True)
    model = reference(architecture)
    tensors = {prefix + name: value.contiguous() for name, value in model.state_dict().items()}
    # What published files hold besides: masks, and the head again.
    attention = "attn" if architecture == "gpt2" else "attn.attention"
    tensors[f"{prefix}h.0.{attention}.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    tensors["lm_head.weight"] = model.wte.weight.clone()
    if form == "safetensors":
        save_file(tensors, folder / "model.safetensors")
    else:
        torch.save(tensors, folder / "pytorch_model.bin")
    config = {"model_type": architecture, "vocab_size": len(TOKENS), **SIZES[architecture]}
    (folder / "config.json").write_text(json.dumps(config))
    ids = {token: index for index, token in enumerate(TOKENS)}
    if tokenizer == "vocab":
        (folder / "vocab.json").write_text(json.dumps(ids))
        (folder / "merges.txt").write_text("#version: 0.2\nh e\nt h\n")
    else:
        whole = {"model": {"type": "BPE", "vocab": ids, "merges": [["h", "e"], ["t", "h"]]}, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(whole))
    return model


def engine_log_p(path, tokens, context):
    """[T, V] log-probabilities by the engine."""
    ids, p = engine_top(path, tokens, 0, len(TOKENS), context)
    result = np.zeros_like(p)
    np.put_along_axis(result, ids.astype(np.int64), np.log(p), 1)
    return result


@pytest.fixture(scope="module")
def built():
    engine.build()


# llama.cpp computes GELU from a table of halves and keeps keys and values as halves: 0.0008 on average, 0.006 at most.
TOLERANCE = 0.01


@pytest.mark.parametrize(("architecture", "lengths"), [("gpt2", (1, 7, 256, 1024)), ("gpt_neo", (1, 7, 256))])
def test_the_engine_computes_what_pytorch_does(built, tmp_path, architecture, lengths):
    model = write(tmp_path / "checkpoint", architecture)
    converted = convert(tmp_path / "checkpoint", tmp_path / "model.gguf", "f32")
    assert converted.context == lengths[-1]
    for length in lengths:
        tokens = np.random.default_rng(length).integers(1, len(TOKENS), length).tolist()
        expected = torch.log_softmax(model(torch.tensor(tokens)), -1).numpy()
        assert np.abs(engine_log_p(tmp_path / "model.gguf", tokens, converted.context) - expected).max() < TOLERANCE


def test_local_attention_would_show_beyond_the_window():
    tokens = torch.randint(1, len(TOKENS), (400,), generator=torch.Generator().manual_seed(1))
    model = reference("gpt_neo")
    local = model(tokens)
    for block in model.h:
        block.attn.attention.window = None
    whole = model(tokens)
    assert torch.allclose(local[:256], whole[:256], atol=1e-4)
    assert (local[300:] - whole[300:]).abs().max() > 0.1


@pytest.mark.parametrize("architecture", SIZES)
def test_every_form_of_a_checkpoint_gives_the_same_file(tmp_path, architecture):
    write(tmp_path / "a" / "model", architecture)
    write(tmp_path / "b" / "model", architecture, form="pickle", prefix="", tokenizer="whole")
    for place in "ab":
        convert(tmp_path / place / "model", tmp_path / f"{place}.gguf", "f16")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_quantized_files_are_smaller_and_close(built, tmp_path):
    model = write(tmp_path / "checkpoint", "gpt2")
    tokens = list(range(1, 65))
    expected = torch.log_softmax(model(torch.tensor(tokens)), -1).numpy()
    sizes, errors = [], []
    for kind in ("f32", "f16", "q8_0", "q4_0"):
        path = tmp_path / f"{kind}.gguf"
        convert(tmp_path / "checkpoint", path, kind)
        sizes.append(path.stat().st_size)
        errors.append(float(np.abs(engine_log_p(path, tokens, CONTEXT) - expected).mean()))
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 4
    assert errors == sorted(errors) and errors[2] < 0.1


class Attack:
    def __reduce__(self):
        return (sys.exit, ("executed",))


def spoil_truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_attack(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"wte.weight": Attack()}))


def spoil_tensors(change):
    def spoil(folder):
        from safetensors.torch import load_file

        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return spoil


def spoil_config(**values):
    def spoil(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return spoil


FC = "transformer.h.2.mlp.c_fc.weight"
DAMAGES = {
    "truncated": (spoil_truncated, "model.safetensors is damaged"),
    "attack": (spoil_attack, "wants to run code"),
    "missing tensor": (spoil_tensors(lambda t: t.pop(FC)), "no tensor h.2.mlp.c_fc.weight"),
    "wrong shape": (spoil_tensors(lambda t: t.update({FC: t[FC][:, :-1].clone()})), "h.2.mlp.c_fc.weight is"),
    "no numbers": (spoil_tensors(lambda t: t[FC].fill_(float("nan"))), "h.2.mlp.c_fc.weight holds"),
    "unknown tensor": (spoil_tensors(lambda t: t.update({"h.0.extra": torch.ones(1)})), "h.0.extra is unknown"),
    "other architecture": (spoil_config(model_type="llama"), "architecture llama"),
    "wrong size": (spoil_config(n_embd=128), "wte.weight is"),
    "no heads": (spoil_config(n_head=0), "no n_head"),
    "heads that don't fit": (spoil_config(n_head=5), "5 heads"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "neither model.safetensors"),
    "no tokenizer": (lambda folder: (folder / "vocab.json").unlink(), "no tokenizer"),
    "broken tokenizer": (lambda folder: (folder / "vocab.json").write_text('{"a": 3}'), "its ids have gaps"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_ends_with_one_sentence_and_no_file(tmp_path, damage):
    spoil, message = DAMAGES[damage]
    write(tmp_path / "checkpoint", "gpt2")
    spoil(tmp_path / "checkpoint")
    with pytest.raises(SystemExit, match=message) as error:
        convert(tmp_path / "checkpoint", tmp_path / "model.gguf", "f16")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "checkpoint"]
