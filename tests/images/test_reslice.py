"""Volumes cut across other axes, and planes seen with their neighbours."""

import dask.array as da
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_segdino.config import FeatureSettings
from napari_segdino.errors import InputError
from napari_segdino.features.intensity import measure_intensity
from napari_segdino.images.neighbours import (
    Neighbours,
    cuts_of,
    marks_of,
    put_back,
    with_neighbours,
)
from napari_segdino.images.planes import as_planes
from napari_segdino.images.reslice import (
    LEARNED_PLANES,
    spacing_zyx,
    stretch_rows,
    turn,
)

VOLUME = np.arange(2 * 3 * 4).reshape(2, 3, 4)


@pytest.mark.parametrize("wrap", [np.asarray, da.from_array])
def test_planes_across_each_axis(wrap):
    cuts = cuts_of(as_planes(wrap(VOLUME), True), "ZYX", 0)
    assert {axis: len(cut) for axis, cut in cuts.items()} == {"Z": 2, "Y": 3, "X": 4}
    assert np.array_equal(cuts["Y"].read(1)[..., 0], VOLUME[:, 1])
    assert np.array_equal(cuts["X"].read(3)[..., 0], VOLUME[:, :, 3])


def test_time_and_channels_stay_where_they_are():
    movie = np.arange(2 * 3 * 4 * 5 * 2).reshape(2, 3, 4, 5, 2)
    cut = turn(as_planes(movie, axes="TZYXC"), "Y")
    assert cut.axes == "TYZXC"
    assert len(cut) == 2 * 4
    assert np.array_equal(cut.read(5), movie[1, :, 1])


def test_rows_are_stretched_to_square_pixels_and_back():
    cut = turn(as_planes(VOLUME, True), "Y", (5.0, 1.0, 2.0))
    assert cut.plane_shape == (5, 4)  # 2 planes 5 mm apart, pixels of 2 mm
    plane = cut.read(0)[..., 0]
    assert plane.shape == (5, 4)
    assert np.array_equal(plane[0], VOLUME[0, 0])
    assert np.array_equal(plane[-1], VOLUME[1, 0])
    maps = torch.ones(3, 5, 4)
    at, back = put_back(cut, 2, maps)
    assert back.shape == (3, 2, 4)
    assert np.allclose(back, 1)
    target = np.zeros(VOLUME.shape)
    target[at] = back[0]
    assert target[:, 2].all()
    assert target.sum() == 8


@given(have=st.integers(1, 9), rows=st.integers(1, 30))
def test_stretching_keeps_constants_and_bounds(have, rows):
    random = np.random.default_rng(have).random((have, 3, 2)).astype(np.float32)
    out = stretch_rows(random, rows)
    assert out.shape == (rows, 3, 2)
    assert out.min() >= random.min() - 1e-5
    assert out.max() <= random.max() + 1e-5
    assert np.allclose(stretch_rows(np.full((have, 2, 1), 7.0), rows), 7)


def test_marks_turn_with_the_volume_and_the_most_marked_count():
    marks = np.zeros((4, 20, 6), np.uint8)
    marks[1, :, 2] = 1
    marks[2, 3:5, :] = 2
    cut = turn(as_planes(np.zeros(marks.shape), True), "Y", (2, 1, 1))
    turned = marks_of(cut, marks)
    assert turned.chosen >= {3, 4}
    assert len(turned.chosen) == LEARNED_PLANES
    plane = turned[cut.index(3)]
    assert plane.shape == cut.plane_shape == (8, 6)
    assert np.array_equal(plane[::2], marks[:, 3])
    assert np.array_equal(plane[1::2], marks[:, 3])
    left_out = next(i for i in range(20) if i not in turned.chosen)
    assert not turned[cut.index(left_out)].any()


def test_neighbours_are_channels_and_the_ends_repeat():
    cut = Neighbours.of(as_planes(VOLUME, True), 1)
    assert cut.read(0).shape == (3, 4, 3)
    assert np.array_equal(np.moveaxis(cut.read(0), -1, 0), VOLUME[[0, 0, 1]])
    assert np.array_equal(np.moveaxis(cut.read(1), -1, 0), VOLUME[[0, 1, 1]])


def test_neighbours_in_time_do_not_mix():
    movie = np.arange(2 * 2 * 3 * 4).reshape(2, 2, 3, 4)
    cut = Neighbours.of(as_planes(movie, axes="TZYX"), 1)
    last_of_first = cut.read(1)
    assert np.array_equal(np.moveaxis(last_of_first, -1, 0), movie[0, [0, 1, 1]])
    frames = Neighbours.of(as_planes(movie[:, 0], axes="TYX"), 1)
    assert np.array_equal(frames.read(0)[..., 2], movie[0, 0]), "no depth"


def test_all_cuts_share_one_range():
    volume = np.random.default_rng(0).normal(size=(12, 30, 40))
    for neighbours in (0, 1):
        cuts = cuts_of(as_planes(volume, True), "ZYX", neighbours, (3, 1, 1))
        ranges = {measure_intensity(c.measured) for c in cuts.values()}
        assert len(ranges) == 1
        assert len(ranges.pop().low) == 1, "neighbours have the range of the image"


def test_what_is_no_volume_is_cut_as_it_lies():
    image = as_planes(np.zeros((5, 6)))
    assert cuts_of(image, "ZYX", 0) == {"Z": image}
    movie = as_planes(np.zeros((3, 5, 6)), axes="TYX")
    assert list(cuts_of(movie, "YX", 0)) == ["Z"]


@pytest.mark.parametrize("slices", ["", "Q", "ZZ", "TZ"])
def test_axes_that_are_none(slices):
    with pytest.raises(InputError, match="Z, Y or X"):
        cuts_of(as_planes(VOLUME, True), slices, 0)


def test_spacings():
    assert spacing_zyx(None) == (1, 1, 1)
    assert spacing_zyx(5) == (5, 1, 1)
    assert spacing_zyx((5, 2, 3)) == (5, 2, 3)
    for wrong in ((1, 2), (0, 1, 1), -1):
        with pytest.raises(InputError):
            spacing_zyx(wrong)


def test_settings_say_so():
    assert FeatureSettings().slices == "Z"
    assert FeatureSettings().neighbours == 1


def test_who_has_neighbours():
    volume, plane = as_planes(VOLUME, True), as_planes(np.zeros((5, 6)))
    colour = as_planes(np.zeros((4, 5, 6, 3)), True)
    assert isinstance(with_neighbours(volume, 1), Neighbours)
    assert isinstance(with_neighbours(turn(volume, "Y"), 1), Neighbours)
    assert with_neighbours(volume, 0) is volume
    assert with_neighbours(colour, 1) is colour
    assert with_neighbours(plane, 1) is plane, "it is seen three times over anyway"
    assert with_neighbours(plane, 2).read(0).shape == (5, 6, 5)
