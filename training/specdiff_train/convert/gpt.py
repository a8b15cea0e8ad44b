"""GPT-2 and GPT-Neo checkpoints to the tensors of llama.cpp's `gpt2` architecture (v0.5.0, src/models/gpt2.cpp)."""

import math

import gguf
import torch
from torch import Tensor

from specdiff_reference.gpt import GptShape

from .checked import CheckedTensors
from .configuration import divided, number, one_of, whole
from .model_file import ModelFile

LOCAL = "local"


def gpt2_shape(config: dict[str, object]) -> GptShape:
    """Sizes by GPT-2's config.json."""
    one_of(config, "activation_function", "gelu_new", "gelu_pytorch_tanh")
    one_of(config, "scale_attn_weights", True)
    one_of(config, "scale_attn_by_inverse_layer_idx", False)
    width = whole(config, "n_embd")
    shape = GptShape(
        vocab=whole(config, "vocab_size"),
        width=width,
        layers=whole(config, "n_layer"),
        heads=whole(config, "n_head"),
        context=whole(config, "n_positions", whole(config, "n_ctx", 1024)),
        inner=whole(config, "n_inner", 4 * width),
        eps=number(config, "layer_norm_epsilon", 1e-5),
    )
    divided(shape.width, shape.heads)
    return shape


def gpt_neo_shape(config: dict[str, object]) -> GptShape:
    """Sizes and attention windows by GPT-Neo's config.json."""
    one_of(config, "activation_function", "gelu_new", "gelu_pytorch_tanh")
    width, layers, window = whole(config, "hidden_size"), whole(config, "num_layers"), whole(config, "window_size", 256)
    kinds = attention_kinds(config)
    if len(kinds) != layers or set(kinds) - {"global", LOCAL}:
        raise SystemExit(
            f"convert: config.json names the attention of {len(kinds)} layers in attention_types and has {layers} "
            "layers; each must be global or local."
        )
    shape = GptShape(
        vocab=whole(config, "vocab_size"),
        width=width,
        layers=layers,
        heads=whole(config, "num_heads"),
        context=whole(config, "max_position_embeddings"),
        inner=whole(config, "intermediate_size", 4 * width),
        eps=number(config, "layer_norm_epsilon", 1e-5),
        windows=tuple(window if kind == LOCAL else 0 for kind in kinds),
    )
    divided(shape.width, shape.heads)
    return shape


def attention_kinds(config: dict[str, object]) -> list[str]:
    """`attention_types` written out, e.g. [[["global", "local"], 6]] for twelve layers."""
    types = config.get("attention_types")
    try:
        return [str(kind) for kinds, count in types for _ in range(int(count)) for kind in kinds]
    except (TypeError, ValueError):
        raise SystemExit(f"convert: config.json needs lists of kinds as attention_types, not {types!r}.") from None


def gpt2_model(shape: GptShape, tensors: dict[str, Tensor], name: str, licence: str) -> ModelFile:
    """The GGUF of a GPT-2 checkpoint, whose names begin with `transformer.` or not."""
    checked = CheckedTensors(tensors, ("transformer.",))
    checked.drop(".attn.bias", ".attn.masked_bias")
    width = shape.width
    result = outside(checked, shape)
    for layer in range(shape.layers):
        source, target = f"h.{layer}.", f"blk.{layer}."
        result |= norms(checked, shape, source, target)
        for old, new, inputs, outputs in (
            ("attn.c_attn", "attn_qkv", width, 3 * width),
            ("attn.c_proj", "attn_output", width, width),
            ("mlp.c_fc", "ffn_up", width, shape.inner),
            ("mlp.c_proj", "ffn_down", shape.inner, width),
        ):
            # Stored [in, out] there, [out, in] here.
            result[f"{target}{new}.weight"] = checked.take(f"{source}{old}.weight", inputs, outputs).T
            result[f"{target}{new}.bias"] = checked.take(f"{source}{old}.bias", outputs)
    checked.finish()
    return model_file(shape, result, name, licence)


def gpt_neo_model(shape: GptShape, tensors: dict[str, Tensor], name: str, licence: str) -> ModelFile:
    """The GGUF of a GPT-Neo checkpoint, with gpt2's tensors and keys.

    GPT-Neo does not scale q·k, gpt2 divides by √d: W_q is multiplied by √d. It has no q, k, v biases: they are zero.
    Its local layers see `window` tokens, which gpt2's graph can't say: the engine narrows the mask for them
    (native/core/local_attention). Where there are such layers the file's architecture is `gptneo`, which llama.cpp by
    itself refuses, rather than computing something else.
    """
    checked = CheckedTensors(tensors, ("transformer.",))
    checked.drop(".attn.attention.bias", ".attn.attention.masked_bias")
    width = shape.width
    result = outside(checked, shape)
    for layer in range(shape.layers):
        source, target = f"h.{layer}.", f"blk.{layer}."
        result |= norms(checked, shape, source, target)
        q, k, v = (checked.take(f"{source}attn.attention.{part}_proj.weight", width, width) for part in "qkv")
        result[f"{target}attn_qkv.weight"] = torch.cat([q * math.sqrt(width // shape.heads), k, v])
        result[f"{target}attn_qkv.bias"] = torch.zeros(3 * width)
        for old, new, inputs, outputs in (
            ("attn.attention.out_proj", "attn_output", width, width),
            ("mlp.c_fc", "ffn_up", width, shape.inner),
            ("mlp.c_proj", "ffn_down", shape.inner, width),
        ):
            result[f"{target}{new}.weight"] = checked.take(f"{source}{old}.weight", outputs, inputs)
            result[f"{target}{new}.bias"] = checked.take(f"{source}{old}.bias", outputs)
    checked.finish()
    return model_file(shape, result, name, licence)


def outside(checked: CheckedTensors, shape: GptShape) -> dict[str, Tensor]:
    """Embeddings of tokens and positions, and the final norm."""
    tokens = checked.take("wte.weight", shape.vocab, shape.width)
    checked.drop_tied("lm_head.weight", tokens)
    return {
        "token_embd.weight": tokens,
        "position_embd.weight": checked.take("wpe.weight", shape.context, shape.width),
        "output_norm.weight": checked.take("ln_f.weight", shape.width),
        "output_norm.bias": checked.take("ln_f.bias", shape.width),
    }


def norms(checked: CheckedTensors, shape: GptShape, source: str, target: str) -> dict[str, Tensor]:
    """A layer's two norms."""
    return {
        f"{target}{new}.{part}": checked.take(f"{source}{old}.{part}", shape.width)
        for old, new in (("ln_1", "attn_norm"), ("ln_2", "ffn_norm"))
        for part in ("weight", "bias")
    }


def model_file(shape: GptShape, tensors: dict[str, Tensor], name: str, licence: str) -> ModelFile:
    """Metadata as llama.cpp reads it."""

    def add_metadata(writer: gguf.GGUFWriter) -> None:
        writer.arch = "gpt2"  # what the keys begin with
        writer.add_name(name)
        writer.add_license(licence)
        writer.add_context_length(shape.context)
        writer.add_embedding_length(shape.width)
        writer.add_feed_forward_length(shape.inner)
        writer.add_block_count(shape.layers)
        writer.add_head_count(shape.heads)
        writer.add_layer_norm_eps(shape.eps)
        if any(shape.windows):
            writer.add_array("gptneo.attention.windows", list(shape.windows))

    return ModelFile("gptneo" if any(shape.windows) else "gpt2", add_metadata, tensors, exact=("position_embd.weight",))
