"""Scoring tiles with a trained head: read, fuse the views, regularise."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from napari_segdino.config import PredictSettings
from napari_segdino.errors import ChannelsError
from napari_segdino.features.extract import Extractor, Views
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import Intensity
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.inference.fuse import fuse
from napari_segdino.inference.regularise import refine
from napari_segdino.inference.uncertainty import temper

if TYPE_CHECKING:
    import torch

    from napari_segdino.heads.dense.decoder import DenseHead

KEPT_BYTES = 512 << 20
"""Vectors kept for the next round, in bytes."""

OTHER_CHANNELS = (
    "This image has another number of channels than those the probe learned from."
)


class VectorProbe(Protocol):
    """What scores vectors: a trained probe, or groups."""

    @property
    def basis(self) -> Basis:
        """What makes vectors of features."""

    @property
    def temperature(self) -> float:
        """Over which the logits of what flowed are right about how sure they are."""

    def on(self, tile: str) -> VectorProbe:
        """Return the probe for a tile, by its key."""

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (N, J) to probabilities (N, K)."""


class VectorStore:
    """Vectors of the tiles scored last, for one basis at a time.

    Parameters
    ----------
    kept_bytes : int
        How much is kept; the last tile's always are.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
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
        found = self._held[grid.key]
        while len(self._held) * found.nbytes > self._kept_bytes and len(self._held) > 1:
            self._held.popitem(last=False)
        return found


@dataclass(frozen=True)
class ProbeReader:
    """Reads tiles with a probe on vectors, on their regular grid.

    Parameters
    ----------
    probe : VectorProbe
        Trained, or groups.
    store : VectorStore
        Keeps vectors between rounds.
    """

    probe: VectorProbe
    store: VectorStore
    coarse = True

    @property
    def temperature(self) -> float:
        """See :attr:`VectorProbe.temperature`."""
        return self.probe.temperature

    def read(self, grid: FeatureGrid) -> torch.Tensor:
        """Probabilities of a tile, shape (K, gy, gx)."""
        if not self.probe.basis.fits(grid):
            raise ChannelsError(OTHER_CHANNELS)
        vectors = self.store.vectors(self.probe.basis, grid)
        probe = self.probe.on(grid.key)
        return probe.probabilities(vectors).T.reshape(-1, *grid.cells)


@dataclass(frozen=True)
class DenseReader:
    """Reads tiles with a dense head, at full resolution.

    Parameters
    ----------
    head : DenseHead
        Trained.
    """

    head: DenseHead
    coarse = False
    temperature = 1.0

    def read(self, grid: FeatureGrid) -> torch.Tensor:
        """Probabilities of a tile, shape (K, Y, X)."""
        import torch

        from napari_segdino.heads.dense.decoder import probabilities

        if tuple(len(level) for level in grid.levels) != self.head.channels:
            raise ChannelsError(OTHER_CHANNELS)
        with torch.inference_mode():
            logits = self.head([level[None] for level in grid.levels], grid.shape)
            return probabilities(logits)[0].clone()


def make_reader(model: Any, store: VectorStore) -> ProbeReader | DenseReader:
    """Return what reads tiles with a trained model."""
    if hasattr(model, "basis"):
        return ProbeReader(model, store)
    return DenseReader(model)


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
    reader : ProbeReader or DenseReader
        Reads a tile.
    settings : PredictSettings
        How views are fused, and whether probabilities flow along the image.
    painted : mapping of str to torch.Tensor
        Marks (Y, X) by the key of their tile.
    edges : float, optional
        How strong edges usually are, the same for all tiles of an image; None
        is each tile's own.
    """

    extractor: Extractor
    views: tuple[Views, ...]
    intensity: Intensity
    reader: ProbeReader | DenseReader
    settings: PredictSettings
    painted: Mapping[str, torch.Tensor]
    edges: float | None = None

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
        ChannelsError
            If it has other channels than the head was trained on.
        """
        import torch

        grids = (self.extractor.grid(tile, self.intensity, v) for v in self.views)
        first = next(grids)
        maps = [self.reader.read(first), *(self.reader.read(g) for g in grids)]
        fused = fuse(maps, self.settings.fusion) if len(maps) > 1 else maps[0]
        if not self.reader.coarse:
            return fused
        marks = self.painted.get(first.key)
        flow = self.settings.regularise
        flowed = refine(fused, first, marks, flow, self.edges)
        return torch.from_numpy(temper(flowed.numpy(), self.reader.temperature))
