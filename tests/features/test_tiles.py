import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_segdino.features.tiles import Tile, blend_weights, cut_tiles


def test_a_plane_that_fits_is_one_tile():
    assert cut_tiles((8, 10), 10, 2) == [Tile(0, 8, 0, 10)]


def test_tiles_by_hand():
    assert cut_tiles((4, 10), 6, 2) == [Tile(0, 4, 0, 6), Tile(0, 4, 4, 10)]


def test_weights_by_hand():
    tile = Tile(0, 1, 0, 6)
    weights = blend_weights(tile, (1, 10), 2)
    assert weights.tolist() == [[1, 1, 1, 1, 0.75, 0.25]]


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(8, 40),
    st.integers(0, 7),
)
def test_tiles_cover_and_blend_to_one(shape, side, overlap):
    total = np.zeros(shape)
    for tile in cut_tiles(shape, side, overlap):
        assert max(tile.shape) <= side
        total[tile.slices] += blend_weights(tile, shape, overlap)
    assert total.min() > 0
