"""Where tools pass, against napari's own painting."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Labels

from napari_segdino.session.footprints import (
    fill_footprint,
    polygon_footprint,
    stroke_footprint,
)


def test_footprint_of_a_dot() -> None:
    dot = stroke_footprint([np.array([1.2, 1.9])], 3, (4, 4), (1, 1))
    expected = [[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(dot.astype(int), expected)


def test_footprint_leaves_the_image() -> None:
    line = [np.array([-20.0, 1.0]), np.array([20.0, 1.0])]
    assert stroke_footprint(line, 1, (4, 4), (1, 1))[:, 1].all()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=1, max_size=4),
    st.integers(1, 9),
    st.sampled_from([(1.0, 1.0), (2.0, 1.0), (0.5, 1.0), (1.0, 3.0)]),
)
def test_footprint_is_what_napari_paints(
    points: list[tuple[float, float]], size: int, scale: tuple[float, float]
) -> None:
    layer = Labels(np.zeros((20, 20), np.uint8), scale=scale)
    layer.brush_size, layer.mode = size, "paint"
    path = [np.array(p) for p in points]
    for start, end in zip([path[0], *path], path, strict=False):
        layer._draw(1, start, end)
    ours = stroke_footprint(path, size, (20, 20), scale)
    np.testing.assert_array_equal(ours, layer.data == 1)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=3, max_size=6)
)
def test_polygon_is_what_napari_paints(points: list[tuple[float, float]]) -> None:
    layer = Labels(np.zeros((20, 18), np.uint8))
    layer.paint_polygon(points, 1)
    ours = polygon_footprint(points, (20, 18))
    np.testing.assert_array_equal(ours, layer.data == 1)


def test_fill_reaches_what_is_connected_by_edges() -> None:
    plane = np.array([[1, 1, 0, 1], [0, 0, 1, 0], [0, 0, 1, 2]])
    near = fill_footprint(plane, (0, 0), contiguous=True)
    np.testing.assert_array_equal(np.argwhere(near), [[0, 0], [0, 1]])
    far = fill_footprint(plane, (0, 0), contiguous=False)
    np.testing.assert_array_equal(far, plane == 1)
