import numpy as np
import pytest

from napari_segdino.errors import InputError
from napari_segdino.inference.interpolate import interpolate_mask, interpolate_shape


def disc(y, x, radius, label=1, shape=(40, 60)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (label * ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)).astype(
        np.uint8
    )


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_the_distance_by_hand():
    line = np.array([[0, 1, 1, 1, 0]], np.uint8)
    middle = interpolate_shape(line, line, 0.5)
    assert middle[1].tolist() == [[-0.5, 0.5, 0.5, 0.5, -0.5]]
    assert middle[0].tolist() == (-middle[1]).tolist()


def test_a_shape_moves_and_grows_evenly():
    first, last = disc(12, 15, 6), disc(24, 40, 12)
    for share in (0.25, 0.5, 0.75):
        mask = interpolate_mask(first, last, share)
        wanted = disc(12 + 12 * share, 15 + 25 * share, 6 + 6 * share)
        assert iou(mask > 0, wanted > 0) > 0.9


def test_equal_slices_stay_between():
    mask = disc(20, 20, 9, label=2) + disc(20, 45, 5)
    for share in (0.2, 0.5, 0.8):
        found = interpolate_mask(mask, mask, share)
        np.testing.assert_array_equal(found, mask)


def test_a_class_that_ends_is_gone_halfway():
    first = disc(20, 20, 9) + disc(20, 45, 6, label=2)
    last = disc(20, 20, 9)
    masks = [interpolate_mask(first, last, share) for share in (0.25, 0.5, 0.75)]
    sizes = [int((mask == 2).sum()) for mask in masks]
    assert 0 < sizes[0] < (first == 2).sum()
    assert sizes[1:] == [0, 0]
    assert all((mask == 1).any() for mask in masks)


def test_the_image_decides_at_the_border_and_nowhere_else():
    first = last = disc(20, 25, 10)
    true = disc(20, 26, 10)
    likely = np.where(true > 0, 0.95, 0.05).astype(np.float32)
    likely[5:8, 50:55] = 0.99  # something alike, far away
    maps = np.stack([1 - likely, likely])
    alone = interpolate_mask(first, last, 0.5)
    found = interpolate_mask(first, last, 0.5, maps)
    assert iou(alone > 0, true > 0) < iou(found > 0, true > 0)
    assert iou(found > 0, true > 0) > 0.99
    assert not found[5:8, 50:55].any()


def test_nothing_on_both_slices_is_nothing_between():
    empty = np.zeros((4, 5), np.uint8)
    assert not np.any(interpolate_mask(empty, empty, 0.5))


def test_slices_of_two_sizes_are_refused():
    with pytest.raises(InputError, match="do not fit"):
        interpolate_shape(np.zeros((3, 4), int), np.zeros((4, 4), int), 0.5)
