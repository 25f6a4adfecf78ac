"""Perceptrons of a probe: what they learn from, and with which chance."""

import torch

from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.network import iter_fit_network
from napari_segdino.heads.probe.samples import Sample
from napari_segdino.progress import Progress, drive

PLAIN = Basis((torch.zeros(1),), (torch.eye(1),), stacked=True)
STEPS = 60


def sample(values, codes, weights):
    rows = torch.tensor(values)[:, None]
    code = torch.tensor(codes, dtype=torch.uint8)
    return Sample(
        marks=code[None],
        features=rows.half(),
        codes=code,
        weights=torch.tensor(weights),
        strokes=torch.full((len(codes),), -1),
        parts=torch.ones(len(codes)),
        context=rows.half(),
        widths=torch.tensor([1]),
    )


def trained(one, present, seed=0):
    return drive(iter_fit_network([one], PLAIN, torch.tensor(present), seed, STEPS))


def test_two_sides_of_a_line_are_told_apart_and_a_third_class_is_never():
    one = sample([-1.0, -0.8, 0.8, 1.0], [1, 1, 3, 3], [1.0] * 4)
    probe = trained(one, [True, False, True])
    found = probe.probabilities(torch.tensor([[-0.9], [0.9]]))
    assert found.argmax(1).tolist() == [0, 2]
    assert found[:, 1].tolist() == [0, 0]
    assert torch.allclose(found.sum(1), torch.ones(2))


def test_what_weighs_more_is_drawn_more_often():
    weights = {1: [3.0, 1.0], 2: [1.0, 3.0]}
    for heavier, weight in weights.items():
        probe = trained(sample([0.0, 0.0], [1, 2], weight), [True, True])
        found = probe.probabilities(torch.zeros(1, 1))[0]
        assert int(found.argmax()) + 1 == heavier
        assert abs(float(found.max()) - 0.75) < 0.08


def test_the_seed_is_the_only_chance():
    one = sample([-1.0, 1.0], [1, 2], [1.0, 1.0])
    torch.manual_seed(1)
    first = trained(one, [True, True])
    torch.manual_seed(2)
    assert torch.equal(trained(one, [True, True]).hidden, first.hidden)
    assert not torch.equal(trained(one, [True, True], seed=1).hidden, first.hidden)


def test_it_learns_where_gradients_are_off_and_says_how_far_it_is():
    one = sample([-1.0, 1.0], [1, 2], [1.0, 1.0])
    with torch.no_grad():
        steps = iter_fit_network([one], PLAIN, torch.tensor([True, True]), 0, STEPS)
        told = []
        while True:
            try:
                told.append(next(steps))
            except StopIteration as stop:
                probe = stop.value
                break
    assert told == [Progress(n, STEPS, "Training") for n in range(STEPS)]
    found = probe.probabilities(torch.tensor([[-1.0], [1.0]]))
    assert found.argmax(1).tolist() == [0, 1]
    assert not probe.hidden.requires_grad
