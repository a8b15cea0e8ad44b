from dataclasses import replace

import gguf
import torch

from specdiff_train.calibration import (
    AGREES,
    ALONE,
    DIFFERS,
    Calibration,
    Reached,
    expected_calibration_error,
    fit,
    slots_reached,
)
from specdiff_train.export import export
from specdiff_train.train import train


def sampled(truth: Calibration, count: int, seed: int) -> Reached:
    """Slots that are right as often as `truth` says."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(0, len(truth.places), (count,), generator=generator)
    states = torch.randint(0, 3, (count,), generator=generator)
    margins = 4 * torch.rand(count, generator=generator, dtype=torch.float64)
    tests = Reached(places, margins, states, torch.zeros(count, dtype=torch.float64))
    tests.right = (torch.rand(count, generator=generator) < truth.chances(tests)).double()
    return tests


def test_the_fit_finds_what_the_slots_follow():
    truth = Calibration(
        torch.tensor([0.6, 0.5, 0.4]).double(),
        torch.tensor([-1.8, 0.3, -2.5]).double(),
        torch.tensor([0.0, 0.4]).double(),
    )
    found = fit(sampled(truth, 20_000, 1), 2)
    other = sampled(truth, 20_000, 2)
    assert found is not None
    assert (found.chances(other) - truth.chances(other)).abs().max() < 0.06
    assert expected_calibration_error(found.chances(other), other.right) < 0.02
    flat = torch.full_like(other.right, 0.9)
    assert expected_calibration_error(flat, other.right) > 0.2
    assert fit(sampled(truth, 10, 3), 2) is None


def test_slots_are_tested_up_to_the_first_wrong_one():
    rows = slots_reached([5, 6, 7, 8], [1.0, 2.0, 3.0, 4.0], [5, 9, 7, -1], [5, 6, 0, 8])
    # The copy ends where the block's token differs from it.
    assert rows == [(0, 1.0, AGREES, True), (1, 2.0, DIFFERS, True), (2, 3.0, ALONE, False)]
    assert slots_reached([5], [1.0], [5], [-1]) == []


def test_the_export_says_what_margins_are_worth(config, capsys):
    train(replace(config, train_steps=2))
    export(config)
    assert "calibration error" in capsys.readouterr().out
    fields = gguf.GGUFReader(config.output).fields
    sizes = {name: len(fields[f"specdiff.survival.{name}"].contents()) for name in ("scale", "bias", "places")}
    assert sizes == {"scale": 3, "bias": 3, "places": config.block}
