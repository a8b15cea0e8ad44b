"""SEDD and MDLM checkpoints to the layout that the engine's diffusion drafters read."""

import gguf
from torch import Tensor

from specdiff_reference.ddit import NORM_EPS, DditShape

from .checked import CheckedTensors
from .configuration import divided, one_of, table, whole
from .model_file import ModelFile

# In the checkpoint, in the GGUF; shapes follow from the sizes.
PER_BLOCK = (
    ("norm1.weight", "attn_norm.weight"),
    ("attn_qkv.weight", "attn_qkv.weight"),
    ("attn_out.weight", "attn_output.weight"),
    ("norm2.weight", "ffn_norm.weight"),
    ("mlp.0.weight", "ffn_up.weight"),
    ("mlp.0.bias", "ffn_up.bias"),
    ("mlp.2.weight", "ffn_down.weight"),
    ("mlp.2.bias", "ffn_down.bias"),
    ("adaLN_modulation.weight", "modulation.weight"),
    ("adaLN_modulation.bias", "modulation.bias"),
)
OUTSIDE = (
    ("vocab_embed.embedding", "token_embd.weight"),
    ("sigma_map.mlp.0.weight", "time.0.weight"),
    ("sigma_map.mlp.0.bias", "time.0.bias"),
    ("sigma_map.mlp.2.weight", "time.1.weight"),
    ("sigma_map.mlp.2.bias", "time.1.bias"),
    ("output_layer.norm_final.weight", "output_norm.weight"),
    ("output_layer.adaLN_modulation.weight", "output_modulation.weight"),
    ("output_layer.adaLN_modulation.bias", "output_modulation.bias"),
    ("output_layer.linear.weight", "output.weight"),
    ("output_layer.linear.bias", "output.bias"),
)


def sedd_shape(config: dict[str, object]) -> DditShape:
    """Sizes by SEDD's config.json."""
    one_of(table(config, "graph"), "type", "absorb")
    model = table(config, "model")
    shape = DditShape(
        vocab=whole(config, "tokens") + 1,
        width=whole(model, "hidden_size"),
        blocks=whole(model, "n_blocks"),
        heads=whole(model, "n_heads"),
        condition=whole(model, "cond_dim"),
        context=whole(model, "length"),
    )
    divided(shape.width, shape.heads)
    return shape


def mdlm_shape(config: dict[str, object]) -> DditShape:
    """Sizes by MDLM's config.json."""
    shape = DditShape(
        vocab=whole(config, "vocab_size"),
        width=whole(config, "hidden_dim"),
        blocks=whole(config, "n_blocks"),
        heads=whole(config, "n_heads"),
        condition=whole(config, "cond_dim"),
        context=whole(config, "model_length"),
    )
    divided(shape.width, shape.heads)
    return shape


def sizes(name: str, shape: DditShape) -> tuple[int, ...]:
    """Shape of a tensor by its published name, without `blocks.N.`."""
    width, condition = shape.width, shape.condition
    return {
        "vocab_embed.embedding": (shape.vocab, width),
        "sigma_map.mlp.0.weight": (condition, shape.frequencies),
        "sigma_map.mlp.0.bias": (condition,),
        "sigma_map.mlp.2.weight": (condition, condition),
        "sigma_map.mlp.2.bias": (condition,),
        "norm1.weight": (width,),
        "attn_qkv.weight": (3 * width, width),
        "attn_out.weight": (width, width),
        "norm2.weight": (width,),
        "mlp.0.weight": (4 * width, width),
        "mlp.0.bias": (4 * width,),
        "mlp.2.weight": (width, 4 * width),
        "mlp.2.bias": (width,),
        "adaLN_modulation.weight": (6 * width, condition),
        "adaLN_modulation.bias": (6 * width,),
        "output_layer.norm_final.weight": (width,),
        "output_layer.adaLN_modulation.weight": (2 * width, condition),
        "output_layer.adaLN_modulation.bias": (2 * width,),
        "output_layer.linear.weight": (shape.vocab, width),
        "output_layer.linear.bias": (shape.vocab,),
    }[name]


def ddit_model(
    architecture: str, shape: DditShape, time_conditioned: bool, tensors: dict[str, Tensor], name: str, licence: str
) -> ModelFile:
    """The GGUF of a network whose tensors have the published names (MDLM's with or without `backbone.`)."""
    checked = CheckedTensors(tensors, ("backbone.",))
    checked.drop("rotary_emb.inv_freq")
    result = {target: checked.take(source, *sizes(source, shape)) for source, target in OUTSIDE}
    for block in range(shape.blocks):
        for source, target in PER_BLOCK:
            result[f"blk.{block}.{target}"] = checked.take(f"blocks.{block}.{source}", *sizes(source, shape))
    checked.finish()

    def add_metadata(writer: gguf.GGUFWriter) -> None:
        writer.add_name(name)
        writer.add_license(licence)
        writer.add_context_length(shape.context)
        writer.add_embedding_length(shape.width)
        writer.add_block_count(shape.blocks)
        writer.add_head_count(shape.heads)
        writer.add_feed_forward_length(4 * shape.width)
        writer.add_layer_norm_eps(NORM_EPS)
        writer.add_rope_freq_base(shape.rope_base)
        writer.add_vocab_size(shape.vocab)
        writer.add_uint32(f"{architecture}.condition_length", shape.condition)
        writer.add_uint32(f"{architecture}.frequency_length", shape.frequencies)
        writer.add_uint32(f"{architecture}.mask_token_id", shape.mask_id)
        writer.add_bool(f"{architecture}.time_conditioned", time_conditioned)

    return ModelFile(architecture, add_metadata, result)
