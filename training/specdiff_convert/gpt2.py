"""GPT-2 (all sizes) as llama.cpp's architecture gpt2. Published matrices are Conv1D: [inputs, outputs]."""

from .checkpoint import Checkpoint
from .model import Model

MASKS = (".attn.bias", ".attn.masked_bias")


def convert(checkpoint: Checkpoint) -> Model:
    """Tensors by llama.cpp's names, [outputs, inputs]."""
    width, layers = checkpoint.number("n_embd"), checkpoint.number("n_layer")
    context, vocabulary = checkpoint.number("n_positions", "n_ctx"), checkpoint.number("vocab_size")
    inner = checkpoint.config.get("n_inner") or 4 * width
    model = Model(context, width, layers, checkpoint.number("n_head"), inner, vocabulary, checkpoint.epsilon())
    take, put = checkpoint.take, model.tensors.__setitem__
    model.put_frame(checkpoint, context)
    for layer in range(layers):
        for ours, theirs, inputs, outputs in (
            ("attn_qkv", "attn.c_attn", width, 3 * width),
            ("attn_output", "attn.c_proj", width, width),
            ("ffn_up", "mlp.c_fc", width, inner),
            ("ffn_down", "mlp.c_proj", inner, width),
        ):
            put(f"blk.{layer}.{ours}.weight", take(f"h.{layer}.{theirs}.weight", inputs, outputs).T)
            put(f"blk.{layer}.{ours}.bias", take(f"h.{layer}.{theirs}.bias", outputs))
    checkpoint.finish(*MASKS)
    return model
