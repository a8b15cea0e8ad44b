from dataclasses import replace

import gguf
import torch

from specdiff_train.calibration import (
    Block,
    Calibration,
    Copied,
    Reached,
    copies_reached,
    expected_calibration_error,
    fit,
    joined,
    slots_reached,
)
from specdiff_train.drafting import AGREES, ALONE, CLASSES, DIFFERS, Drafted
from specdiff_train.export import export
from specdiff_train.train import train

TRUTH = Calibration(
    torch.tensor([0.6, 0.5, 0.4]).double(),
    torch.tensor([-1.8, 0.3, -2.5]).double(),
    torch.tensor([0.0, 0.4]).double(),
    torch.tensor([-1.0, 0.0, 1.5, -2.0, -1.0, -1.0, -0.5]).double(),
    torch.tensor([-0.5, 0.3]).double(),
)


def slots_by(truth: Calibration, count: int, seed: int) -> Reached:
    """Slots that are right as often as `truth` says."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(0, len(truth.places), (count,), generator=generator)
    states = torch.randint(0, 3, (count,), generator=generator)
    margins = 4 * torch.rand(count, generator=generator, dtype=torch.float64)
    tests = Reached(places, margins, states, torch.zeros(count, dtype=torch.float64))
    tests.right = (torch.rand(count, generator=generator) < truth.chances(tests)).double()
    return tests


def copies_by(truth: Calibration, count: int, seed: int) -> Copied:
    """Looked-up tokens that are right as often as `truth` says."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(0, len(truth.copied_places), (count,), generator=generator)
    classes = torch.randint(0, CLASSES, (count,), generator=generator)
    chances = torch.sigmoid(truth.copied[classes] + truth.copied_places[places])
    return Copied(places, classes, (torch.rand(count, generator=generator) < chances).double())


def test_the_fit_finds_what_tokens_follow():
    found = fit(slots_by(TRUTH, 20_000, 1), copies_by(TRUTH, 20_000, 3), 2)
    other = slots_by(TRUTH, 20_000, 2)
    assert found is not None
    assert (found.chances(other) - TRUTH.chances(other)).abs().max() < 0.06
    for place in range(2):
        odds = found.copied + found.copied_places[place], TRUTH.copied + TRUTH.copied_places[place]
        assert (torch.sigmoid(odds[0]) - torch.sigmoid(odds[1])).abs().max() < 0.06
    assert expected_calibration_error(found.chances(other), other.right) < 0.02
    flat = torch.full_like(other.right, 0.9)
    assert expected_calibration_error(flat, other.right) > 0.2
    assert fit(slots_by(TRUTH, 10, 3), copies_by(TRUTH, 10, 3), 2) is None


def test_tokens_are_tested_up_to_the_first_wrong_one():
    drafted = Drafted([5, 6, 7, 8], [1.0, 2.0, 3.0, 4.0])
    block = Block(drafted, [5, 9, 7, -1], 2, [5, 6, 0, 8])
    # The copy ends where the block's token differs from it.
    assert slots_reached(block) == [(0, 1.0, AGREES, True), (1, 2.0, DIFFERS, True), (2, 3.0, ALONE, False)]
    assert copies_reached(block) == [(1, 2, False)]
    # A copy goes on where it was right and the block was not.
    other = Block(drafted, [4, 9, 7, -1], 5, [4, 9, 3, 8])
    assert slots_reached(other) == [(0, 1.0, DIFFERS, False)]
    assert copies_reached(other) == [(0, 5, True), (1, 5, True)]
    assert slots_reached(Block(drafted, [5, 9, 7, -1], 2, [])) == []


def test_the_more_promising_token_is_drafted():
    drafted = Drafted([5, 6, 7], [1.0, 3.0, 0.0])
    truth = replace(TRUTH, places=torch.zeros(3), copied_places=torch.zeros(3))
    # A phrase's odds of -2 against -2.5 + 0.4 · margin of the block's.
    assert joined(drafted, [5, 9, 9], 3, truth) == [5, 6, 7]
    assert joined(drafted, [9, 9, 8], 3, truth) == [9, 6, 7]
    assert joined(drafted, [9, 9, 8], 2, truth) == [9, 9, 8]
    assert joined(drafted, [9, -1, 8], 2, truth) == [9, 6, 7]


def test_the_export_says_what_margins_are_worth(config, capsys):
    train(replace(config, train_steps=2))
    export(config)
    assert "calibration error" in capsys.readouterr().out
    fields = gguf.GGUFReader(config.output).fields
    sizes = {name: len(fields[f"specdiff.survival.{name}"].contents()) for name in vars(TRUTH)}
    assert sizes == {"scale": 3, "bias": 3, "places": 7, "copied": CLASSES, "copied_places": 7}
