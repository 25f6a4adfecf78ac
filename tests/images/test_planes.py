import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_segdino import marks_from_mask
from napari_segdino.errors import InputError
from napari_segdino.features.intensity import colour_channels
from napari_segdino.images.planes import as_planes, check_marks, infer_axes


def test_marks_from_mask_says_every_pixel():
    mask = np.array([[0, 1], [2, 0]], np.int64)
    assert marks_from_mask(mask).tolist() == [[1, 2], [3, 1]]
    assert marks_from_mask(mask > 0).tolist() == [[1, 2], [2, 1]]
    assert marks_from_mask(np.array([[255]], np.uint8)).tolist() == [[256]]


@pytest.mark.parametrize("mask", [np.zeros((2, 2)), np.array([[-1, 0]])])
def test_marks_from_mask_refuses_what_is_no_mask(mask):
    with pytest.raises(InputError):
        marks_from_mask(mask)


@pytest.mark.parametrize(
    ("shape", "volume", "axes"),
    [
        ((20, 30), None, "YX"),
        ((20, 30), False, "YX"),
        ((200, 300, 3), None, "YXC"),
        ((200, 1, 4), None, "YXC"),
        ((64, 64, 8), None, "YXC"),
        ((35, 51, 31), None, "ZYX"),
        ((10, 12, 8), None, "ZYX"),
        ((400, 300, 200), None, "ZYX"),
        ((512, 512, 31), True, "ZYX"),
        ((512, 512, 31), False, "YXC"),
        ((20, 200, 300, 3), None, "ZYXC"),
    ],
)
def test_infer_axes(shape, volume, axes):
    assert infer_axes(shape, volume) == axes


def test_two_plausible_readings_are_never_guessed():
    with pytest.raises(InputError, match="volume=True or volume=False"):
        infer_axes((512, 512, 31))


@pytest.mark.parametrize(
    ("shape", "volume"),
    [((5,), None), ((5, 5), True), ((2, 9, 9, 3), False), ((2, 2, 9, 9, 3), None)],
)
def test_shapes_that_fit_nothing(shape, volume):
    with pytest.raises(InputError):
        infer_axes(shape, volume)


@pytest.mark.parametrize("axes", ["YX", "ZZYX", "YXZ", "XYZ"])
def test_axes_that_cannot_name_a_volume(axes):
    with pytest.raises(InputError):
        as_planes(np.zeros((4, 5, 6)), axes=axes)


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr"])
def test_planes_are_read_in_order(kind):
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    image = {
        "numpy": lambda: array,
        "dask": lambda: dask.array.from_array(array, chunks=2),
        "zarr": lambda: zarr.array(array),
    }[kind]()
    planes = as_planes(image, axes="TZYX")
    assert len(planes) == 6
    assert planes.index(4) == (1, 1)
    assert np.array_equal(planes.read(4), array[1, 1][..., None])


@pytest.mark.parametrize("wrap", [np.asarray, dask.array.from_array, zarr.array])
def test_channels_go_last(wrap):
    array = np.arange(2 * 4 * 5).reshape(2, 4, 5)
    planes = as_planes(wrap(array), axes="CYX")
    assert planes.axes == "YXC"
    assert np.array_equal(planes.read(0), np.moveaxis(array, 0, -1))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 5)),
        np.zeros((5, 5), complex),
        np.full((4, 4), "a"),
        np.zeros((4, 4), object),
    ],
)
def test_images_that_cannot_be_used(image):
    with pytest.raises(InputError):
        as_planes(image)


def test_marks_must_fit():
    planes = as_planes(np.zeros((6, 7, 3)))
    assert check_marks([[0] * 7] * 6, planes).shape == (6, 7)
    with pytest.raises(InputError, match="do not fit"):
        check_marks(np.zeros((6, 7, 3), int), planes)
    with pytest.raises(InputError, match="whole numbers"):
        check_marks(np.zeros((6, 7)), planes)


@given(st.lists(st.integers(1, 70), min_size=1, max_size=5).map(tuple))
def test_any_shape_is_read_or_refused(shape):
    image = np.broadcast_to(np.uint8(0), shape)
    try:
        planes = as_planes(image)
    except InputError:
        return
    assert len(planes) * np.prod(planes.plane_shape) == np.prod(planes.spatial_shape)
    assert planes.read(len(planes) - 1).shape[:2] == planes.plane_shape


def test_four_channels_of_eight_bits_that_come_first_are_no_alpha():
    data = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    first = as_planes(data, axes="CYX")
    assert colour_channels(first.read(0)).shape == (2, 3, 4)
    np.testing.assert_array_equal(first.read(0)[..., 3], data[3])
    last = as_planes(np.moveaxis(data, 0, -1), axes="YXC")
    assert colour_channels(last.read(0)).shape == (2, 3, 3)
