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
    sum, in expectation, to the number of noised places; `masked` are the masks' places in the flattened windows."""

    ids: Tensor
    clean: Tensor
    weights: Tensor
    masked: Tensor

    def to(self, device: torch.device) -> "Windows":
        """The same on a device."""
        return Windows(*(placed(value, device) for value in (self.ids, self.clean, self.weights, self.masked)))


def placed(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor on a device; a GPU is not waited for."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


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
    # Told here, not found on a device, which would have to be waited for.
    places = torch.from_numpy(np.flatnonzero(masked))
    return Windows(torch.from_numpy(ids), torch.from_numpy(tokens), torch.from_numpy(weights).float(), places)


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
    of the text: the same bound in expectation, at the cost of one window a token instead of one a place. They are where
    `row_of` is: a row for each token, -1 where none is kept."""

    def __init__(
        self,
        tokens: np.ndarray,
        row_of: Tensor,
        rows: int,
        distances: tuple[int, ...] = DISTANCES,
    ) -> None:
        self.rows, self.device = rows, row_of.device
        self.pairs: list[Followers] = []
        text = torch.from_numpy(tokens.astype(np.int64)).to(self.device)
        limits = torch.arange(len(row_of) + 1, device=self.device) * rows
        for distance in distances:
            keys, counts = followers(text, distance, row_of, rows)
            starts = torch.searchsorted(keys, limits)
            sums = torch.zeros(len(row_of), dtype=torch.float64, device=self.device)
            sums.index_add_(0, keys // rows, counts.double())
            shares = (counts / sums[keys // rows]).float()
            self.pairs.append(Followers(starts.cpu().numpy(), starts, keys % rows, shares))
        chance = np.bincount(tokens, minlength=len(row_of)).astype(np.float64) ** 0.8
        self.chance = chance / chance.sum()

    def draw(self, count: int, mask_id: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """ids [count, 1 + distances] and label distributions [count, distances, rows], all zero where none was seen."""
        chosen = rng.choice(len(self.chance), count, p=self.chance)
        ids = np.full((count, 1 + len(self.pairs)), mask_id)
        ids[:, 0] = chosen
        tokens = placed(torch.from_numpy(chosen), self.device)
        labels = torch.zeros(count, len(self.pairs), self.rows, device=self.device)
        for place, pairs in enumerate(self.pairs):
            total = int((pairs.limits[chosen + 1] - pairs.limits[chosen]).sum())
            first, lengths = pairs.starts[tokens], pairs.starts[tokens + 1] - pairs.starts[tokens]
            window = torch.repeat_interleave(torch.arange(count, device=self.device), lengths, output_size=total)
            before = lengths.cumsum(0) - lengths
            pair = torch.arange(total, device=self.device) + (first - before)[window]
            labels[:, place].index_put_((window, pairs.rows[pair]), pairs.shares[pair])
        return placed(torch.from_numpy(ids), self.device), labels


@dataclass
class Followers:
    """What follows each token at one distance: token t's are the entries `starts`[t] up to `starts`[t + 1] of `rows`
    and `shares`. `limits` are the starts on the processor."""

    limits: np.ndarray
    starts: Tensor
    rows: Tensor
    shares: Tensor
