"""What was painted counts once, however often it is seen."""

import numpy as np
import pytest

from napari_segdino.features.tiles import Tile
from napari_segdino.heads.probe.stroke_parts import ALONE, share_cuts, share_tiles
from napari_segdino.images.neighbours import cuts_of
from napari_segdino.images.planes import as_planes

LEFT, RIGHT = Tile(0, 8, 0, 6), Tile(0, 8, 4, 10)


def painted():
    marked = np.zeros((8, 10), np.uint8)
    marked[1, 2:9] = 2  # in both tiles
    marked[3, 5] = 1  # in both
    marked[5, 0:2] = 2  # left
    marked[7, 8] = 1  # right
    return marked


def test_a_stroke_in_two_tiles_is_half_in_each():
    marked = painted()
    left, right = share_tiles(marked, [LEFT, RIGHT], 1, 0)
    assert left.counts[1, 2] == right.counts[1, 3] == left.counts[3, 5] == 0.5
    assert left.counts[5, 0] == right.counts[7, 4] == 1
    assert np.array_equal(left.counts, left.weights)


def test_a_stroke_that_a_tile_cuts_in_two_pieces_is_still_one():
    marked = np.zeros((8, 10), np.uint8)
    marked[1, 2:6] = marked[3, 2:6] = marked[1:4, 2] = 2  # open to the right
    left, right = share_tiles(marked, [LEFT, RIGHT], 1, 0)
    assert left.counts[1, 2] == right.counts[1, 0] == right.counts[3, 0]
    assert left.counts[1, 2] == pytest.approx(1 / 3)


def test_views_share_a_stroke():
    (parts,) = share_tiles(painted(), [Tile(0, 8, 0, 10)], 4, 0)
    assert parts.counts[1, 2] == parts.weights[7, 8] == 0.25


def test_a_mask_of_two_tiles_is_one_mask():
    marked = np.ones((8, 10), np.uint8)
    left, right = share_tiles(marked, [LEFT, RIGHT], 2, 0)
    assert left.counts[0, 0] == right.weights[0, 0] == 0.25


def test_cuts_weigh_what_was_painted_and_count_it_once():
    volume = as_planes(np.zeros((3, 8, 8)), True)
    marks = np.zeros((3, 8, 8), np.uint8)
    marks[1, 2, 2:6] = 2  # one line in a cut across Y, four pixels across X
    cuts = cuts_of(volume, "ZYX", 0)
    shares = share_cuts(volume, cuts, marks)
    assert [s.counts for s in shares] == [True, False, False]
    assert [s.weights[2] * 3 for s in shares] == [1, 1, 0.25]
    assert share_cuts(volume, {"Z": volume}, marks) == [ALONE]
