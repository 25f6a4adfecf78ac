"""What a mask that another tool made leaves to learn from: weak marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.intensity import find_intensity
from napari_segdino.features.tiles import cut_tiles
from napari_segdino.heads.collect import number_of
from napari_segdino.heads.probe.samples import (
    MASK,
    PIXELS_PER_CLASS,
    Sample,
    read_pixels,
    take_sample,
)
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Progress, Steps

GIVEN_WEIGHT = 3.0
"""What each class of a mask weighs beside strokes, on all its planes together, before
it fades: as much as a side of a box."""

SURE_FROM = 3
"""Pixels from the border of its class from which on a pixel weighs in full: another
tool's border is rarely right to the pixel."""


def iter_sample_mask(
    image: Planes,
    mask: NDArray[Any],
    planes: Sequence[int],
    extractor: Extractor,
    settings: FeatureSettings,
    seed: int,
) -> Steps[dict[str, Sample]]:
    """Draw pixels of each class of a mask.

    Parameters
    ----------
    image : Planes
        The image.
    mask : array of int, spatial shape of the image
        0 background, 1.. classes.
    planes : sequence of int
        Planes to look at.
    extractor : Extractor
        Encodes tiles.
    settings : FeatureSettings
        Tiles and views.
    seed : int
        Seed of what is drawn.

    Yields
    ------
    Progress

    Returns
    -------
    dict of str to Sample
        By :data:`MASK` and the key of the tile.
    """
    intensity = find_intensity(image, settings, extractor.encoder.spec)
    tiles = cut_tiles(image.plane_shape, settings.longest_tile, settings.overlap)
    random = np.random.default_rng(seed)
    read: dict[int, NDArray[Any]] = {}
    found: dict[str, Sample] = {}
    for done, index in enumerate(planes):
        plane = image.read(index)
        # The first one tells the image; the others need not stay in memory.
        read = read or {index: plane}
        codes = np.asarray(mask[image.index(index)]).astype(np.uint8) + 1
        sure = _sure(codes)
        for tile in tiles:
            yield Progress(done, len(planes), "Learning from the mask")
            grid = extractor.grid(plane[tile.slices], intensity, views_of(settings)[0])
            own, weights = codes[tile.slices].ravel(), sure[tile.slices].ravel()
            order = random.permutation(own.size)
            chosen = np.concatenate(
                [
                    order[own[order] == c][: PIXELS_PER_CLASS // len(planes) + 1]
                    for c in np.unique(own)
                ]
            )
            empty = take_sample(grid, np.zeros(tile.shape, np.uint8), seed)
            found[MASK + grid.key] = replace(
                empty,
                marks=torch.from_numpy(own[chosen])[None].clone(),
                features=torch.cat(read_pixels(grid, chosen), 1).half(),
                codes=torch.from_numpy(own[chosen]),
                weights=torch.from_numpy(weights[chosen]),
                strokes=torch.from_numpy(own[chosen]).long(),
                parts=torch.zeros(len(chosen)),
            )
    image_number = torch.tensor(number_of(image, read))
    listed = list(found.values())
    each = [torch.bincount(s.codes.long(), s.weights, minlength=256) for s in listed]
    total = torch.stack(each).sum(0)
    parts = (torch.stack(each) > 0).sum(0)
    return {
        key: replace(
            s,
            weights=GIVEN_WEIGHT * s.weights / total[s.codes.long()],
            parts=1.0 / parts[s.codes.long()],
            image=image_number,
        )
        for key, s in found.items()
    }


def _sure(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What each pixel of a plane weighs: less the nearer another class is."""
    from scipy.ndimage import distance_transform_edt

    weights = np.full(codes.shape, 1.0, np.float32)
    for code in np.unique(codes)[:-1] if codes.min() < codes.max() else ():
        inside = codes == code
        for side in (inside, ~inside):
            near = distance_transform_edt(side)[side] / SURE_FROM
            weights[side] = np.minimum(weights[side], near)
    return weights
