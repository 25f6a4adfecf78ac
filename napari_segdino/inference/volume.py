"""Volumes: predicted across several axes and joined, marks flow to other slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.features.tiles import cut_tiles
from napari_segdino.images.neighbours import put_back
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import Spacing
from napari_segdino.inference.flow import REACH, Flow, Volume
from napari_segdino.inference.fuse import Fusion, certainty
from napari_segdino.inference.predict import (
    PlaneResult,
    ScoreTile,
    iter_planes,
    labels_of,
)
from napari_segdino.inference.score import TileScorer
from napari_segdino.inference.smoothing import neighbourhood
from napari_segdino.progress import Steps, relay

if TYPE_CHECKING:
    import torch

    from napari_segdino.heads.probe.atlas import Atlas

Predict = Callable[[TileScorer, list[int], tuple[float, float] | None], Steps[None]]


def iter_volume(
    image: Planes,
    cuts: Mapping[str, Planes],
    score: ScoreTile,
    settings: FeatureSettings,
    fusion: Fusion,
    wanted: Iterable[int],
    text: str,
) -> Steps[None]:
    """Predict a whole volume across each axis and join the predictions.

    Parameters
    ----------
    image : Planes
        The volume as it lies.
    cuts : mapping of str to Planes
        The volume cut across each axis.
    score : callable
        Gives the probabilities of a tile.
    settings : FeatureSettings
        Size and overlap of the tiles.
    fusion : {"entropy", "mean"}
        Whether cuts that are surer of a voxel weigh more there.
    wanted : iterable of int
        Planes of the volume to give, in this order.
    text : str
        For the progress.

    Yields
    ------
    Progress
        In tiles, for each axis anew.
    PlaneResult
        Planes of the volume as it lies, when all is joined.
    """
    import torch

    total = _Total(image.spatial_shape, fusion)
    for axis, cut in cuts.items():
        marked = f"{text} across {axis.lower()}"
        for step in iter_planes(cut.read, range(len(cut)), score, settings, marked):
            if isinstance(step, PlaneResult):
                total.add(*put_back(cut, step.index, torch.as_tensor(step.maps)))
            else:
                yield step
    for index in wanted:
        maps = total.plane(image.index(index))
        yield PlaneResult(index, labels_of(maps), maps)


def iter_flow(
    predict: Predict,
    image: Planes,
    seen: Planes,
    score: TileScorer,
    settings: FeatureSettings,
    wanted: Sequence[int],
    spacing: Spacing,
    centre: tuple[float, float] | None = None,
) -> Steps[None]:
    """Predict planes of volumes; from marks near them, probabilities flow.

    Nothing flows from one volume to another, nor along time. Planes with no marks
    near them are predicted each by itself. Where the head learned where in a volume
    classes lie, that comes in first.

    Parameters
    ----------
    predict : callable
        Predicts planes with a scorer, those of them around a pixel first.
    image : Planes
        The image; its planes lie behind one another.
    seen : Planes
        As the encoder sees it.
    score : TileScorer
        Knows the marks.
    settings : FeatureSettings
        Size and overlap of the tiles.
    wanted : sequence of int
        Planes, in the order in which they are wanted.
    spacing : float or tuple of float, optional
        See :class:`Volume`.
    centre : tuple of float, optional
        Pixel that is looked at: the first plane then does not wait for the others.

    Yields
    ------
    Progress, PartResult, PlaneResult
    """
    # It needs torch, which opening the window does not wait for.
    from napari_segdino.heads.probe.atlas import atlas_of

    device = score.extractor.encoder.device
    volume = Volume(image, score.intensity, spacing, device)
    later = replace(score, flows_later=True)
    predict = _with_atlas(predict, atlas_of(score.model), volume.depth)
    # Runs and not all planes of a volume: the order in which they are wanted stays.
    for _, group in groupby(wanted, lambda index: index // volume.depth):
        planes = list(group)
        near = neighbourhood(planes, volume.depth, REACH)
        marks = find_marks(seen, score, settings, near)
        if not marks:
            yield from predict(score, planes, centre)
            continue
        flow = Flow(
            volume,
            lambda indices: predict(later, indices, None),
            marks,
            # What makes less sure was applied before the flow, what makes surer is
            # applied after it.
            min(1.0, score.head.temperature(score.model)),
        )
        # The plane on screen does not wait until the others are encoded.
        first = 1 if centre is not None else len(planes)
        for part in (planes[:first], planes[first:]):
            if part:
                yield from flow.iter_planes(part)


def _with_atlas(predict: Predict, atlas: Atlas | None, depth: int) -> Predict:
    """Let an atlas of volumes of so many slices have its say in each plane."""
    import torch

    if atlas is None:
        return predict

    def placed(step: Any) -> Iterator[Any]:
        if isinstance(step, PlaneResult):
            maps = torch.as_tensor(step.maps)
            maps = atlas.apply(maps, step.index % depth, depth)
            step = PlaneResult(step.index, labels_of(maps), maps)
        yield step

    return lambda *asked: relay(predict(*asked), placed)


def find_marks(
    seen: Planes, score: TileScorer, settings: FeatureSettings, planes: Iterable[int]
) -> dict[int, NDArray[Any]]:
    """Return the marks of those planes that have any.

    Parameters
    ----------
    seen : Planes
        The image as the encoder sees it.
    score : TileScorer
        Knows the marks by the content of their tiles.
    settings : FeatureSettings
        Size and overlap of the tiles.
    planes : iterable of int
        Planes that are looked at.

    Returns
    -------
    dict of int to numpy.ndarray, shape (Y, X), uint8
    """
    if not score.painted:
        return {}
    tiles = cut_tiles(seen.plane_shape, settings.longest_tile, settings.overlap)
    found: dict[int, NDArray[Any]] = {}
    for number, index in enumerate(planes):
        plane = seen.read(index)
        if not number and not score.may_have_marks(plane[tiles[0].slices]):
            break  # all tiles are of one shape: nothing more need be read
        for tile in tiles:
            marks = score.marks_on(plane[tile.slices])
            if marks is not None:
                whole = found.setdefault(index, np.zeros(seen.plane_shape, np.uint8))
                # Where tiles overlap both know the same marks; maximum puts them
                # together.
                whole[tile.slices] = np.maximum(whole[tile.slices], marks)
    return found


class _Total:
    """Weighted sums over a volume, in half precision: at most three are added."""

    def __init__(self, shape: tuple[int, ...], fusion: Fusion) -> None:
        self._shape, self._fusion = shape, fusion
        self._maps: torch.Tensor | None = None

    def add(self, at: tuple[Any, ...], maps: torch.Tensor) -> None:
        """Add the probabilities (K, rows, columns) of a plane."""
        import torch

        if self._maps is None:
            shape = len(maps), *self._shape
            self._maps = maps.new_zeros(shape, dtype=torch.float16)
        if self._fusion == "entropy":
            maps = maps * certainty(maps)
        self._maps[(slice(None), *at)] += maps.half()

    def plane(self, index: tuple[int, ...]) -> torch.Tensor:
        """Return the joined probabilities (K, Y, X) of a plane; they sum to 1."""
        assert self._maps is not None
        where: tuple[Any, ...] = (slice(None), *index)
        maps = self._maps[where].float()
        return maps / maps.sum(0)
