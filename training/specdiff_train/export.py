"""Export to a GGUF of llama.cpp's `dflash` architecture, which our engine and stock llama.cpp load.

Tensor names, shapes and keys: llama.cpp v0.5.0, src/models/dflash.cpp. Slots that start from looked-up tokens need an
engine that does so (`specdiff.slot_init`); stock llama.cpp starts them from masks, which this drafter has seen too.
"""

import json
from itertools import chain
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type

from .calibration import Calibration, calibration_error, fitted, greedy_blocks, places_of
from .checkpoint import best_path, checkpoint_path, load, trained_drafter
from .config import Config
from .corpus import training_licences
from .drafter import Drafter
from .drafting import drafted_shards
from .expected import expected
from .features import FeatureStore
from .gguf_file import TypedTensors, write_file
from .phrases import Counts
from .shards import load_split
from .shortlist import Shortlist, shortlist_of
from .storage import file_sha256, write_atomic
from .target import Target
from .vocabulary import Vocabulary

ARCHITECTURE = "dflash"
# What quantizing costs is measured in docs/training.md: Q8_0 nothing, Q4_0 in the feed-forward matrices 0.7 % of τ.
MATRIX_TYPE = Type.Q8_0
FFN_TYPE = Type.Q4_0
TOKENIZER_PREFIX = "tokenizer."


def export(config: Config) -> None:
    """Write the trained drafter to `config.output`."""
    target = Target(config.target, config.device)
    drafter = trained_drafter(config, target)
    path = best_path(config) if best_path(config).exists() else checkpoint_path(config)
    store = FeatureStore(config, target)
    validation = load_split(config.work / "answers", "validation")
    calibration, chances = None, None
    # One that drafts token by token is not joined with lookup.
    if not drafter.autoregressive:
        drafted = drafted_shards({"": drafter}, validation, store, greedy=True)
        calibration = fitted(drafted, "", drafter.block)
        chances = expected(drafted, calibration, drafter.block)
        if calibration:
            tell_error(config, drafter, store, calibration)
    recipe = load(path, config)["recipe"]
    write_gguf(
        config,
        target,
        drafter,
        config.output,
        recipe,
        calibration=calibration,
        phrases=store.book.counts,
        chances=chances,
        shortlist=shortlist_of(drafter, validation, store),
    )


def tell_error(config: Config, drafter: Drafter, store: FeatureStore, calibration: Calibration) -> None:
    """Print how far off the calibration is on the test packages, where there are answers of theirs."""
    shards = load_split(config.work / "answers", "test")
    if shards:
        drafted = drafted_shards({"": drafter}, shards, store, greedy=True)
        tests = places_of(chain.from_iterable(greedy_blocks(some, "") for some in drafted), drafter.block)
        error, places = calibration_error(tests, calibration)
        print(f"export: calibration error {error:.2%} on {places} places of the test packages")


def write_gguf(
    config: Config,
    target: Target,
    drafter: Drafter,
    output: Path,
    recipe: dict[str, object],
    quantized: bool = True,
    calibration: Calibration | None = None,
    phrases: Counts | None = None,
    chances: list[int] | None = None,
    shortlist: Shortlist | None = None,
) -> None:
    """Write a drafter to a GGUF, atomically; not quantized, its matrices are fp32 (the head is always Q8_0)."""
    survival = dict(calibration.thousandths()) if calibration else {}
    if calibration and chances:
        survival["reached"] = chances
    write_atomic(
        output, lambda part: _write(config, target, drafter, part, recipe, quantized, survival, phrases, shortlist)
    )
    print(f"export: {output} {output.stat().st_size / 1e6:.1f} MB, sha256 {file_sha256(output)}")


def _write(
    config: Config,
    target: Target,
    drafter: Drafter,
    part: Path,
    recipe: dict[str, object],
    quantized: bool,
    survival: dict[str, list[int]],
    phrases: Counts | None,
    shortlist: Shortlist | None,
) -> None:
    writer = gguf.GGUFWriter(part, ARCHITECTURE)
    add_metadata(writer, config, target, recipe)
    if phrases:
        add_phrases(writer, phrases)
    if shortlist:
        add_shortlist(writer, shortlist)
    for name, values in survival.items():
        writer.add_array(f"specdiff.survival.{name}", values)
    copy_tokenizer(writer, config.target)
    writer.add_mask_token_id(drafter.mask_id)
    write_file(writer, tensors(drafter, target, quantized))


def add_metadata(writer: gguf.GGUFWriter, config: Config, target: Target, recipe: dict[str, object]) -> None:
    """Hyperparameters, the target it belongs to, and where it comes from."""
    writer.add_type("model")
    writer.add_name(config.name)
    writer.add_license(config.licence)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(config.layers)
    writer.add_context_length(target.context_length)
    writer.add_embedding_length(target.width)
    writer.add_feed_forward_length(target.ffn_width)
    writer.add_head_count(target.heads)
    writer.add_head_count_kv(target.kv_heads)
    writer.add_key_length(target.head_width)
    writer.add_value_length(target.head_width)
    writer.add_layer_norm_rms_eps(target.eps)
    writer.add_rope_freq_base(target.rope_base)
    writer.add_rope_dimension_count(target.head_width)
    writer.add_causal_attention(False)
    writer.add_vocab_size(target.head.shape[0])
    writer.add_uint32(f"{ARCHITECTURE}.block_size", config.block)
    writer.add_bool(f"{ARCHITECTURE}.sample_from_anchor", True)
    writer.add_bool(f"{ARCHITECTURE}.has_confidence_head", False)
    writer.add_array(f"{ARCHITECTURE}.target_layers", list(config.taps))
    writer.add_string("specdiff.slot_init", "mask" if config.autoregressive else "lookup")
    writer.add_bool("specdiff.autoregressive", config.autoregressive)
    writer.add_string("specdiff.target.sha256", file_sha256(config.target))
    writer.add_string("specdiff.tokenizer.sha256", Vocabulary(config.target).sha256())
    writer.add_string("specdiff.recipe", json.dumps(recipe, sort_keys=True))
    writer.add_string("specdiff.licences", ", ".join(training_licences()))


def add_phrases(writer: gguf.GGUFWriter, counts: Counts) -> None:
    """The target's turns of phrase, in eight bytes each where its ids fit two."""
    kinds = {
        "checks": gguf.GGUFValueType.UINT32,
        "tokens": gguf.GGUFValueType.UINT16 if counts.tokens.max(initial=0) < 2**16 else gguf.GGUFValueType.UINT32,
        "counts": gguf.GGUFValueType.UINT8,
        "second_counts": gguf.GGUFValueType.UINT8,
    }
    for name, values in vars(counts).items():
        if len(values):
            writer.add_key_value(
                f"specdiff.phrases.{name}", values.tolist(), gguf.GGUFValueType.ARRAY, sub_type=kinds[name]
            )


def add_shortlist(writer: gguf.GGUFWriter, shortlist: Shortlist) -> None:
    """Its factors as the bits of 16-bit floats: tensors that stock llama.cpp doesn't know it would refuse."""
    for name, values in vars(shortlist).items():
        bits = values.half().cpu().numpy().view(np.uint16).ravel().tolist()
        kind = gguf.GGUFValueType.UINT16
        writer.add_key_value(f"specdiff.shortlist.{name}", bits, gguf.GGUFValueType.ARRAY, sub_type=kind)


def copy_tokenizer(writer: gguf.GGUFWriter, target: Path) -> None:
    """The target's tokenizer; the chat template stays with the target."""
    reader = gguf.GGUFReader(target)
    for name, field in reader.fields.items():
        if not name.startswith(TOKENIZER_PREFIX) or name == "tokenizer.chat_template":
            continue
        value, kind = field.contents(), field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_array(name, value)
        else:
            writer.add_key_value(name, value, kind)


def tensors(drafter: Drafter, target: Target, quantized: bool) -> TypedTensors:
    """Tensor name -> array and type. Matrices are [out, in]; the embedding is the target's own and isn't stored."""
    result: TypedTensors = {}
    matrix, ffn = (MATRIX_TYPE, FFN_TYPE) if quantized else (Type.F32, Type.F32)

    def put(name: str, value: torch.Tensor, kind: Type) -> None:
        result[name] = (value.detach().cpu().contiguous().float().numpy(), kind)

    width = drafter.width
    # Taps are scaled to RMS 1 while training; here the scale goes into fc's columns.
    fc = drafter.fc.view(width, -1, width) / drafter.tap_scale[None, :, None]
    put("fc.weight", fc.reshape(width, -1), matrix)
    put("enc.output_norm.weight", drafter.hidden_norm, Type.F32)
    put("output_norm.weight", drafter.norm, Type.F32)
    put("output.weight", drafter.head, Type.Q8_0)  # rows of the target's own head
    result["d2t"] = (drafter.vocab.cpu().numpy().astype(np.int64), Type.I64)
    for i, layer in enumerate(drafter.layers):
        q, k, v = layer.qkv.split([target.q_width, target.kv_width, target.kv_width])
        gate, up = layer.gate_up.chunk(2)
        # q and k stay half-split: the graph rotates as NEOX, unlike the target's.
        matrices = {
            "attn_q": q,
            "attn_k": k,
            "attn_v": v,
            "attn_output": layer.attn_output,
            "ffn_gate": gate,
            "ffn_up": up,
            "ffn_down": layer.down,
        }
        for name, value in matrices.items():
            put(f"blk.{i}.{name}.weight", value, ffn if name.startswith("ffn") else matrix)
        norms = {
            "attn_norm": layer.attn_norm,
            "attn_q_norm": layer.q_norm,
            "attn_k_norm": layer.k_norm,
            "ffn_norm": layer.ffn_norm,
        }
        for name, value in norms.items():
            put(f"blk.{i}.{name}.weight", value, Type.F32)
    return result
