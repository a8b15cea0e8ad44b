"""Small seeded checkpoints of every kind that can be converted, in both file formats."""

import json
from pathlib import Path

import torch
from conftest import byte_symbols

from specdiff_reference.ddit import Ddit, DditShape, Mdlm, Sedd
from specdiff_reference.gpt import Gpt2, GptNeo, GptShape

WORDS = ["he", "th", "in"]
VOCAB = 256 + len(WORDS) + 1
KINDS = ("sedd", "mdlm", "gpt2", "gpt_neo")
SAFETENSORS_TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint8: "U8"}


def write_tokenizer(folder: Path) -> None:
    tokens = [*byte_symbols(), *WORDS, "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
    merges = "".join(f"{a} {b}\n" for a, b in WORDS)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else b""
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": SAFETENSORS_TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def scrambled(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Every parameter random, so that nothing can be left out unseen; logits of a few units."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.5 if parameter.ndim == 1 or "wte" in name or "embed" in name else parameter.shape[-1] ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            if name.endswith(("norm1.weight", "norm2.weight", "norm_final.weight", "ln_1.weight", "ln_2.weight")):
                parameter.add_(1)
    return model.eval()


def reference(kind: str, context: int = 1024) -> tuple[torch.nn.Module, dict[str, object]]:
    """A model and its config.json."""
    if kind == "sedd":
        shape = DditShape(vocab=VOCAB + 1, width=64, blocks=2, heads=2, condition=32, context=context)
        model = {"hidden_size": 64, "n_blocks": 2, "n_heads": 2, "cond_dim": 32, "length": context}
        return scrambled(Sedd(shape), 1), {
            "graph": {"type": "absorb"},
            "noise": {"type": "loglinear"},
            "model": model,
            "tokens": VOCAB,
        }
    if kind == "mdlm":
        shape = DditShape(vocab=VOCAB + 1, width=64, blocks=2, heads=2, condition=32, context=context)
        config = {"model_type": "mdlm", "vocab_size": VOCAB + 1, "hidden_dim": 64, "n_blocks": 2, "n_heads": 2}
        config |= {"cond_dim": 32, "model_length": context, "time_conditioning": False}
        return scrambled(Mdlm(shape), 2), config
    if kind == "gpt2":
        config = {"model_type": "gpt2", "vocab_size": VOCAB, "n_embd": 64, "n_layer": 2, "n_head": 2}
        config |= {"n_positions": context, "n_ctx": context, "activation_function": "gelu_new"}
        return scrambled(Gpt2(GptShape(VOCAB, 64, 2, 2, context, 256)), 3), config
    config = {"model_type": "gpt_neo", "vocab_size": VOCAB, "hidden_size": 64, "num_layers": 4, "num_heads": 2}
    config |= {"max_position_embeddings": context, "window_size": 256, "intermediate_size": None}
    config |= {"attention_types": [[["global", "local"], 2]], "activation_function": "gelu_new"}
    return scrambled(GptNeo(GptShape(VOCAB, 64, 4, 2, context, 256, windows=(0, 256, 0, 256))), 4), config


def published(kind: str, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A model's tensors with what else the published files hold."""
    state = dict(model.state_dict())
    if kind == "gpt2":
        state |= {f"h.{i}.attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.uint8) for i in range(2)}
    if kind == "gpt_neo":
        state |= {f"transformer.h.{i}.attn.attention.masked_bias": torch.tensor([-1e9]) for i in range(4)}
        state["lm_head.weight"] = state["transformer.wte.weight"].clone()
    return state


def write_checkpoint(folder: Path, kind: str, form: str = "safetensors", logit_scale: float = 1.0) -> torch.nn.Module:
    """A checkpoint's folder; returns the model. `logit_scale` is for the causal kinds: the final norm's weight."""
    folder.mkdir(parents=True, exist_ok=True)
    model, config = reference(kind)
    if logit_scale != 1:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if ".ln_f." in f".{name}":
                    parameter.mul_(logit_scale)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_tokenizer(folder)
    tensors = published(kind, model)
    if form == "safetensors":
        write_safetensors(folder / "model.safetensors", tensors)
    else:
        torch.save(tensors, folder / "pytorch_model.bin")
    return model


def network(kind: str, model: torch.nn.Module) -> Ddit:
    """The diffusion transformer inside."""
    return model.backbone if kind == "mdlm" else model
