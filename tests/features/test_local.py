"""Local features against the plain filters of scipy, read at the cells' middles."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_segdino.features import local
from napari_segdino.features.grid import GRID_CELLS, grid_step
from napari_segdino.features.local import local_features, on_grid, smooth_colour


def picture(shape, channels=3):
    rng = np.random.default_rng(0)
    return rng.random((channels, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (211, 190), (300, 431)])
def test_they_are_scipys_filters_at_the_middle_of_each_cell(shape):
    image = picture(shape)
    step = grid_step(shape)
    assert (step > 1) == (shape[0] * shape[1] > GRID_CELLS)
    found = local_features(torch.from_numpy(image)).numpy()
    grey = image.mean(0)
    wanted = [grey]
    for sigma in local.SIGMAS:

        def of(*order, plane=grey, sigma=sigma):
            return ndimage.gaussian_filter(plane, sigma, order, mode="nearest")

        steep = ndimage.gaussian_gradient_magnitude(grey, sigma, mode="nearest")
        yy, xx, xy = (of(*o) * sigma**2 for o in ((2, 0), (0, 2), (1, 1)))
        bent = np.linalg.eigvalsh(np.stack([yy, xy, xy, xx], -1).reshape(*shape, 2, 2))
        variance = of(0, 0, plane=grey * grey) - of(0, 0) ** 2
        spread = np.sqrt(np.maximum(variance, 0))
        wanted += [of(0, 0), steep * sigma, bent[..., 1], bent[..., 0], spread]
    for channel in (image[0] - grey, image[-1] - grey):
        smooth = [
            ndimage.gaussian_filter(channel, s, mode="nearest") for s in local.SIGMAS
        ]
        wanted += [channel, *smooth]
    wanted = np.stack([on_grid(torch.from_numpy(p), step) for p in wanted])
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, atol=2e-3)
    assert np.abs(found - wanted).mean() < 1e-5


def test_a_slope_has_its_gradient():
    image = (torch.arange(64) / 64).expand(1, 64, 64)
    plain, smooth, gradient = local_features(image)[:3, 32, 32]
    assert plain == smooth == 0.5
    assert gradient == pytest.approx(0.7 / 64, rel=5e-3)


@given(st.integers(1, 90), st.integers(1, 9))
def test_each_cell_is_read_inside_itself_and_inside_the_plane(length, step):
    rows = on_grid(torch.arange(length)[:, None], step)[:, 0].numpy()
    cells = np.arange(-(-length // step))
    assert (rows // step == cells).all()
    assert rows.max() < length


def test_colour_is_smoothed_by_half_a_cell():
    dot = np.zeros((1, 12, 12), np.float32)
    dot[0, 6, 6] = 1
    wanted = ndimage.gaussian_filter(dot[0], 2.0, mode="nearest")[2::4, 2::4]
    assert np.allclose(smooth_colour(torch.from_numpy(dot), 4)[0], wanted, atol=1e-6)
