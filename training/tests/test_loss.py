import torch

from specdiff_train.loss import dpace_weights, drafting_loss, expected_length, vat_weights


def test_vat_weights_start_anew_at_the_first_rejection():
    weights = vat_weights(torch.tensor([[True, True, False, True], [False, True, True, True]]), 2.0)
    decay = torch.exp(-torch.arange(4) / 2.0)
    assert torch.allclose(weights[0], torch.tensor([1.0, 1.0, decay[0], decay[1]]))
    assert torch.allclose(weights[1], decay)


def test_dpace_weights_are_sums_of_path_probabilities():
    q = torch.tensor([[0.5, 0.25]])
    first, second = 0.75, 0.75 * 0.625
    expected = torch.tensor([[first + second, second * float(torch.exp(torch.tensor(-0.5)))]])
    assert torch.allclose(dpace_weights(q, 2.0), expected)


def test_the_loss_falls_when_the_labels_become_likely_and_ignores_unknown_ones():
    labels = torch.tensor([[1, 2, -1]])
    soft_index, soft_p = labels.unsqueeze(-1), torch.ones(1, 3, 1)
    logits = torch.zeros(1, 3, 5)
    likely = logits.clone()
    likely[0, 0, 1] = likely[0, 1, 2] = 4.0
    other = likely.clone()
    other[0, 2] = torch.randn(5)
    for kind in ("vat", "dpace", "decay", "chain"):
        value = drafting_loss(likely, labels, soft_index, soft_p, 4.0, kind)
        assert value < drafting_loss(logits, labels, soft_index, soft_p, 4.0, kind)
        assert torch.allclose(value, drafting_loss(other, labels, soft_index, soft_p, 4.0, kind))


def test_expected_length_ends_at_an_unknown_label():
    q = torch.tensor([[0.5, 0.5, 0.5], [1.0, 1.0, 1.0]])
    known = torch.tensor([[True, True, True], [True, False, True]])
    assert torch.isclose(expected_length(q.log(), known), torch.tensor((0.5 + 0.25 + 0.125 + 1) / 6))
