from dataclasses import replace

import gguf
import pytest
import torch

from specdiff_train.calibration import (
    LOOKED_AT,
    SPEAKERS,
    Block,
    Calibration,
    Places,
    calibration_error,
    choices,
    expected_calibration_error,
    fit,
    joined,
    log_odds,
    offsets,
    places_of,
    sizes,
)
from specdiff_train.drafting import TOP, Drafted
from specdiff_train.evidence import Evidence, evidence_of
from specdiff_train.export import export
from specdiff_train.features import index_of
from specdiff_train.phrases import Counts, Phrases, hash_with
from specdiff_train.shards import Sequence
from specdiff_train.train import train

BLOCK = 2
NOTHING = Evidence(0, -1, 0, -1, 0)


def truth() -> Calibration:
    """Odds that no fit would find by chance."""
    generator = torch.Generator().manual_seed(4)
    values = [torch.rand(size, generator=generator, dtype=torch.float64) * 2 - 0.5 for size in sizes(BLOCK)]
    values[0] += 0.8  # slopes
    return Calibration(*values)


def places_by(calibration: Calibration, count: int, seed: int) -> Places:
    """Places whose right token is drawn as `calibration` says."""
    generator = torch.Generator().manual_seed(seed)
    at, zero = offsets(BLOCK), sum(sizes(BLOCK))
    places = torch.randint(0, BLOCK, (count,), generator=generator)
    gaps = -4 * torch.rand(count, LOOKED_AT, generator=generator, dtype=torch.float64).sort(1).values
    gaps[:, 0] = 0
    gaps[:, TOP:] = gaps[:, TOP - 1 : TOP]
    speakers = torch.full((count, LOOKED_AT, SPEAKERS), zero)
    speakers[:, TOP:, 0] = at["absent"] + places[:, None]
    # Anything may speak for any token.
    speakers[:, :, 1] = torch.randint(2 * BLOCK, zero + 1, (count, LOOKED_AT), generator=generator)
    tests = Places(torch.arange(LOOKED_AT).repeat(count, 1), gaps, speakers, places, torch.zeros(count).long())
    chances = torch.softmax(log_odds(tests, calibration.weights(), BLOCK), 1)
    tests.right = torch.multinomial(chances, 1, generator=generator)[:, 0]
    return tests


def test_the_fit_finds_what_tokens_follow():
    wanted, other = truth(), places_by(truth(), 5_000, 2)
    found = fit(places_by(wanted, 40_000, 1), BLOCK)
    assert found is not None
    odds = [torch.softmax(log_odds(other, one.weights(), BLOCK), 1) for one in (found, wanted)]
    assert (odds[0] - odds[1]).abs().max() < 0.08
    # Every place is the first of a draft here, so all are tested.
    other.slots[:] = 0
    error, tested = calibration_error(other, found)
    assert tested == 5_000
    best, chances = choices(other, found)
    right = (best == other.right).double()
    assert error == pytest.approx(expected_calibration_error(chances, right))
    assert expected_calibration_error(torch.full_like(right, 0.95), right) > 0.2
    assert fit(places_by(wanted, 10, 3), BLOCK) is None


def test_what_speaks_for_a_token_is_counted_once_each():
    drafted = Drafted([[5, 6, 7, 8], [9, 5, 6, 7]], [[0.0, -1.0, -2.0, -3.0], [0.0, -0.5, -1.0, -1.5]])
    said = [Evidence(3, 5, 2, 30, 1), Evidence(1, 40, 4, 40, 3)]
    at, zero = offsets(BLOCK), sum(sizes(BLOCK))
    tests = places_of([Block(drafted, [5, 6], said, [5, 40])], BLOCK)
    assert tests.tokens[0].tolist() == [5, 6, 7, 8, 30, -1, -1]
    assert tests.gaps[0, :5].tolist() == [0, -1, -2, -3, -3]
    # Of what the slot began from, its place and a match of three that it has heard of.
    assert sorted(tests.speakers[0, 0].tolist()) == sorted([at["copied"], at["matched_copied"] + 2, zero, zero])
    assert sorted(tests.speakers[0, 4].tolist()) == sorted([at["absent"], at["phrases"] + 4 + 1, zero, zero])
    # The copy was right so far; a match and a phrase agree on a token that is none of the slot's.
    assert sorted(tests.speakers[1, 2].tolist()) == sorted([at["copied"] + 1, zero, zero, zero])
    assert sorted(tests.speakers[1, 4].tolist()) == sorted(
        [at["absent"] + 1, at["matched"], at["phrases"] + 12 + 3, zero]
    )
    assert tests.right.tolist() == [0, 4]
    # The copy has ended where it was wrong, and the answer ends where nothing more is known.
    other = places_of([Block(drafted, [6, 6], said, [5])], BLOCK)
    assert other.slots.tolist() == [0]
    assert at["copied"] + 1 not in places_of([Block(drafted, [6, 6], said, [5, 40])], BLOCK).speakers[1].flatten()


def test_tokens_are_tested_up_to_the_first_wrong_one():
    tests = places_by(truth(), 6, 1)
    tests.slots = torch.tensor([0, 1, 2, 0, 1, 0])
    passed = torch.tensor([True, False, True, False, True, True])
    assert tests.reached(passed).tolist() == [True, True, False, True, False, True]


def test_the_likeliest_token_is_drafted():
    drafted = Drafted([[5, 6, 7, 8]] * 2, [[0.0, -1.0, -2.0, -3.0]] * 2)
    zeros = [torch.zeros(size, dtype=torch.float64) for size in sizes(BLOCK)]
    zeros[0] += 1
    odds = Calibration(*zeros)
    odds.matched[4] = 2.5
    strong, weak = Evidence(5, 7, 0, -1, 0), Evidence(4, 7, 0, -1, 0)
    blocks = [Block(drafted, [-1, -1], [strong, weak], [7, 5]), Block(drafted, [-1, -1], [weak, strong], [5])]
    assert joined(blocks, odds) == [[7, 5], [5]]
    odds.copied[:] = 9
    assert joined([Block(drafted, [7, 6], [strong, weak], [7, 6])], odds) == [[7, 6]]
    # Behind a wrong token there is no copy to go on with.
    assert joined([Block(drafted, [6, 6], [strong, weak], [7, 6])], odds) == [[6, 5]]


def test_evidence_is_what_lookup_and_phrases_say_behind_the_right_tokens():
    counts = {}
    for context, token, count, second in [([3], 4, 9, 0), ([2, 3], 5, 4, 2), ([4], 6, 3, 3)]:
        digest = 0
        for one in reversed(context):
            digest = hash_with(digest, one)
        counts[digest >> 32] = (token, count, second)
    phrases = Phrases(Counts(*(torch.zeros(0).numpy() for _ in range(4))))
    phrases.table = counts
    sequence = Sequence([1, 2, 3, 4, 1, 2, 3, 9, 4, 8], 6, [7, 1, 2], "code", "python", "p", 0.0)
    said = evidence_of(sequence, phrases, 3)
    assert [len(places) for places in said] == [3, 2, 1][: len(sequence.anchors)]
    # Behind 1 2 3 (positions 4 to 6) the text went on with 4; the phrase of two tokens wins over that of one.
    first = said[0][0]
    assert (first.matched, first.copied) == (3, 4)
    assert (first.known, first.phrase, first.sureness) == (2, 5, 0)
    # Behind 9, which never came before, nothing is known; behind 4, though the answer has left the copy, what was.
    assert said[0][1] == NOTHING
    assert (said[0][2].matched, said[0][2].copied, said[0][2].known) == (1, 1, 1)
    assert index_of(sequence, 8).find(1)[0] == 2


def test_the_export_says_what_tokens_are_worth(config, capsys):
    train(replace(config, train_steps=2))
    export(config)
    assert "calibration error" in capsys.readouterr().out
    fields = gguf.GGUFReader(config.output).fields
    found = {name: len(fields[f"specdiff.survival.{name}"].contents()) for name in offsets(config.block)}
    assert list(found.values()) == sizes(config.block)
