"""Boxes: what they hold, how they are read and told apart."""

import numpy as np
import pytest

from napari_segdino.errors import InputError
from napari_segdino.images.boxes import Box, read_boxes

SHAPE = (40, 60)


def test_positions_in_a_box_are_in_half_sides_from_its_centre():
    box = Box(0, 10, 20, 30, 40)
    pixels = np.array([(20, 30), (10, 40), (30, 20), (5, 30)])
    np.testing.assert_allclose(
        box.relative(pixels), [(0, 0), (-1, 1), (1, -1), (-1.5, 0)]
    )
    assert box.contains(pixels).tolist() == [True, True, True, False]


def test_the_pixels_of_a_box():
    assert Box(0, 2.4, 3.6, 5.1, 9).slices() == (slice(2, 5), slice(4, 9))
    assert Box(0, 2.1, 3, 2.4, 9).slices() == (slice(2, 3), slice(3, 9)), "never none"


def test_a_box_that_is_drawn_again_is_known():
    box = Box(0, 10, 10, 20, 20)
    assert box.is_like(Box(0, 9, 9, 21, 21)), "100 of 144 pixels"
    assert not box.is_like(Box(0, 10, 15, 20, 25)), "50 of 150"
    assert not box.is_like(Box(0, 30, 30, 40, 40))


def test_corners_come_in_any_order_and_are_cut_to_the_image():
    (box,) = read_boxes([(30, 50, -5, 20)], None, None, SHAPE, 1)
    assert box == Box(0, 0, 20, 30, 50, 1)
    two = read_boxes([(0, 0, 9, 9), (1, 1, 8, 8)], [1, 3], [4, 0], SHAPE, 5)
    assert [(b.plane, b.label) for b in two] == [(4, 1), (0, 3)]


@pytest.mark.parametrize(
    ("boxes", "labels", "planes", "said"),
    [
        ([], None, None, "Give a box"),
        ([(0, 0, 9, 9)], [1, 2], None, "as many labels"),
        ([(0, 0, 9)], None, None, r"A box is \(y0, x0, y1, x1\)"),
        ([(0, 0, 9, np.nan)], None, None, r"A box is \(y0, x0, y1, x1\)"),
        ([(5, 5, 5, 9)], None, None, "at least a pixel"),
        ([(50, 0, 60, 9)], None, None, "at least a pixel"),
        ([(0, 0, 9, 9)], [0], None, "no class 0"),
        ([(0, 0, 9, 9)], None, [7], "no plane 7"),
    ],
)
def test_what_is_no_box_is_refused(boxes, labels, planes, said):
    with pytest.raises(InputError, match=said):
        read_boxes(boxes, labels, planes, SHAPE, 1)


def test_in_a_volume_each_box_says_its_plane():
    with pytest.raises(InputError, match=r"planes=\[...\]"):
        read_boxes([(0, 0, 9, 9)], None, None, SHAPE, 3)
