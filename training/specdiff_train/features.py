"""What the target computes for a shard: tapped hidden states of every row, and its most probable next tokens.

On a CPU the engine computes them, as it does when serving (quantized, our kernels); on CUDA PyTorch does, from the
dequantized weights, which differ by about 1 %. They are kept in WORK/features as long as `feature_gigabytes` allow.
"""

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from . import engine
from .config import Config
from .lookup import LONGEST, NgramIndex
from .pause import wait_while_paused
from .phrases import PhraseBook, Phrases, read_counts
from .shards import TRAINED_ON, Sequence, Shard
from .storage import file_sha256, reserve, write_atomic
from .target import Target

SOFT_TOP = 16
CONTEXT_TOKENS = 1024
# Looked-up tokens that are kept of each place: as long as any block may be.
LOOKED_UP = 16
# A match of so many tokens is mostly right, whatever the drafter says; the same for a phrase.
JOIN_MATCH = 2
JOIN_PHRASE = 3


@dataclass
class Features:
    """Of one shard: R computed rows, N answer positions in all."""

    taps: np.ndarray  # [R, taps·d] fp16, memory-mapped
    positions: np.ndarray  # [R] int32, each row's place in its sequence
    soft_ids: np.ndarray  # [N, SOFT_TOP] int32, most probable next tokens at each anchor
    soft_p: np.ndarray  # [N, SOFT_TOP] float32
    copied: np.ndarray  # [N, block] int32, looked-up tokens after each anchor, -1 where none
    matches: np.ndarray  # [N] int8, tokens of the suffix that the lookup matched
    seeds: np.ndarray  # [N, block] int32, the same, or a phrase where it is known by more tokens
    phrases: np.ndarray  # [N] int8, tokens that the phrase is known by, 0 where the seeds are looked up
    rows: list[np.ndarray]  # of each sequence: indices of its rows
    starts: list[int]  # of each sequence: index of its first answer position

    def clear(self, place: int) -> bool:
        """Whether an answer position's seeds are mostly right as they are."""
        phrase = self.phrases[place]
        return bool(phrase >= JOIN_PHRASE if phrase else self.matches[place] >= JOIN_MATCH)


class FeatureStore:
    """Computes features when they are asked for, one shard ahead in the background."""

    def __init__(self, config: Config, target: Target) -> None:
        self.config, self.target = config, target
        self.folder = config.work / "features"
        self.lock = threading.Lock()
        self.ahead: threading.Thread | None = None
        self.failure: BaseException | None = None
        given = read_counts(config.phrases) if config.phrases else None
        self.book = PhraseBook(config.work / "answers", config.phrase_tokens, config.phrase_entries, given)
        if config.device == "cpu":
            engine.build()

    def get(self, shard: Shard) -> Features:
        """Features of a shard, computed where they are not there."""
        self.wait()
        with self.lock:
            return self._get(shard)

    def prefetch(self, shard: Shard) -> None:
        """Begin to compute a shard's features in the background."""
        self.wait()

        def work() -> None:
            try:
                with self.lock:
                    if not self._known(shard):
                        self._compute(shard)
            except BaseException as error:  # told where the result is wanted
                self.failure = error

        self.ahead = threading.Thread(target=work, daemon=True)
        self.ahead.start()

    def wait(self) -> None:
        """Wait for the background work."""
        if self.ahead:
            self.ahead.join()
            self.ahead = None
        if self.failure:
            failure, self.failure = self.failure, None
            raise failure

    def _paths(self, shard: Shard) -> tuple[Path, Path]:
        name = shard.path.stem
        return self.folder / f"{name}.taps.npy", self.folder / f"{name}.npz"

    def _get(self, shard: Shard) -> Features:
        taps_path, rest_path = self._paths(shard)
        if not self._known(shard):
            self._compute(shard)
        rest = np.load(rest_path)
        rows, starts = layout(shard)
        block = self.config.block
        copied = rest["seeds"][:, :block] if LOOKED_UP >= block else looked_up(shard, block)[0]
        seeds, phrases = with_phrases(shard, copied, rest["matches"], partial(self.book.of, shard))
        return Features(
            np.load(taps_path, mmap_mode="r"),
            rest["positions"],
            rest["soft_ids"],
            rest["soft_p"],
            copied,
            rest["matches"],
            seeds,
            phrases,
            rows,
            starts,
        )

    def _made_of(self, shard: Shard) -> str:
        """What a shard's features hang on, besides the target."""
        return f"{file_sha256(shard.path)} {self.config.taps} {self.config.device}"

    def _known(self, shard: Shard) -> bool:
        """Whether they are there and of this shard, these taps and this device."""
        taps_path, rest_path = self._paths(shard)
        if not (taps_path.exists() and rest_path.exists()):
            return False
        rest = np.load(rest_path)
        return "made_of" in rest and str(rest["made_of"]) == self._made_of(shard)

    def _compute(self, shard: Shard) -> None:
        taps_path, rest_path = self._paths(shard)
        rest_path.unlink(missing_ok=True)  # it says of which shard the taps are
        width = len(self.config.taps) * self.target.width
        self._make_room(shard.new_rows * width * 2)
        self.folder.mkdir(parents=True, exist_ok=True)
        soft: list[tuple[np.ndarray, np.ndarray]] = []

        def put_taps(part: Path) -> None:
            out = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=(shard.new_rows, width))
            reserve(part)
            compute = engine_rows if self.config.device == "cpu" else torch_rows
            place = 0
            for taps, ids, p in compute(self.config, self.target, shard):
                wait_while_paused()  # the engine then waits for a reader
                out[place : place + len(taps)] = taps
                place += len(taps)
                soft.append((ids, p))
            if not np.isfinite(out[::7]).all():
                raise SystemExit("features: a hidden state overflows fp16; choose other --taps for this target.")
            out.flush()

        write_atomic(taps_path, put_taps)
        seeds, matches = looked_up(shard, LOOKED_UP)
        positions = np.concatenate([np.arange(s.shared, s.rows, dtype=np.int32) for s in shard.sequences])

        def put_rest(part: Path) -> None:
            with part.open("wb") as file:
                np.savez(
                    file,
                    positions=positions,
                    soft_ids=np.concatenate([ids for ids, _ in soft]),
                    soft_p=np.concatenate([p for _, p in soft]),
                    seeds=seeds,
                    matches=matches,
                    made_of=self._made_of(shard),
                )

        write_atomic(rest_path, put_rest)

    def _make_room(self, wanted: int) -> None:
        taps = [path for split in TRAINED_ON for path in self.folder.glob(f"{split}_*.taps.npy")]
        files = sorted(taps, key=lambda path: path.stat().st_mtime)
        used = sum(path.stat().st_size for path in files)
        for path in files:
            if used + wanted <= self.config.feature_gigabytes * 1e9:
                return
            used -= path.stat().st_size
            path.with_suffix("").with_suffix(".npz").unlink(missing_ok=True)
            path.unlink()


def layout(shard: Shard) -> tuple[list[np.ndarray], list[int]]:
    """Row indices of each sequence, and where its answer positions begin."""
    rows: list[np.ndarray] = []
    starts: list[int] = []
    place = position = 0
    for index, sequence in enumerate(shard.sequences):
        new = sequence.rows - sequence.shared
        own = np.arange(place, place + new)
        rows.append(np.concatenate([rows[index - 1][: sequence.shared], own]) if sequence.shared else own)
        starts.append(position)
        place += new
        position += len(sequence.anchors)
    return rows, starts


Computed = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]


def engine_rows(config: Config, target: Target, shard: Shard) -> Computed:
    """Each sequence's new rows [n, taps·d] fp16, and top tokens and probabilities [anchors, SOFT_TOP]: the engine's."""
    command = [
        str(engine.program("taps")), "--target", str(config.target), "--native", str(engine.libraries()),
        "--layers", ",".join(map(str, config.taps)), "--top", str(SOFT_TOP), "--context", str(CONTEXT_TOKENS),
        "--threads", str(config.engine_threads),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def send() -> None:
        try:
            for s in shard.sequences:
                stdin.write(f"{s.shared} {s.prompt_tokens} {' '.join(map(str, s.tokens[:-1]))}\n".encode())
            stdin.close()
        except BrokenPipeError:
            pass

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    top = min(SOFT_TOP, target.head.shape[0])

    def take(count: int, kind: type, columns: int) -> np.ndarray:
        size = count * columns * np.dtype(kind).itemsize
        data = stdout.read(size)
        if len(data) < size:
            process.wait()
            raise SystemExit("features: the engine stopped; see the line above.")
        return np.frombuffer(data, kind).reshape(count, columns)

    for s in shard.sequences:
        taps = take(s.rows - s.shared, np.float16, len(config.taps) * target.width)
        yield taps, take(len(s.anchors), np.int32, top), take(len(s.anchors), np.float32, top)
    process.wait()


def torch_rows(config: Config, target: Target, shard: Shard) -> Computed:
    """The same by PyTorch, for a GPU."""
    for s in shard.sequences:
        hidden, taps = target.hidden(torch.tensor([s.tokens[:-1]], device=config.device), config.taps)
        probabilities = torch.softmax(target.logits(hidden[0, s.prompt_tokens :]), -1)
        top = probabilities.topk(min(SOFT_TOP, probabilities.shape[-1]))
        ids, p = top.indices.int().cpu().numpy(), top.values.float().cpu().numpy()
        yield taps[0, s.shared :].cpu().numpy(), ids, p


def looked_up(shard: Shard, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Seeds [N, block] and match lengths [N] at every answer position, as the engine looks them up."""
    seeds, matches = [], []
    for sequence in shard.sequences:
        index = index_of(sequence)
        for anchor in sequence.anchors:
            index.append(sequence.tokens[anchor])
            length, found = index.find(block)
            matches.append(length)
            seeds.append(found + [-1] * (block - len(found)))
    return np.array(seeds, np.int32).reshape(-1, block), np.array(matches, np.int8)


def with_phrases(
    shard: Shard, copied: np.ndarray, matches: np.ndarray, phrases_for: Callable[[Sequence], Phrases]
) -> tuple[np.ndarray, np.ndarray]:
    """Seeds [N, block] and the lengths [N] of the contexts of those that are phrases, as the engine chooses them."""
    seeds, lengths = copied.copy(), np.zeros(len(copied), np.int8)
    block = seeds.shape[1]
    place = 0
    for sequence in shard.sequences:
        phrases = phrases_for(sequence)
        for anchor in sequence.anchors:
            if matches[place] < LONGEST:
                length, found = phrases.follow(sequence.tokens[: anchor + 1], block, LONGEST, int(matches[place]))
                if length:
                    seeds[place] = found + [-1] * (block - len(found))
                    lengths[place] = length
            place += 1
    return seeds, lengths


def index_of(sequence: Sequence, longest: int = LONGEST) -> NgramIndex:
    """Lookup over a sequence's other texts and its prompt."""
    index = NgramIndex(longest)
    index.extend(sequence.lookup)
    index.separate()
    index.extend(sequence.tokens[: sequence.prompt_tokens])
    return index
