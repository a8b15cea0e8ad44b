"""The pipeline for a target of another architecture than the default's, as docs/training.md walks through it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TEXT, write_corpus, write_target
from native import BUILT

from specdiff_train.config import Config
from specdiff_train.defaults import for_target, spread_taps
from specdiff_train.features import engine_rows, torch_rows
from specdiff_train.shards import load_split
from specdiff_train.target import Target
from specdiff_train.vocabulary import Vocabulary

TAPS = "1,2,3"


def stage(name: str, folder: Path, *more: object) -> str:
    """Standard output of one stage, run as a user does."""
    options = ["--target", folder / "tiny.gguf", "--work", folder / "work", "--mask-token", "<|fim_pad|>"]
    options += ["--taps", TAPS, "--answer-tokens", 400, "--text-tokens", 400, "--answer-sequences", 4]
    options += ["--shard-prompts", 8, "--test-shards", 1, "--engine-threads", 1, "--draft-vocab", 128]
    options += ["--groups", 2, "--anchors", 4, "--steps", 4, *more]
    command = [sys.executable, "-m", "specdiff_train", name, *map(str, options)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module", params=["qwen2", "qwen3"])
def folder(request, tmp_path_factory):
    """A target and the answers of a toy corpus, written by the engine."""
    path = tmp_path_factory.mktemp(request.param)
    write_target(path / "tiny.gguf", request.param)
    write_corpus(path / "work")
    stage("answers", path)
    # The same answers for another drafter.
    for part in ("answers", "corpus"):
        shutil.copytree(path / "work" / part, path / "causal" / part)
    return path


def test_taps_of_the_engine_are_those_of_pytorch(folder):
    config = Config(target=folder / "tiny.gguf", taps=(1, 2, 3), engine_threads=1)
    target = Target(config.target)
    shard = load_split(folder / "work" / "answers", "train")[0]
    for served, computed in zip(engine_rows(config, target, shard), torch_rows(config, target, shard), strict=True):
        a, b = (x[0].astype(np.float32).reshape(len(x[0]), 3, -1) for x in (served, computed))
        # Layer by layer: the engine quantizes activations, a tap of another layer would be far off.
        for tap in range(3):
            assert np.linalg.norm(a[:, tap] - b[:, tap]) < 0.05 * np.linalg.norm(b[:, tap])
        assert (served[1][:, 0] == computed[1][:, 0]).mean() > 0.8


def test_a_drafter_is_trained_and_drafts_in_the_engine(folder):
    assert "texts:" in stage("texts", folder)
    stage("train", folder)
    assert "| joined |" in stage("evaluate", folder)
    stage("export", folder)
    drafts_in_the_engine(folder, folder / "work" / "tiny.dflash.gguf", "diffusion")


def test_an_autoregressive_drafter_is_trained_and_drafts_in_the_engine(folder):
    options = ("--autoregressive", "--text-tokens", 0, "--output", folder / "causal.gguf")
    stage("train", folder, *options, "--work", folder / "causal")
    stage("export", folder, *options, "--work", folder / "causal")
    drafts_in_the_engine(folder, folder / "causal.gguf", "causal")


def drafts_in_the_engine(folder: Path, drafter: Path, drafted_by: str) -> None:
    program = next((BUILT / "dist" / "native").glob("*/specdiff-engine*"))
    prompt = folder / "prompt.txt"
    prompt.write_text(TEXT[:300])
    texts, drafted = [], 0
    for name in ("none", drafted_by):
        command = [program, "--target", folder / "tiny.gguf", "--drafter-model", drafter, "--prompt-file", prompt]
        command += ["--native", program.parent, "--threads", 1, "--max-tokens", 48, "--context", 512]
        command += ["--drafter", name]
        shown = subprocess.run([*map(str, command)], capture_output=True, timeout=120)
        assert shown.returncode == 0, shown.stderr.decode()
        assert b"can't be used" not in shown.stderr
        text, _, statistics = shown.stdout.rstrip().rpartition(b"\n")
        assert b"tokensPerSecond" in statistics
        texts.append(text)
        counted = subprocess.run([*map(str, command), "--json"], capture_output=True, timeout=120)
        drafted += sum(plan["drafted"] for plan in json.loads(counted.stdout)["passes"])
    assert drafted > 20
    assert texts[0] == texts[1] and len(texts[0]) > 40


def test_text_is_split_as_qwen2_does(folder):
    vocabulary = Vocabulary(folder / "tiny.gguf")
    tokens = vocabulary.tokenize("(the 12\r\n\n  in")
    # A sign goes with the word behind it, one of two spaces too; digits stand alone.
    assert [vocabulary.tokens[token] for token in tokens] == [
        "(",
        "t",
        "he",
        "Ġ",
        "1",
        "2",
        "č",
        "Ċ",
        "Ċ",
        "Ġ",
        "Ġ",
        "in",
    ]


def test_what_the_command_line_leaves_open(folder):
    config = for_target(Config(target=folder / "tiny.gguf", work=folder / "work"), {"licence"})
    assert config.output == folder / "work" / "tiny.dflash.gguf"
    assert config.name == "tiny block-diffusion drafter"
    assert config.licence == Config.licence
    assert config.taps == (2,)
    assert spread_taps(30) == (2, 9, 15, 21, 28)
    assert spread_taps(24) == (2, 7, 12, 17, 22)
    assert all(0 < tap < layers for layers in range(2, 80) for tap in spread_taps(layers))


def test_an_unknown_architecture_is_refused(tmp_path):
    write_target(tmp_path / "tiny.gguf", "starcoder2")
    with pytest.raises(SystemExit, match="llama, qwen2, qwen3"):
        Target(tmp_path / "tiny.gguf")
