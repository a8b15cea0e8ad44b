"""Training windows: tokens with masks, what stood there, and how much each mask's loss weighs."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .settings import Settings
from .text import DISTANCES, followers


@dataclass
class Windows:
    """B windows of T tokens. `clean` are the tokens before noise; `weights` [B, T] are zero where nothing is masked and
    sum, in expectation, to the number of noised places."""

    ids: Tensor
    clean: Tensor
    weights: Tensor


def noise_times(count: int, least: float, rng: np.random.Generator) -> np.ndarray:
    """One time for each window, spread evenly over [least, 1] (MDLM, appendix C.3: low-discrepancy sampler)."""
    spread = (rng.random() + np.arange(count) / count) % 1.0
    return least + (1 - least) * spread


def noised(tokens: np.ndarray, first: int, mask_id: int, rng: np.random.Generator) -> Windows:
    """Mask every place from `first` on with probability t (loglinear schedule), weigh the masks by 1/t: MDLM's
    continuous-time bound, equation 10, of the places from `first` on given those before."""
    count, length = tokens.shape
    places = length - first
    t = noise_times(count, 1 / places, rng)[:, None]
    masked = np.zeros(tokens.shape, bool)
    masked[:, first:] = rng.random((count, places)) < t
    weights = np.where(masked, 1 / t, 0.0)
    ids = np.where(masked, mask_id, tokens)
    return Windows(torch.from_numpy(ids), torch.from_numpy(tokens), torch.from_numpy(weights).float())


def drawn(tokens: np.ndarray, count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """`count` pieces of the text, [count, length] int64."""
    starts = rng.integers(0, len(tokens) - length, count)
    return tokens[starts[:, None] + np.arange(length)].astype(np.int64)


def text_windows(tokens: np.ndarray, settings: Settings, mask_id: int, rng: np.random.Generator) -> Windows:
    """Noise over whole windows, or over the last block only, as a drafter meets it."""
    length = int(rng.choice(settings.lengths))
    pieces = drawn(tokens, max(1, settings.step_tokens // length), length, rng)
    draft = rng.random() < settings.draft_share
    return noised(pieces, length - min(settings.block, length // 2) if draft else 0, mask_id, rng)


class CountedWindows:
    """Windows of one token and a mask for each distance. Their labels are distributions over kept rows, counted in all
    of the text: the same bound in expectation, at the cost of one window a token instead of one a place."""

    def __init__(
        self, tokens: np.ndarray, row_of: np.ndarray, rows: int, distances: tuple[int, ...] = DISTANCES
    ) -> None:
        self.rows = rows
        self.first = np.bincount(tokens, minlength=len(row_of))
        self.starts: list[np.ndarray] = []
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []
        for distance in distances:
            keys, counts = followers(tokens, distance, row_of, rows)
            self.pairs.append((keys % rows, counts))
            self.starts.append(np.searchsorted(keys, np.arange(len(row_of) + 1) * rows))
        chance = self.first.astype(np.float64) ** 0.8
        self.chance = chance / chance.sum()

    def draw(self, count: int, mask_id: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """ids [count, 1 + distances] and label distributions [count, distances, rows], all zero where none was seen."""
        chosen = rng.choice(len(self.chance), count, p=self.chance)
        labels = np.zeros((count, len(self.pairs), self.rows), np.float32)
        for place, (starts, (columns, counts)) in enumerate(zip(self.starts, self.pairs, strict=True)):
            for row, token in enumerate(chosen):
                span = slice(starts[token], starts[token + 1])
                labels[row, place, columns[span]] = counts[span] / max(1, counts[span].sum())
        ids = np.full((count, 1 + len(self.pairs)), mask_id)
        ids[:, 0] = chosen
        return torch.from_numpy(ids), torch.from_numpy(labels)
