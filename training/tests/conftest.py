"""Tiny random targets as GGUFs, and a pipeline over the llama-shaped one, in seconds."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf.quants import quantize

from specdiff_train.config import Config
from specdiff_train.storage import write_jsonl

WIDTH, HEADS, KV_HEADS, FFN, LAYERS = 64, 2, 1, 96, 4


def byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(extra)) for b in range(256)]


def write_target(path: Path, architecture: str = "llama") -> None:
    """`qwen2` has biases of q, k and v; `qwen3` norms of q and k, and heads wider than the hidden size asks for."""
    qwen = architecture != "llama"
    head_width = 48 if architecture == "qwen3" else WIDTH // HEADS
    rng = np.random.default_rng(5)
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_pad|>" if qwen else "<empty_output>"]
    tokens = specials + byte_symbols() + ["he", "th", "in"]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(head_width)
    writer.add_value_length(head_width)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2" if qwen else "smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(specials) + [1] * (len(tokens) - len(specials)))
    writer.add_token_merges(["h e", "t h", "i n"])
    writer.add_eos_token_id(2)

    def matrix(name: str, rows: int, columns: int) -> None:
        data = rng.normal(0, 1.5 / np.sqrt(columns), (rows, columns)).astype(np.float32)
        if name == "token_embd.weight":
            data[tokens.index("Ċ")] *= 2  # line ends, so that the product's stop rules have something to stop at
        writer.add_tensor(name, quantize(data, Type.Q8_0), raw_dtype=Type.Q8_0)

    matrix("token_embd.weight", len(tokens), WIDTH)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    queries, kv = HEADS * head_width, KV_HEADS * head_width
    for i in range(LAYERS):
        for name, rows, columns in (
            ("attn_q", queries, WIDTH),
            ("attn_k", kv, WIDTH),
            ("attn_v", kv, WIDTH),
            ("attn_output", WIDTH, queries),
            ("ffn_gate", FFN, WIDTH),
            ("ffn_up", FFN, WIDTH),
            ("ffn_down", WIDTH, FFN),
        ):
            matrix(f"blk.{i}.{name}.weight", rows, columns)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{i}.{name}.weight", np.ones(WIDTH, np.float32))
        if architecture == "qwen2":
            for name, rows in (("attn_q", queries), ("attn_k", kv), ("attn_v", kv)):
                writer.add_tensor(f"blk.{i}.{name}.bias", rng.normal(0, 0.5, rows).astype(np.float32))
        if architecture == "qwen3":
            for name in ("attn_q_norm", "attn_k_norm"):
                gains = rng.uniform(0.5, 1.5, head_width).astype(np.float32)
                writer.add_tensor(f"blk.{i}.{name}.weight", gains)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def engine_top(target: Path, tokens: list[int], first: int, top: int, context: int) -> tuple[np.ndarray, np.ndarray]:
    """The engine's `top` next tokens [T - first, top] and their probabilities, from position `first` on."""
    from specdiff_train import engine

    command = [str(engine.program("taps")), "--target", str(target), "--native", str(engine.libraries())]
    command += ["--top", str(top), "--context", str(context), "--threads", "1"]
    line = f"0 {first} {' '.join(map(str, tokens))}\n".encode()
    out = subprocess.run(command, input=line, stdout=subprocess.PIPE, check=True).stdout
    half = (len(tokens) - first) * top * 4
    assert len(out) == 2 * half
    ids, p = np.frombuffer(out[:half], np.int32), np.frombuffer(out[half:], np.float32)
    return ids.reshape(-1, top), p.reshape(-1, top)


TEXT = "def thing(the, other):\n    return the + other\n\n# in the end\n" * 40


def write_corpus(work: Path) -> None:
    row = {"language": "python", "package": "toy", "licence": "MIT", "path": "toy.py", "text": TEXT}
    (work / "corpus").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        (work / "corpus" / f"{split}.jsonl").write_text(json.dumps(row) + "\n")


def language_model_settings(kind, folder: Path):
    """A toy corpus, a target, and settings of that kind for a small language model."""
    write_target(folder / "tiny.gguf")
    write_corpus(folder / "work")
    return kind(
        target=folder / "tiny.gguf",
        corpus=folder / "work" / "corpus",
        answers=folder / "work" / "answers",
        work=folder / "model",
        output=folder / "toy.gguf",
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


def write_language_model_answers(settings, tokens: list[int]) -> None:
    """Two validation answers from a text's first 60 tokens."""
    row = {"prompt": tokens[:30], "answer": tokens[30:60], "lookup": [], "kind": "code", "language": "python"}
    settings.answers.mkdir()
    write_jsonl(settings.answers / "validation_00000.jsonl", [row | {"package": "toy", "temperature": 0}] * 2)


def trained(kind, settings, steps: int):
    """A trainer of that kind that took so many more steps and was saved."""
    from specdiff_train.diffusion_lm.text import text

    trainer = kind(settings, text(settings))
    for _ in range(steps):
        trainer.train_step()
    trainer.save()
    return trainer


def resumed_equals_uninterrupted(kind, settings, folder: Path) -> None:
    """Six steps in one go and in two."""
    import torch

    from specdiff_train.diffusion_lm.trainer import checkpoint_path

    torch.set_num_threads(1)
    whole, parts = (replace(settings, work=folder / name) for name in ("whole", "parts"))
    trained(kind, whole, 6)
    trained(kind, parts, 2)
    trained(kind, parts, 4)
    a, b = (torch.load(checkpoint_path(s), weights_only=True) for s in (whole, parts))
    assert a["step"] == b["step"] == 6
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name]), name


@pytest.fixture(params=["cpu", "gpu"])
def shapes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's graphs in a CPU's shapes, and in a GPU's."""
    monkeypatch.setenv("SPECDIFF_SHAPES", request.param)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A toy configuration whose corpus and answers exist; the answers are the engine's."""
    from specdiff_train.answers import generate

    folder = tmp_path_factory.mktemp("specdiff")
    target = folder / "tiny.gguf"
    write_target(target)
    write_corpus(folder / "work")
    config = replace(
        Config(target=target),
        work=folder / "work",
        output=folder / "drafter.gguf",
        answer_tokens=600,
        answer_sequences=4,
        shard_prompts=12,
        test_shards=1,
        engine_threads=1,
        taps=(1, 2, 3),
        draft_vocab=128,
        groups=2,
        anchors=4,
        train_steps=6,
        warmup_steps=2,
    )
    generate(config)
    return config


@pytest.fixture(scope="session")
def target(config: Config):
    """The toy target in PyTorch."""
    from specdiff_train.target import Target

    return Target(config.target)


@pytest.fixture(scope="session")
def store(config: Config, target):
    """Features of the toy answers, by the engine."""
    from specdiff_train.features import FeatureStore

    return FeatureStore(config, target)


@pytest.fixture(scope="session")
def shards(config: Config):
    """The toy training shards."""
    from specdiff_train.shards import load_split

    return load_split(config.work / "answers", "train")
