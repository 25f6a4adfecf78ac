"""A volume predicted across several axes, the predictions joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import put_back
from napari_segdino.inference.fuse import Fusion, certainty
from napari_segdino.inference.predict import (
    PlaneResult,
    ScoreTile,
    iter_planes,
    label_dtype,
)
from napari_segdino.progress import Steps


def iter_volume(
    image: Planes,
    cuts: Mapping[str, Planes],
    score: ScoreTile,
    settings: FeatureSettings,
    fusion: Fusion,
    wanted: Iterable[int],
    text: str,
) -> Steps[None]:
    """Predict a whole volume across each axis and join what was said.

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
    total = _Total(image.spatial_shape, fusion)
    for axis, cut in cuts.items():
        marked = f"{text} across {axis.lower()}"
        for step in iter_planes(cut.read, range(len(cut)), score, settings, marked):
            if isinstance(step, PlaneResult):
                total.add(*put_back(cut, step.index, step.probabilities))
            else:
                yield step
    for index in wanted:
        maps = total.plane(image.index(index))
        labels = maps.argmax(0).astype(label_dtype(len(maps)))
        yield PlaneResult(index, labels, maps)


class _Total:
    """Weighted sums over a volume, in half precision: at most three are added."""

    def __init__(self, shape: tuple[int, ...], fusion: Fusion) -> None:
        self._shape, self._fusion = shape, fusion
        self._maps: NDArray[np.float16] | None = None

    def add(self, at: tuple[Any, ...], maps: NDArray[np.float32]) -> None:
        """Add the probabilities (K, rows, columns) of a plane."""
        import torch

        if self._maps is None:
            self._maps = np.zeros((len(maps), *self._shape), np.float16)
        if self._fusion == "entropy":
            sure = certainty(torch.from_numpy(np.ascontiguousarray(maps)))
            maps = maps * sure.numpy()
        where: tuple[Any, ...] = (slice(None), *at)
        self._maps[where] += maps.astype(np.float16)

    def plane(self, index: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the joined probabilities (K, Y, X) of a plane; they sum to 1."""
        assert self._maps is not None
        where: tuple[Any, ...] = (slice(None), *index)
        maps = self._maps[where].astype(np.float32)
        joined: NDArray[np.float32] = maps / maps.sum(0)
        return joined
