"""One measure of edges for all tiles of an image."""

import dask.array as da
import numpy as np
import torch

from napari_segdino.config import FeatureSettings
from napari_segdino.features.edges import measure_edges
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.local import smooth_colour
from napari_segdino.images.lazy import LazyPlanes
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.diffusion import diffuse

SMALL = FeatureSettings(tile=64, overlap=16)
UNIT = Intensity((0.0,), (1.0,))


def half_blank():
    """Noise on the left, nearly nothing on the right."""
    image = np.random.default_rng(0).random((64, 160)).astype(np.float32)
    image[:, 80:] *= 0.05
    return image


def test_a_plane_of_one_tile_speaks_for_itself():
    assert measure_edges(as_planes(np.zeros((64, 64))), UNIT, SMALL) is None


def test_the_mean_is_that_of_the_whole_plane():
    image = half_blank()
    found = measure_edges(as_planes(image), UNIT, SMALL)
    colour = smooth_colour(torch.from_numpy(image[None]), 1).numpy()
    down, right = np.diff(colour, axis=1), np.diff(colour, axis=2)
    whole = ((down**2).sum() + (right**2).sum()) / (down.size + right.size)
    assert np.isclose(found, whole, rtol=0.3)


def test_a_lazy_plane_gives_the_same():
    image = half_blank()
    lazy = LazyPlanes(da.from_array(image, chunks=32), "YX")
    plain = measure_edges(as_planes(image), UNIT, SMALL)
    assert np.isclose(measure_edges(lazy, UNIT, SMALL), plain)


def test_tiles_of_other_contrast_agree_where_they_overlap():
    image = half_blank()
    colour = smooth_colour(torch.from_numpy(image[None]), 1)
    bright = torch.from_numpy(image + 0.3).clamp(0.05, 0.95)
    trust = torch.full(image.shape, 0.1)
    edges = measure_edges(as_planes(image), UNIT, SMALL)

    def apart(scale):
        left, right = (
            diffuse(colour[:, :, a], bright[None][:, :, a], trust[:, a], scale)[0]
            for a in (slice(0, 96), slice(64, 160))
        )
        return (left[:, 72:88] - right[:, 8:24]).abs().mean()

    assert apart(edges) < apart(None) / 3
