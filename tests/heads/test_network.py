"""Perceptrons of a probe: what they learn from, and with which chance."""

from dataclasses import replace

import pytest
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


def in_tile(values, codes, level, borders=(0, 1, 0, 1)):
    """A tile whose vectors all lie higher by a level."""
    one = sample([v + level for v in values], codes, [1.0] * len(codes))
    place = torch.tensor([0, 1, *borders], dtype=torch.float32)
    return replace(one, place=place)


def test_what_lies_higher_as_a_whole_is_told_apart_all_the_same():
    one = in_tile([-1.0, 1.0], [1, 2], level=0)
    how = PLAIN, torch.tensor([True, True]), 0, STEPS, True
    probe = drive(iter_fit_network([one], *how))
    shifted = torch.tensor([[4.0], [6.0]])
    found = probe.on("", shifted.mean(0)).probabilities(shifted)
    assert found.argmax(1).tolist() == [0, 1]
    same = probe.on("", torch.zeros(1)).probabilities(shifted - 5)
    assert torch.allclose(found, same, atol=1e-5)


@pytest.mark.parametrize("borders", [(0, 0.5, 0, 1), None])
def test_parts_of_planes_are_read_as_they_are(borders):
    one = in_tile([-1.0, 1.0], [1, 2], 0, borders or (0, 1, 0, 1))
    one = one if borders else replace(one, place=None)
    probe = trained(one, [True, True])
    assert not probe.centring.any()
    assert probe.on("", torch.ones(1)) is probe
