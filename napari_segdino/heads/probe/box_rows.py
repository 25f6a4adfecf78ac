"""Which pixels boxes are learned from, and their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import find_intensity
from napari_segdino.features.tiles import Tile, cut_tiles
from napari_segdino.heads.collect import number_of
from napari_segdino.heads.probe.box_prior import boxes_of
from napari_segdino.heads.probe.samples import (
    BACKGROUND,
    BOX,
    Sample,
    read_pixels,
    take_sample,
)
from napari_segdino.images.boxes import Box
from napari_segdino.images.planes import Planes
from napari_segdino.marks import as_codes
from napari_segdino.progress import Progress, Steps

INSIDE, OUTSIDE = 256, 256
"""Pixels of all boxes of a class, and beside them; half of these are near."""

NEAR = 1.6
"""Where near ends, in half sides of the box."""


@dataclass(frozen=True)
class BoxRows:
    """Pixels of one tile that a box is learned from.

    Parameters
    ----------
    key : str
        Of the tile.
    empty : Sample
        Of the tile, nothing taken yet.
    plane : int
        Flat index of its plane.
    tile : Tile
        Its pixels.
    pixels : numpy.ndarray of int, shape (N, 2)
        Positions y and x in the plane.
    features : torch.Tensor, shape (N, D), float16
        All blocks side by side.
    marks : numpy.ndarray of int, shape (N,)
        What is painted there: 0 unlabelled, 1 background, 2.. classes.
    """

    key: str
    empty: Sample
    plane: int
    tile: Tile
    pixels: NDArray[np.intp]
    features: torch.Tensor
    marks: NDArray[Any]


def _take_rows(
    grid: FeatureGrid,
    plane: int,
    tile: Tile,
    boxes: Sequence[Box],
    marks: NDArray[Any],
    seed: int,
) -> BoxRows:
    """Draw pixels inside the boxes of a plane, beside them and elsewhere on a tile."""
    random = np.random.default_rng(seed)
    y, x = np.indices(tile.shape)
    pixels = np.stack([y.ravel() + tile.y0, x.ravel() + tile.x0], 1)
    distance = np.min([np.abs(b.relative(pixels + 0.5)).max(1) for b in boxes], axis=0)
    order = random.permutation(len(pixels))
    near = order[(distance[order] > 1) & (distance[order] < NEAR)][: OUTSIDE // 2]
    elsewhere = order[distance[order] > 1][: OUTSIDE // 2]
    painted = order[marks.ravel()[order] > 0][:INSIDE]
    inside = [_lattice(box, tile, INSIDE // len(boxes)) for box in boxes]
    chosen = np.unique(np.concatenate([*inside, near, elsewhere, painted]))
    empty = take_sample(grid, np.zeros(tile.shape, np.uint8), seed)
    return BoxRows(
        grid.key,
        empty,
        plane,
        tile,
        pixels[chosen],
        torch.cat(read_pixels(grid, chosen), 1).half(),
        marks.ravel()[chosen],
    )


def _lattice(box: Box, tile: Tile, count: int) -> NDArray[np.intp]:
    """About so many pixels of a tile, evenly spread over a box: flat indices.

    The moments of what is in the box are taken of them, and chance would spread them
    unevenly.
    """
    rows, columns = box.slices()
    side = max(3, round(count**0.5))
    y, x = (
        np.unique(np.linspace(s.start, s.stop - 1, side).round().astype(int)) - start
        for s, start in ((rows, tile.y0), (columns, tile.x0))
    )
    y, x = y[(y >= 0) & (y < tile.shape[0])], x[(x >= 0) & (x < tile.shape[1])]
    found: NDArray[np.intp] = (y[:, None] * tile.shape[1] + x).ravel()
    return found


@dataclass(frozen=True)
class BoxedTiles:
    """The tiles of an image that boxes touch.

    Parameters
    ----------
    rows : list of BoxRows
        Pixels to learn from.
    painted : dict of str to Sample
        By the key of the tile, with marks of background outside the boxes.
    boxes : list of Box
        Those given, and those drawn on these tiles before.
    image : int
        Number of the image.
    """

    rows: list[BoxRows]
    painted: dict[str, Sample]
    boxes: list[Box]
    image: int


def iter_box_rows(
    image: Planes,
    boxes: Sequence[Box],
    marks: Any,
    extractor: Extractor,
    settings: FeatureSettings,
    seed: int,
    before: Mapping[str, Sample],
) -> Steps[BoxedTiles]:
    """Encode the tiles that boxes touch, and draw pixels of each.

    Parameters
    ----------
    image : Planes
        The image.
    boxes : sequence of Box
        On its planes.
    marks : array of int, optional
        What is painted on the image, in its spatial shape.
    extractor : Extractor
        Encodes tiles.
    settings : FeatureSettings
        Tiles and views.
    seed : int
        Seed of what is drawn.
    before : mapping of str to Sample
        What was learned from so far. Boxes drawn before stay, but for those that are
        drawn again.

    Yields
    ------
    Progress

    Returns
    -------
    BoxedTiles
    """
    intensity = find_intensity(image, settings, extractor.encoder.spec)
    tiles = cut_tiles(image.plane_shape, settings.longest_tile, settings.overlap)
    by_plane: dict[int, list[Box]] = {}
    for box in boxes:
        by_plane.setdefault(box.plane, []).append(box)
    read: dict[int, NDArray[Any]] = {}
    rows: list[BoxRows] = []
    painted: dict[str, Sample] = {}
    everything: list[Box] = []
    for index, new in by_plane.items():
        plane = read[index] = image.read(index)
        touched = [tile for tile in tiles if any(_touches(box, tile) for box in new)]
        grids: list[FeatureGrid] = []
        for tile in touched:
            yield Progress(len(grids), len(touched), "Looking at the boxes")
            views = views_of(settings)[0]
            grids.append(extractor.grid(plane[tile.slices], intensity, views))
        own = list(new)
        for tile, grid in zip(touched, grids, strict=True):
            known = before.get(BOX + grid.key)
            if known is not None and known.boxes is not None:
                old = boxes_of(known.boxes, index, (tile.y0, tile.x0))
                own += [box for box in old if not any(box.is_like(b) for b in own)]
        everything += own
        outside = np.full(image.plane_shape, BACKGROUND, np.uint8)
        for box in own:
            outside[box.slices()] = 0
        marked = np.zeros_like(outside)
        if marks is not None:
            marked = as_codes(marks[image.index(index)])
        for tile, grid in zip(touched, grids, strict=True):
            here = marked[tile.slices]
            rows.append(_take_rows(grid, index, tile, own, here, seed))
            known_marks = np.where(here > 0, here, outside[tile.slices])
            painted[grid.key] = replace(
                rows[-1].empty, marks=torch.from_numpy(known_marks)
            )
    return BoxedTiles(rows, painted, everything, number_of(image, read))


def _touches(box: Box, tile: Tile) -> bool:
    """Whether they have pixels in common."""
    return (
        box.y0 < tile.y1 and box.y1 > tile.y0 and box.x0 < tile.x1 and box.x1 > tile.x0
    )
