import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders import get_spec
from napari_segdino.errors import InputError
from napari_segdino.features.intensity import (
    Intensity,
    find_intensity,
    measure_intensity,
)
from napari_segdino.images.planes import as_planes

SPEC = get_spec("efficientnet_lite0")


def scaled(image, **kwargs):
    planes = as_planes(image, **kwargs)
    return measure_intensity(planes, (0, 100)).apply(planes.read(0))


def test_a_grey_plane_fills_the_range():
    image = np.array([[100, 150], [200, 300]], np.uint16)
    assert np.allclose(scaled(image)[0], [[0, 0.25], [0.5, 1]])


def test_colours_share_one_range():
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, 0] = [200, 100, 50]
    assert np.allclose(scaled(image)[:, 0, 0], [1, 0.5, 0.25])


def test_other_channels_have_one_range_each():
    image = np.zeros((8, 8, 2), np.float32)
    image[0, 0] = [1000, 1]
    assert np.allclose(scaled(image)[:, 0, 0], [1, 1])


def test_alpha_is_left_out():
    image = np.full((8, 8, 4), 255, np.uint8)
    assert scaled(image).shape == (3, 8, 8)


def test_nan_and_infinity_count_as_bounds():
    image = np.array([[0, 1], [np.nan, np.inf]])
    assert scaled(image)[0].tolist() == [[0, 1], [0, 1]]


def test_constant_and_all_nan_planes_become_zero():
    assert not scaled(np.full((4, 4), 7.0)).any()
    assert not scaled(np.full((4, 4), np.nan)).any()


def test_the_range_of_a_volume_does_not_depend_on_the_plane():
    volume = np.zeros((5, 9, 9), np.float32)
    volume[4] = 10
    planes = as_planes(volume, volume=True)
    intensity = measure_intensity(planes, (0, 100))
    assert intensity == Intensity((0.0,), (10.0,))
    assert np.all(intensity.apply(planes.read(4)) == 1)


def test_windows_on_hounsfield_units():
    planes = as_planes(np.array([[-3000, -160], [40, 240]], np.int16))
    soft = find_intensity(planes, FeatureSettings(intensity="ct soft tissue"), SPEC)
    assert np.allclose(soft.apply(planes.read(0))[0], [[0, 0], [0.5, 1]])


def test_auto_is_the_clamp_of_meddinov3_for_its_encoder():
    planes = as_planes(np.zeros((4, 4, 3), np.uint8))
    own = find_intensity(planes, FeatureSettings(), get_spec("meddinov3_vitb16"))
    assert own == Intensity((-1000.0,) * 3, (1000.0,) * 3)
    other = find_intensity(planes, FeatureSettings(), SPEC)
    assert other == measure_intensity(planes)


def test_an_unknown_preset_names_the_known_ones():
    planes = as_planes(np.zeros((4, 4)))
    with pytest.raises(InputError, match="ct lung"):
        find_intensity(planes, FeatureSettings(intensity="x"), SPEC)


@given(
    npst.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint32, np.float32, np.float64, bool]),
        npst.array_shapes(min_dims=2, max_dims=2, max_side=9),
    )
)
def test_any_numbers_end_in_the_unit_range(image):
    planes = as_planes(image)
    result = measure_intensity(planes).apply(planes.read(0))
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_may_be_divided_by_255_and_no_more(dtype):
    planes = as_planes(np.array([[10, 51], [102, 204]], dtype))
    found = find_intensity(planes, FeatureSettings(intensity="8-bit"), SPEC)
    assert np.allclose(found.apply(planes.read(0))[0], [[10 / 255, 0.2], [0.4, 0.8]])


def test_z_scores_of_a_scan_are_what_the_encoder_takes_back():
    scan = np.random.default_rng(0).normal(-300, 400, (4, 40, 40)).astype(np.float32)
    scan[0, 0, 0] = -3000  # padding, clamped before the scan is measured
    spec = get_spec("flexict_2d")
    planes = as_planes(scan, volume=True)
    found = find_intensity(planes, FeatureSettings(), spec)
    shown = (found.apply(planes.read(1)) - spec.mean[0]) / spec.std[0]
    clamped = scan.clip(-1000, 1000)
    wanted = (scan[1] - clamped.mean()) / clamped.std()
    near = np.abs(wanted) < 3.9
    np.testing.assert_allclose(shown[0][near], wanted[near], atol=1e-4)


@given(
    npst.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 30), st.integers(1, 3)),
    ),
    st.sampled_from([(0.5, 99.5), (0, 100), (2.0, 97.3), (12.5, 60)]),
)
def test_counted_percentiles_are_those_of_numpy(values, percentiles):
    low, high = measure_range(values, percentiles)
    wanted = np.percentile(values.astype(np.float64), percentiles)
    if wanted[0] == wanted[1]:
        wanted = values.min(), values.max()
    assert (low, high) == tuple(wanted), "to the last bit: keys hold them"


def measure_range(values, percentiles):
    found = measure_intensity(as_planes(values[..., None], axes="YXC"), percentiles)
    return found.low[0], found.high[0]
