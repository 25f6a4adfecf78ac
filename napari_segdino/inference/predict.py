"""From features to labels and probabilities, tile by tile, plane by plane."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.features.tiles import Tile, blend_weights, cut_tiles
from napari_segdino.progress import Progress, Steps

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class PlaneResult:
    """The prediction of one plane.

    Parameters
    ----------
    index : int
        Flat index of the plane over the image's leading axes.
    labels : numpy.ndarray, shape (Y, X), uint8 or uint16
        0 background, 1.. classes.
    probabilities : numpy.ndarray, shape (K, Y, X), float32
        Background first; they sum to 1.
    """

    index: int
    labels: NDArray[np.unsignedinteger]
    probabilities: NDArray[np.float32]


ScoreTile = Callable[[NDArray[Any]], "torch.Tensor"]
"""Raw pixels (Y, X, C) of a tile to probabilities (K, Y, X)."""


def label_dtype(n_classes: int) -> type[np.unsignedinteger]:
    """Smallest of uint8 and uint16 that holds the labels."""
    return np.uint8 if n_classes <= 256 else np.uint16


def predict_plane(
    plane: NDArray[Any], index: int, score: ScoreTile, settings: FeatureSettings
) -> Steps[PlaneResult]:
    """Score a plane tile by tile and blend.

    Parameters
    ----------
    plane : numpy.ndarray, shape (Y, X, C)
        Raw pixels.
    index : int
        Flat index of the plane.
    score : callable
        Gives the probabilities of a tile.
    settings : FeatureSettings
        Size and overlap of the tiles.

    Yields
    ------
    Tile
        Each tile as it is finished.

    Returns
    -------
    PlaneResult
    """
    shape = plane.shape[0], plane.shape[1]
    tiles = cut_tiles(shape, settings.tile, settings.overlap)
    if len(tiles) == 1:
        total = score(plane).numpy()
        yield tiles[0]
    else:
        total = yield from _blend(plane, tiles, score, settings.overlap)
    labels = total.argmax(0).astype(label_dtype(len(total)))
    return PlaneResult(index, labels, total.astype(np.float32, copy=False))


def _blend(
    plane: NDArray[Any], tiles: list[Tile], score: ScoreTile, overlap: int
) -> Steps[NDArray[np.float32]]:
    shape = plane.shape[0], plane.shape[1]
    total: NDArray[np.float32] | None = None
    weight = np.zeros(shape, np.float32)
    for tile in tiles:
        part = score(plane[tile.slices]).numpy()
        if total is None:
            total = np.zeros((len(part), *shape), np.float32)
        ramp = blend_weights(tile, shape, overlap)
        total[(slice(None), *tile.slices)] += part * ramp
        weight[tile.slices] += ramp
        yield tile
    assert total is not None
    total /= weight
    return total


def iter_planes(
    read: Callable[[int], NDArray[Any]],
    indices: Iterable[int],
    score: ScoreTile,
    settings: FeatureSettings,
    text: str,
) -> Steps[None]:
    """Predict planes in the order asked for.

    Yields
    ------
    Progress
        After each tile; in planes.
    PlaneResult
        After each plane.
    """
    wanted = list(indices)
    for done, index in enumerate(wanted):
        yield Progress(done, len(wanted), text)
        steps = predict_plane(read(index), index, score, settings)
        result = yield from _progressing(steps, Progress(done, len(wanted), text))
        yield result
    yield Progress(len(wanted), len(wanted), text)


def _progressing(steps: Steps[PlaneResult], progress: Progress) -> Steps[PlaneResult]:
    """Replace what a task yields by its progress, so that it can be cancelled."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: PlaneResult = end.value
            return result
        yield progress
