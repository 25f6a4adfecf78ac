"""Tiles joined where they overlap, with weights worked out by hand."""

import numpy as np
import pytest
import torch

from napari_segdino.config import FeatureSettings
from napari_segdino.features.tiles import Tile
from napari_segdino.inference.blend import Blender, cut_plane

SETTINGS = FeatureSettings(tile=16, overlap=8)


def assembled(cut, parts):
    """Add tiles in order, and put what comes back where it belongs."""
    blender = Blender(cut)
    height, width = cut.rows[-1].stop, cut.columns[-1].stop
    plane = np.full((1, height, width), np.nan, np.float32)
    for row, y in enumerate(cut.rows):
        for column, x in enumerate(cut.columns):
            block = blender.add(row, column, parts(row, column))
            _, rows, columns = block.shape
            where = plane[:, y.first : y.first + rows, x.first : x.first + columns]
            assert np.isnan(where).all(), "each pixel is given once"
            where[:] = block.numpy()
    return plane


def test_a_plane_that_fits_is_one_tile_and_stays_as_it_is():
    cut = cut_plane((10, 12, 3), SETTINGS)
    assert cut.count == 1
    assert cut.tile(0, 0) == Tile(0, 10, 0, 12)
    part = torch.from_numpy(np.random.default_rng(0).random((1, 10, 12), np.float32))
    assert np.array_equal(assembled(cut, lambda *_: part), part)


def test_one_tile_fades_into_the_next_over_half_of_what_they_share():
    cut = cut_plane((4, 24), SETTINGS)
    assert [(x.start, x.stop) for x in cut.columns] == [(0, 16), (8, 24)]
    zeros, ones = torch.zeros(1, 4, 16), torch.ones(1, 4, 16)
    plane = assembled(cut, lambda _, column: (zeros, ones)[column])
    expected = [0.0] * 10 + [0.125, 0.375, 0.625, 0.875] + [1.0] * 10
    assert plane[0, 0].tolist() == expected
    assert (plane == plane[:, :1]).all(), "every row is the same"


@pytest.mark.parametrize("shape", [(24, 24), (40, 21), (17, 50)])
def test_tiles_that_agree_give_what_they_say_to_every_pixel(shape):
    cut = cut_plane(shape, SETTINGS)
    assert cut.count > 1
    whole = torch.from_numpy(np.random.default_rng(0).random((1, *shape), np.float32))

    def part(row, column):
        return whole[(slice(None), *cut.tile(row, column).slices)]

    np.testing.assert_allclose(assembled(cut, part), whole, atol=1e-6)


def test_tiles_come_in_the_order_of_their_distance():
    cut = cut_plane((24, 24), SETTINGS)
    assert cut.count == 4
    assert cut.around((23, 22)) == [(1, 1), (1, 0), (0, 1), (0, 0)]
    assert cut.around((-100, 30))[0] == (0, 1)
