"""Tiles in the order in which the user looks at them."""

import math

import numpy as np
import pytest
from test_predict import SMALL, OnlyTiles, brightness

from napari_segdino.inference.predict import (
    PartResult,
    PlaneResult,
    iter_planes,
    predict_around,
    predict_plane,
)
from napari_segdino.progress import drive

# Values away from a tie: sums are made in another order.
PLANE = np.random.default_rng(0).choice([20, 230], (150, 97, 1)).astype(np.uint8)


def around(centre):
    parts = []
    steps = predict_around(OnlyTiles(PLANE, 40), 3, brightness, SMALL, centre)
    return drive(steps, parts.append), parts


@pytest.mark.parametrize("centre", [(0, 0), (140, 90), (75, 48), (-50, 500)])
def test_the_order_does_not_change_the_mask(centre):
    result, parts = around(centre)
    row_by_row = drive(predict_plane(PLANE, 3, brightness, SMALL))
    np.testing.assert_array_equal(result.labels, row_by_row.labels)
    np.testing.assert_allclose(
        result.probabilities, row_by_row.probabilities, atol=1e-6
    )
    drawn = np.full(PLANE.shape[:2], 9)
    for part in parts:
        y, x = part.labels.shape
        drawn[part.y0 : part.y0 + y, part.x0 : part.x0 + x] = part.labels
    np.testing.assert_array_equal(drawn, result.labels)


def test_what_is_looked_at_comes_first():
    _, parts = around((140, 90))
    middles = [
        (p.y0 + p.labels.shape[0] / 2, p.x0 + p.labels.shape[1] / 2) for p in parts
    ]
    distances = [math.dist(middle, (140, 90)) for middle in middles]
    assert distances == sorted(distances)
    first = parts[0]
    assert first.y0 + first.labels.shape[0] == 150
    assert first.x0 + first.labels.shape[1] == 97


def test_parts_only_where_there_is_a_centre_and_more_than_one_tile():
    def kinds(plane, centre):
        steps = iter_planes(lambda i: plane, [0], brightness, SMALL, "", centre)
        return {type(step) for step in steps} & {PartResult, PlaneResult}

    assert kinds(PLANE, (5, 5)) == {PartResult, PlaneResult}
    assert kinds(PLANE, None) == {PlaneResult}
    assert kinds(PLANE[:30, :30], (5, 5)) == {PlaneResult}
