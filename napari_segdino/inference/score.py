"""Scoring tiles with a trained head: predict, fuse the views, regularise."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_segdino.config import PredictSettings
from napari_segdino.encoders.device import OrOnCpu
from napari_segdino.features.extract import Extractor, Views, kind_of
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import Intensity
from napari_segdino.heads.base import Head
from napari_segdino.inference.fuse import fuse
from napari_segdino.inference.regularise import refine, smooth
from napari_segdino.inference.uncertainty import temper

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TileScorer:
    """Gives the probabilities of one tile after the other.

    Parameters
    ----------
    extractor : Extractor
        Encodes tiles.
    views : tuple of Views
        Each gives one prediction; they are fused.
    intensity : Intensity
        Range of the image.
    head : Head
        Predicts a tile, on the encoder's device.
    model : object
        What the head trained.
    settings : PredictSettings
        How views are fused, and whether probabilities flow along the image.
    painted : mapping of str to torch.Tensor
        Marks (Y, X) by the key of their tile.
    edges : float, optional
        How strong edges usually are, the same for all tiles of an image; None
        is each tile's own.
    flows_later : bool
        Whether probabilities are left as the head gives them, no surer, since they
        flow through the whole volume afterwards.
    """

    extractor: Extractor
    views: tuple[Views, ...]
    intensity: Intensity
    head: Head
    model: Any
    settings: PredictSettings
    painted: Mapping[str, torch.Tensor]
    edges: float | None = None
    flows_later: bool = False

    @cached_property
    def or_on_cpu(self) -> OrOnCpu:
        """Remembers which tiles are too large for the encoder's device."""
        return OrOnCpu(self.extractor.encoder.device)

    def at_once(self, tile: NDArray[Any]) -> int:
        """Return how many tiles of a kind are encoded at once with profit.

        Parameters
        ----------
        tile : numpy.ndarray, shape (Y, X, C)
            One of them.
        """
        return min(self.extractor.at_once(tile, views) for views in self.views)

    def prepare(self, tiles: Sequence[NDArray[Any]]) -> None:
        """Encode tiles together that are scored next.

        Parameters
        ----------
        tiles : sequence of numpy.ndarray, each (Y, X, C)
            Of one shape.
        """
        # Further views are predictions of their own, which come one after another.
        self.extractor.prepare(tiles, self.intensity, self.views[0])

    def may_have_marks(self, tile: NDArray[Any]) -> bool:
        """Whether marks are known of a tile of this shape, range and kind.

        Parameters
        ----------
        tile : numpy.ndarray, shape (Y, X, C)
            Raw pixels.
        """
        kinds = {kind_of(key) for key in self.painted}
        return kind_of(self._key(tile)) in kinds

    def marks_on(self, tile: NDArray[Any]) -> NDArray[Any] | None:
        """Return what is marked on a tile, if anything.

        Parameters
        ----------
        tile : numpy.ndarray, shape (Y, X, C)
            Raw pixels.

        Returns
        -------
        numpy.ndarray of uint8, shape (Y, X), or None
        """
        marks = self.painted.get(self._key(tile))
        return None if marks is None else marks.numpy()

    def _key(self, tile: NDArray[Any]) -> str:
        return self.extractor.key(tile, self.intensity, self.views[0])

    def __call__(self, tile: NDArray[Any]) -> torch.Tensor:
        """Score a tile, on the CPU where the device has too little memory for it.

        Parameters
        ----------
        tile : numpy.ndarray, shape (Y, X, C)
            Raw pixels.

        Returns
        -------
        torch.Tensor, shape (K, Y, X), float32
            On the encoder's device.

        Raises
        ------
        ChannelsError
            If it has other channels than the head was trained on.
        """
        y, x = tile.shape[:2]
        score = partial(self._score, tile)
        return self.or_on_cpu(score, (y, x), f"A tile of {y} x {x} pixels")

    def _score(self, tile: NDArray[Any], device: torch.device) -> torch.Tensor:
        grids = (self.extractor.grid(tile, self.intensity, v) for v in self.views)
        # Lazily: of many views only the first grid is held, along whose edges all is
        # refined.
        first = next(grids)
        maps = [self._predict(g, device) for g in itertools.chain([first], grids)]
        fused = fuse(maps, self.settings.fusion) if len(maps) > 1 else maps[0]
        if not self.head.regularised:
            return smooth(fused, self.head.sigma) if self.settings.regularise else fused
        marks = self.painted.get(first.key)
        flow = self.settings.regularise and not self.flows_later
        flowed = refine(fused, first, marks, flow, self.edges)
        heat = self.head.temperature(self.model)
        # Surer only afterwards: sharpened probabilities would be trusted too much where
        # they flow.
        heat = max(1.0, heat) if self.flows_later else heat
        return temper(flowed, heat)

    def _predict(self, grid: FeatureGrid, device: torch.device) -> torch.Tensor:
        # Where no features are stored, tiles go by once; coarse ones are replaced soon.
        reuse = self.extractor.cache.ram_bytes > 0 and not self.extractor.coarse
        return self.head.predict(self.model, grid, device, reuse)
