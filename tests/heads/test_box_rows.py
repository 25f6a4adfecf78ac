"""Which pixels boxes and given masks are learned from."""

import numpy as np

from napari_segdino.features.tiles import Tile
from napari_segdino.heads.probe.box_rows import _lattice
from napari_segdino.heads.probe.given_mask import SURE_FROM, _sure
from napari_segdino.images.boxes import Box


def test_pixels_are_evenly_spread_over_a_box():
    found = _lattice(Box(0, 2, 3, 7, 8), Tile(0, 10, 0, 20), 9)
    y, x = np.unravel_index(found, (10, 20))
    assert sorted(set(y)) == [2, 4, 6], "first, middle and last row"
    assert sorted(set(x)) == [3, 5, 7]
    assert len(found) == 9


def test_a_tile_has_its_part_of_a_box():
    found = _lattice(Box(0, 2, 3, 7, 8), Tile(4, 14, 5, 25), 9)
    y, x = np.unravel_index(found, (10, 20))
    assert sorted(set(y)) == [0, 2], "rows 4 and 6 of the plane"
    assert sorted(set(x)) == [0, 2]


def test_a_given_mask_weighs_less_the_nearer_its_border_is():
    codes = np.ones((3, 8), np.uint8)
    codes[:, 4:] = 2
    third = 1 / SURE_FROM
    assert SURE_FROM == 3
    row = [1, 1, 2 * third, third, third, 2 * third, 1, 1]
    np.testing.assert_allclose(_sure(codes), [row] * 3, rtol=1e-6)
    np.testing.assert_array_equal(_sure(np.ones((2, 2), np.uint8)), np.ones((2, 2)))
