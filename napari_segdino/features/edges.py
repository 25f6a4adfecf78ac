"""How strong the edges of an image are, so that all of its tiles agree on it."""

from __future__ import annotations

import numpy as np

from napari_segdino.config import FeatureSettings
from napari_segdino.features.grid import grid_step
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.local import smooth_colour
from napari_segdino.features.tiles import cut_tiles
from napari_segdino.images.planes import Planes

# Sixteen windows of 48 x 48 cells on three planes: a large image is never read whole.
WINDOWS_A_SIDE = 4
WINDOW_CELLS = 48
SAMPLED_PLANES = 3


def measure_edges(
    image: Planes, intensity: Intensity, settings: FeatureSettings
) -> float | None:
    """Mean squared difference of neighbouring cells, from windows all over.

    Parameters
    ----------
    image : Planes
        Read where it is needed.
    intensity : Intensity
        Its range.
    settings : FeatureSettings
        Size and overlap of the tiles.

    Returns
    -------
    float or None
        None where a plane is one tile, which then speaks for itself.
    """
    import torch

    image = image.measured
    tiles = cut_tiles(image.plane_shape, settings.longest_tile, settings.overlap)
    if len(tiles) == 1:
        return None
    step = grid_step(tiles[0].shape)
    side = WINDOW_CELLS * step
    rows, columns = (_spread(length, side) for length in image.plane_shape)
    total, count = 0.0, 0
    for index in np.unique(np.linspace(0, len(image) - 1, SAMPLED_PLANES).astype(int)):
        plane = image.read(int(index))
        for y in rows:
            for x in columns:
                pixels = plane[y : y + side, x : x + side]
                cells = smooth_colour(torch.from_numpy(intensity.apply(pixels)), step)
                down, right = cells.diff(dim=1), cells.diff(dim=2)
                total += float((down**2).sum() + (right**2).sum())
                count += down[0].numel() + right[0].numel()
    return total / max(1, count)


def _spread(length: int, side: int) -> list[int]:
    """Where windows begin that lie evenly along an axis."""
    last = max(0, length - side)
    starts = np.linspace(0, last, WINDOWS_A_SIDE).round().astype(int)
    return [int(start) for start in np.unique(starts)]
