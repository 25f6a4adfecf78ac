"""What boxes say: the prior of an ellipse, and how it and the samples fade."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_segdino.heads.probe.box_prior import (
    CAP,
    RIM,
    SLOPE,
    add_prior,
    boxes_of,
    check_table,
    prior_logits,
    table_of,
)
from napari_segdino.heads.probe.boxes import CENTRED, FADE, add_given
from napari_segdino.heads.probe.samples import BOX, Sample
from napari_segdino.images.boxes import Box

BOX_4 = Box(0, 0, 0, 4, 4)


def sample(codes: list[int], strokes: list[int]) -> Sample:
    count = len(codes)
    return Sample(
        torch.zeros(4, 4, dtype=torch.uint8),
        torch.zeros(count, 2).half(),
        torch.tensor(codes, dtype=torch.uint8),
        torch.full((count,), 0.5),
        torch.tensor(strokes),
        torch.ones(count),
        torch.zeros(3, 2).half(),
        torch.tensor([2]),
    )


def test_the_prior_is_highest_in_the_middle_zero_at_the_rim_and_least_outside():
    pixels = np.array([(2, 2), (2, 2 + 2 * RIM), (2, 4), (0, 0), (5, 2)])
    found = prior_logits(pixels, [BOX_4], np.array([CENTRED]))
    np.testing.assert_allclose(found[:3], [CAP, 0, SLOPE * (RIM - 1)], atol=1e-9)
    assert -CAP < found[3] < 0, "a corner of the box may be object"
    assert found[4] == -CAP


def test_an_ellipse_may_be_smaller_than_its_box():
    small = np.array([(0.0, 0.5, 0.5, 0.5)])
    inside, outside = prior_logits(np.array([(2.0, 3.0), (2.0, 1.0)]), [BOX_4], small)
    assert inside > 0 > outside


def test_a_table_keeps_boxes_of_a_tile():
    box = Box(3, 12, 25, 20.5, 40, 2)
    table = table_of({box: np.array(CENTRED)}, (10, 20))
    assert table.tolist() == [[2, 2, 5, 10.5, 20, 0, 0, 1, 1]]
    assert boxes_of(table, 3, (10, 20)) == [box]


@pytest.mark.parametrize(
    ("column", "value"), [(3, 0.0), (7, 0.0), (8, -1.0), (1, float("nan"))]
)
def test_a_table_of_a_file_that_holds_no_boxes_is_refused(column, value):
    table = table_of({BOX_4: np.array(CENTRED)}, (0, 0))
    check_table(table)
    table[0, column] = value
    with pytest.raises(ValueError, match="box"):
        check_table(table)


def test_the_prior_adds_to_the_logits_of_the_class_in_the_box():
    grid = SimpleNamespace(shape=(4, 4), cells=(4, 4))
    table = table_of({BOX_4: np.array(CENTRED)}, (0, 0))
    even = torch.full((16, 2), 0.5)
    half = add_prior(even, grid, (table, 0.5))
    centres = np.stack(np.meshgrid(*[np.arange(4) + 0.5] * 2, indexing="ij"), -1)
    logits = prior_logits(centres.reshape(-1, 2), [BOX_4], np.array([CENTRED]))
    np.testing.assert_allclose(half[:, 1], 1 / (1 + np.exp(-0.5 * logits)), rtol=1e-4)
    assert torch.equal(add_prior(even, grid, (table, 0.0)), even), "faded altogether"
    three = torch.full((16, 3), 1 / 3)
    found = add_prior(three, grid, (table, 1.0))
    assert torch.allclose(found[:, 2], found[:, 0]), "no box is of the second class"


def test_strokes_on_the_same_tile_make_a_box_weigh_less():
    box = replace(sample([1, 2], [1, 2]), boxes=torch.zeros(1, 9))
    alone = add_given({BOX + "a": box})
    assert set(alone) == {"a"} and torch.equal(alone["a"].weights, box.weights)
    strokes = sample([1, 1, 2], [0, 0, 1])
    both = add_given({"a": strokes, "b": strokes, BOX + "a": box})
    assert both["b"] is strokes
    assert both["a"].codes.tolist() == [1, 1, 2, 1, 2]
    np.testing.assert_allclose(
        both["a"].weights, [0.5] * 3 + [0.5 * FADE**2] * 2, rtol=1e-6
    )
    assert both["a"].strokes.tolist() == [0, 0, 1, 3, 4], "strokes of their own"
    assert both["a"].parts.tolist() == [1, 1, 1, 0, 0], "that count as none"
