import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_segdino.errors import InputError
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.inference.smoothing import (
    Smoothing,
    iter_smooth,
    kernel,
    neighbourhood,
)
from napari_segdino.progress import Progress


def smooth_along_z(volume, sigma):
    if sigma < 0.125:  # scipy's kernel then has one weight, which it divides by 0
        return volume
    return ndimage.gaussian_filter1d(volume, sigma, 1, mode="nearest")


def volume_of(n_planes, seed=0, shape=(2, 3)):
    raw = np.random.default_rng(seed).random((3, n_planes, *shape))
    return (raw / raw.sum(0)).astype(np.float32)


def planes_of(volume, first=0):
    for z in range(volume.shape[1]):
        labels = volume[:, z].argmax(0).astype(np.uint8)
        yield PlaneResult(first + z, labels, volume[:, z])


def stacked(results):
    return np.stack([r.probabilities for r in results], 1)


@pytest.mark.parametrize(
    ("settings_", "spacing", "expected"),
    [
        (Smoothing(), None, 4),
        (Smoothing(), 1.0, 4),
        (Smoothing(), 0.5, 4),
        (Smoothing(), 5.0, 0.8),
        (Smoothing(max_mm=0), 5.0, 4),
        (Smoothing(z_sigma=3, z_unit="mm"), 1.5, 2),
        (Smoothing(z_sigma=3, z_unit="mm"), 0.25, 12),
        (Smoothing(z_sigma=3, z_unit="mm"), None, 3),
        (Smoothing(z_sigma=0), 1.0, 0),
    ],
)
def test_sigma_follows_the_spacing(settings_, spacing, expected):
    assert settings_.sigma_in_slices(spacing) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings_", "spacing"),
    [(Smoothing(), 0.0), (Smoothing(), float("nan")), (Smoothing(z_unit="cm"), 1.0)],
)
def test_a_spacing_that_cannot_be_is_refused(settings_, spacing):
    with pytest.raises(InputError):
        settings_.sigma_in_slices(spacing)


def test_kernel_by_hand():
    weights = kernel(0.5)
    e2, e8 = np.exp(-2), np.exp(-8)
    expected = np.array([e8, e2, 1, e2, e8]) / (1 + 2 * e2 + 2 * e8)
    assert np.allclose(weights, expected)
    assert kernel(0).tolist() == [1]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), st.floats(0, 3), st.integers(0, 5))
def test_planes_in_order_give_what_the_volume_gives(n_planes, sigma, first):
    volume = volume_of(n_planes, first)
    how = Smoothing(z_sigma=sigma)
    results = list(iter_smooth(planes_of(volume, first), how))
    assert [r.index for r in results] == list(range(first, first + n_planes))
    expected = smooth_along_z(volume, sigma)
    assert np.allclose(stacked(results), expected, atol=1e-6)
    assert np.allclose(stacked(results).sum(0), 1, atol=1e-5)
    for r in results:
        assert np.array_equal(r.labels, r.probabilities.argmax(0))


def test_a_lone_plane_is_outvoted_by_its_neighbours():
    volume = np.zeros((2, 9, 1, 1), np.float32)
    volume[1] = 1
    volume[:, 4, 0, 0] = 1, 0
    labels = [r.labels.item() for r in iter_smooth(planes_of(volume), Smoothing())]
    assert labels == [1] * 9


def test_volumes_that_follow_one_another_do_not_mix():
    a, b = volume_of(4, 1), volume_of(4, 2)
    both = np.concatenate([a, b], 1)
    results = list(iter_smooth(planes_of(both), Smoothing(), depth=4))
    assert np.allclose(stacked(results[:4]), smooth_along_z(a, 4), atol=1e-6)
    assert np.allclose(stacked(results[4:]), smooth_along_z(b, 4), atol=1e-6)


def test_a_gap_starts_anew():
    a, b = volume_of(3, 1), volume_of(2, 2)
    steps = [*planes_of(a), *planes_of(b, 7)]
    results = list(iter_smooth(steps, Smoothing()))
    assert [r.index for r in results] == [0, 1, 2, 7, 8]
    assert np.allclose(stacked(results[:3]), smooth_along_z(a, 4), atol=1e-6)
    assert np.allclose(stacked(results[3:]), smooth_along_z(b, 4), atol=1e-6)


def test_memory_is_a_window_and_progress_passes():
    taken = 0

    def steps():
        nonlocal taken
        for plane in planes_of(volume_of(50)):
            yield Progress(plane.index, 50)
            taken += 1
            yield plane

    ahead, progress = [], 0
    how = Smoothing(z_sigma=1)
    for step in iter_smooth(steps(), how):
        if isinstance(step, Progress):
            progress += 1
        else:
            ahead.append(taken - step.index - 1)
    assert progress == len(ahead) == 50
    assert max(ahead) == 4  # the reach of a sigma of 1


def test_closing_closes_what_is_behind():
    closed = []

    def steps():
        try:
            yield from planes_of(volume_of(9))
        finally:
            closed.append(True)

    smooth = iter_smooth(steps(), Smoothing())
    next(smooth)
    smooth.close()
    assert closed == [True]


def test_neighbours_stay_in_their_volume():
    assert neighbourhood([5, 1], depth=4, reach=1) == [0, 1, 2, 4, 5, 6]
    assert neighbourhood([3], depth=4, reach=9) == [0, 1, 2, 3]
    assert neighbourhood([3], depth=4, reach=0) == [3]


@pytest.mark.parametrize(("thick", "told"), [(3, True), (12, False)])
def test_a_thin_object_that_is_smoothed_away_is_told(caplog, thick, told):
    sure = np.zeros((2, 24, 4, 4), np.float32)
    sure[1, 6 : 6 + thick, 1:3, 1:3] = 1
    sure[0] = 1 - sure[1]
    smoothed = list(iter_smooth(planes_of(sure), Smoothing(4.0)))
    assert any(plane.labels.any() for plane in smoothed) != told
    texts = [record.getMessage() for record in caplog.records]
    assert (
        texts
        == [
            "Smoothing along z took class 1 off 3 of the 3 slices that it was on: thin "
            "objects stay with a smaller sigma."
        ]
        * told
    )
