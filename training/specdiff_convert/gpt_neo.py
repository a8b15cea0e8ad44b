"""GPT-Neo (125M–2.7B) as llama.cpp's architecture gpt2: equal up to the local layers' window.

GPT-Neo divides attention scores by nothing, so W_q is scaled by the root of the head's width; q, k and v lack biases.
Every second layer sees the last 256 tokens only: the file says a context of 256, within which that makes no difference.
"""

import math

import numpy as np

from .checkpoint import Checkpoint
from .model import Model

MASKS = (".attn.attention.bias", ".attn.attention.masked_bias")


def convert(checkpoint: Checkpoint) -> Model:
    """Tensors by llama.cpp's names, [outputs, inputs]."""
    width, layers = checkpoint.number("hidden_size"), checkpoint.number("num_layers")
    context, vocabulary = checkpoint.number("max_position_embeddings"), checkpoint.number("vocab_size")
    heads, inner = checkpoint.number("num_heads"), checkpoint.config.get("intermediate_size") or 4 * width
    window = min(context, checkpoint.number("window_size"))
    model = Model(window, width, layers, heads, inner, vocabulary, checkpoint.epsilon())
    if window < context:
        model.note = (
            f"Its local layers see {window} tokens and llama.cpp has no such layers: the file's context is {window} of "
            f"the model's {context} tokens, so that nothing is computed wrongly."
        )
    take, put = checkpoint.take, model.tensors.__setitem__
    model.put_frame(checkpoint, context)
    for layer in range(layers):
        at = f"h.{layer}"
        q, k, v = (take(f"{at}.attn.attention.{name}_proj.weight", width, width) for name in "qkv")
        put(f"blk.{layer}.attn_qkv.weight", np.concatenate([q * math.sqrt(width / heads), k, v]))
        put(f"blk.{layer}.attn_qkv.bias", np.zeros(3 * width, np.float32))
        for ours, theirs, inputs, outputs in (
            ("attn_output", "attn.attention.out_proj", width, width),
            ("ffn_up", "mlp.c_fc", width, inner),
            ("ffn_down", "mlp.c_proj", inner, width),
        ):
            put(f"blk.{layer}.{ours}.weight", take(f"{at}.{theirs}.weight", outputs, inputs))
            put(f"blk.{layer}.{ours}.bias", take(f"{at}.{theirs}.bias", outputs))
    checkpoint.finish(*MASKS)
    return model
