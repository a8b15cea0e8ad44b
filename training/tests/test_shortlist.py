"""Factors of the head that tell which tokens are worth its own rows."""

import gguf
import numpy as np
import torch

from specdiff_train.add_shortlist import copy_with
from specdiff_train.batches import all_places, batches_of
from specdiff_train.checkpoint import new_drafter
from specdiff_train.export import write_gguf
from specdiff_train.shortlist import factored, hidden_states, shortlist_of


def test_factors_are_better_than_the_heads_own_of_that_rank():
    torch.manual_seed(1)
    width, rank = 64, 16
    head = torch.randn(500, width)
    head -= head.mean(0)
    # Most of what the states are lies in directions that mean nothing to the head by itself.
    states = (torch.randn(4000, width) * torch.logspace(0, -3, width)) @ torch.linalg.qr(torch.randn(width, width))[0]
    found = factored(head, states[:2000], rank)
    logits = states[2000:] @ head.T
    assert torch.allclose(found.down @ found.spread, torch.eye(rank), atol=1e-3)
    ours = (states[2000:] @ found.down.T) @ (head @ found.spread).T
    u, s, v = torch.linalg.svd(head, full_matrices=False)
    own = states[2000:] @ (u[:, :rank] * s[:rank] @ v[:rank]).T
    error = (ours - logits).pow(2).mean()
    assert error < 0.1 * (own - logits).pow(2).mean()
    assert error < 0.1 * logits.pow(2).mean()


def test_states_are_what_the_head_multiplies(config, target, shards, store):
    drafter = new_drafter(config, target, shards, store.get(shards[0]).taps)
    states = hidden_states(drafter, shards, store)
    features, group = store.get(shards[0]), shards[0].groups[0]
    places = all_places(shards[0], group)
    _, batch = next(iter(batches_of(shards[0], features, group, places, drafter.block, "cpu")))
    with torch.no_grad():
        hidden = drafter.hidden(batch)
        assert torch.equal(drafter(batch), hidden @ drafter.head.T)
    # The batch's are among them, in one piece.
    own = hidden.reshape(-1, drafter.width)
    firsts = (states == own[0]).all(-1).nonzero()[:, 0].tolist()
    assert any(torch.equal(states[first : first + len(own)], own) for first in firsts)
    assert len(hidden_states(drafter, [], store)) == 0


def test_a_file_has_them_in_16_bits_and_can_be_given_them_later(config, target, shards, store):
    drafter = new_drafter(config, target, shards, store.get(shards[0]).taps)
    assert shortlist_of(drafter, [], store) is None
    shortlist = shortlist_of(drafter, shards, store)
    assert shortlist is not None
    assert shortlist.down.shape == (32, drafter.width)
    assert shortlist.spread.shape == (drafter.width, 32)
    before, after = config.work / "before.gguf", config.work / "after.gguf"
    write_gguf(config, target, drafter, before, config.recipe())
    write_gguf(config, target, drafter, config.output, config.recipe(), shortlist=shortlist)
    copy_with(before, after, shortlist)
    copy_with(after, config.work / "again.gguf", shortlist)
    plain = gguf.GGUFReader(before)
    for path in (config.output, after, config.work / "again.gguf"):
        reader = gguf.GGUFReader(path)
        contents = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
        for name, values in vars(shortlist).items():
            bits = np.array(contents.pop(f"specdiff.shortlist.{name}"), np.uint16)
            assert np.array_equal(bits.view(np.float16), values.half().numpy().ravel())
        own = {name: field.contents() for name, field in plain.fields.items() if not name.startswith("GGUF.")}
        assert contents == own
        for one, other in zip(plain.tensors, reader.tensors, strict=True):
            assert one.name == other.name
            assert one.tensor_type == other.tensor_type
            assert np.array_equal(one.data, other.data)
