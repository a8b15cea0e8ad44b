"""Asked and decoded shards as tensors on a device, and batches of them; hidden states are computed for each batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..batches import LOOKED_UP_SHARE, Batch
from ..config import Config
from ..features import JOIN_MATCH, JOIN_PHRASE, SOFT_TOP
from .asked import AskedShard, Flat, folder_of
from .cut import cut_path
from .decode import decoded_path
from .half_target import HalfTarget
from .look_up import looked_up_path

# Batches whose sequences are sorted by length among each other.
MIXED = 50
# Rows that a slot sees; in the engine 128 to 143 (native/core/own_block_network).
WINDOW = (192, 256)


@dataclass
class Data:
    """N answers of at least two tokens, M places after which a block can be drafted."""

    tokens: Tensor  # [N, T] int32, prompt and answer, padded behind
    prompts: Tensor  # [N] int64, tokens of the prompt
    totals: Tensor  # [N] int64, tokens in all
    firsts: Tensor  # [N] int64, index of the first place
    seeds: Tensor  # [M, block] int32, looked-up tokens or a phrase, -1 for none
    clear: Tensor  # [M] bool, see Features.clear

    def __len__(self) -> int:
        """N."""
        return len(self.totals)

    def places(self, rows: Tensor) -> Tensor:
        """Of each answer, how many places it has [G]."""
        return self.totals[rows] - self.prompts[rows] - 1


def load(config: Config) -> Data:
    """Everything that is decoded and cut."""
    sequences: list[np.ndarray] = []
    prompts, totals, firsts = [], [], []
    seeds, clear = [], []
    place = 0
    with np.load(cut_path(config)) as kept:
        for path in sorted(folder_of(config).glob("*.npz")):
            index = int(path.stem)
            if path.stem not in kept or not looked_up_path(config, index).exists():
                continue
            with np.load(decoded_path(config, index)) as file:
                answers = Flat(file["tokens"], file["lengths"])
            with np.load(looked_up_path(config, index)) as file:
                own, matches, phrases = file["seeds"], file["matches"], file["phrases"]
            seeds.append(own)
            clear.append(np.where(phrases > 0, phrases >= JOIN_PHRASE, matches >= JOIN_MATCH))
            lists = zip(AskedShard.load(path).prompts.lists(), answers.lists(), kept[path.stem].tolist(), strict=True)
            for prompt, answer, count in lists:
                if count >= 2 and len(prompt):
                    sequences.append(np.concatenate([prompt, answer[:count]]).astype(np.int32))
                    prompts.append(len(prompt))
                    totals.append(len(prompt) + count)
                    firsts.append(place)
                place += max(0, count - 1)
    tokens = np.zeros((len(sequences), max(totals)), np.int32)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = sequence
    arrays = [
        tokens,
        np.array(prompts),
        np.array(totals),
        np.array(firsts),
        np.concatenate(seeds),
        np.concatenate(clear),
    ]
    return Data(*(torch.from_numpy(array).to(config.device) for array in arrays))


def batches(data: Data, rows: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """An epoch: indices of the answers `rows`, `size` at a time, those of like length together, in a random order."""
    mixed = rows[torch.randperm(len(rows), generator=generator, device=rows.device)]
    for some in mixed.split(MIXED * size):
        pieces = some[data.totals[some].argsort()].split(size)
        for piece in torch.randperm(len(pieces), generator=generator, device=rows.device).tolist():
            yield pieces[piece]


def make_batch(data: Data, target: HalfTarget, rows: Tensor, config: Config, generator: torch.Generator) -> Batch:
    """The tensors of `config.anchors` places of each answer `rows` [G], drawn as batches.drawn_places draws them."""
    device, block = rows.device, config.block
    totals, prompts, count = data.totals[rows], data.prompts[rows], data.places(rows)
    longest, most = int(totals.max()), int(count.max())
    ids = data.tokens[rows, :longest].long()
    hidden, taps = target.hidden(ids[:, :-1], config.taps)
    drawn = draw(data, rows, most, config.anchors, generator)  # [G, A]
    anchors = prompts[:, None] + drawn
    slots = torch.arange(block, device=device)
    following = anchors[:, :, None] + 1 + slots
    known = following < totals[:, None, None]
    flat = following.clamp(max=longest - 1).flatten(1)
    labels = torch.where(known, ids.gather(1, flat).view_as(following), -1)
    soft_ids, soft_p = soft_labels(target, hidden, prompts, count, most)
    at = (drawn[:, :, None] + slots).clamp(max=most - 1)
    group = torch.arange(len(rows), device=device)[:, None, None]
    positions = torch.arange(longest - 1, device=device)
    window = torch.randint(*WINDOW, (len(rows), 1, 1), generator=generator, device=device)
    before = anchors[:, :, None] - positions
    nothing = anchors[:, :0]
    return Batch(
        taps=taps,
        row_positions=positions.expand(len(rows), -1),
        visible=(before > 0) & (before <= window),
        anchors=anchors,
        anchor_tokens=ids.gather(1, anchors),
        seeds=data.seeds[data.firsts[rows, None] + drawn].long(),
        labels=labels,
        soft_ids=torch.where(known[..., None], soft_ids[group, at], -1),
        soft_p=soft_p[group, at] * known[..., None],
        after=nothing,
        after_positions=nothing,
        after_visible=nothing[:, None].expand(-1, config.anchors, -1).bool(),
    )


def draw(data: Data, rows: Tensor, most: int, wanted: int, generator: torch.Generator) -> Tensor:
    """Places [G, wanted] of each answer, clear ones more seldom; each once before any comes again."""
    count = data.places(rows)
    place = torch.arange(most, device=rows.device)
    inside = place < count[:, None]
    at = (data.firsts[rows, None] + place).clamp(max=len(data.clear) - 1)
    # Exponential clocks: the earliest ones are a draw without replacement by weight.
    clocks = torch.empty(inside.shape, device=rows.device).exponential_(generator=generator)
    clocks = torch.where(data.clear[at], clocks / LOOKED_UP_SHARE, clocks).masked_fill(~inside, torch.inf)
    order = clocks.argsort(1)
    return order.gather(1, torch.arange(wanted, device=rows.device) % count[:, None])


@torch.no_grad()
def soft_labels(target: HalfTarget, hidden: Tensor, prompts: Tensor, count: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The target's SOFT_TOP most probable next tokens [G, most, SOFT_TOP] and their probabilities at every place."""
    place = torch.arange(most, device=hidden.device)
    group, at = torch.nonzero(place < count[:, None], as_tuple=True)
    top = torch.softmax(target.logits(hidden[group, prompts[group] + at]), -1).topk(SOFT_TOP)
    ids = torch.zeros(len(count), most, SOFT_TOP, dtype=torch.long, device=hidden.device)
    p = torch.zeros(len(count), most, SOFT_TOP, device=hidden.device)
    ids[group, at], p[group, at] = top.indices, top.values
    return ids, p
