"""Scoring tiles with a probe: read, fuse the views, regularise."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.features.extract import Extractor, Views
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import Intensity
from napari_segdino.heads.mvr import Basis
from napari_segdino.inference.refine import refine

if TYPE_CHECKING:
    import torch

KEPT_TILES = 48
"""Tiles whose vectors are kept for the next round."""


class Reader(Protocol):
    """What scores vectors: a trained probe, or groups."""

    @property
    def basis(self) -> Basis:
        """What makes vectors of features."""

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (N, J) to probabilities (N, K)."""


class VectorStore:
    """Vectors of the tiles scored last, for one basis at a time."""

    def __init__(self) -> None:
        self._basis: Basis | None = None
        self._held: OrderedDict[str, torch.Tensor] = OrderedDict()

    def vectors(self, basis: Basis, grid: FeatureGrid) -> torch.Tensor:
        """Vectors of a tile, made anew when the basis is another."""
        if basis is not self._basis:
            self._held.clear()
            self._basis = basis
        if grid.key not in self._held:
            self._held[grid.key] = basis.vectors(grid)
        self._held.move_to_end(grid.key)
        while len(self._held) > KEPT_TILES:
            self._held.popitem(last=False)
        return self._held[grid.key]


@dataclass(frozen=True)
class TileScorer:
    """Gives the probabilities of one tile after the other.

    Parameters
    ----------
    extractor : Extractor
        Encodes tiles.
    views : tuple of Views
        Each gives one prediction; they are averaged.
    intensity : Intensity
        Range of the image.
    reader : Reader
        Scores vectors.
    store : VectorStore
        Keeps vectors between rounds.
    painted : mapping of str to array
        Marks (Y, X) by the key of their tile.
    """

    extractor: Extractor
    views: tuple[Views, ...]
    intensity: Intensity
    reader: Reader
    store: VectorStore
    painted: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __call__(self, tile: NDArray[Any]) -> torch.Tensor:
        """Score a tile.

        Parameters
        ----------
        tile : numpy.ndarray, shape (Y, X, C)
            Raw pixels.

        Returns
        -------
        torch.Tensor, shape (K, Y, X), float32

        Raises
        ------
        InputError
            If it has other channels than the probe was trained on.
        """
        import torch

        grids = [self.extractor.grid(tile, self.intensity, v) for v in self.views]
        if not self.reader.basis.check(grids[0]):
            raise InputError(
                "This image has another number of channels than those the probe "
                "learned from."
            )
        read = [
            self.reader.probabilities(self.store.vectors(self.reader.basis, grid))
            for grid in grids
        ]
        fused = torch.stack(read).mean(0)
        coarse = fused.T.reshape(-1, *grids[0].cells)
        return refine(coarse, grids[0], self.painted.get(grids[0].key))
