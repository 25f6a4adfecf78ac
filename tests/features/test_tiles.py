import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segdino.features.grid import grid_step
from napari_segdino.features.tiles import Tile, blend_spans, cut_spans, cut_tiles


def test_a_plane_that_fits_is_one_tile():
    assert cut_tiles((8, 10), 10, 2) == [Tile(0, 8, 0, 10)]


def test_tiles_by_hand():
    assert cut_tiles((4, 10), 6, 2) == [Tile(0, 4, 0, 6), Tile(0, 4, 4, 10)]


def test_weights_by_hand():
    left, right = blend_spans([(0, 12), (6, 18)], 4)
    assert (left.first, left.last) == (0, 10)
    assert left.weights.tolist() == [1] * 8 + [0.75, 0.25]
    assert (right.first, right.last, right.inner) == (8, 18, slice(2, 12))
    assert right.weights.tolist() == [0.25, 0.75] + [1] * 8


@pytest.mark.parametrize("length", [1025, 1100, 2000, 5003, 20_000])
def test_large_planes_have_tiles_of_one_shape_on_one_grid(length):
    tiles = cut_tiles((length, 1500), 1024, 128)
    assert len({tile.shape for tile in tiles}) == 1
    step = grid_step(tiles[0].shape)
    assert step > 1
    assert all(tile.y0 % step == tile.x0 % step == 0 for tile in tiles)


spans = st.tuples(
    st.integers(1, 300), st.integers(8, 60), st.integers(0, 7), st.integers(1, 6)
)


@given(spans)
def test_spans_cover_share_and_fit(given_):
    length, tile, overlap, step = given_
    found = cut_spans(length, tile, overlap, step)
    assert found[0][0] == 0 and found[-1][1] == length
    assert max(stop - start for start, stop in found) <= tile
    for (_, stop), (start, _) in zip(found, found[1:], strict=False):
        assert stop - start >= overlap


@given(spans)
def test_weights_sum_to_one_and_leave_inner_borders_out(given_):
    length, tile, overlap, step = given_
    total = np.zeros(length)
    found = blend_spans(cut_spans(length, tile, overlap, step), overlap)
    for span in found:
        total[span.first : span.last] += span.weights
        assert span.start <= span.first < span.last <= span.stop
        assert span.weights.min() > 0
        if span is not found[0]:
            assert span.first - span.start >= overlap // 4
    assert np.allclose(total, 1)
