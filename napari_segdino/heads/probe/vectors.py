"""Vectors of the tiles predicted last: a refit predicts the same tiles again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.probe.basis import Basis

if TYPE_CHECKING:
    import torch

STORED_BYTES = 512 << 20


class VectorStore:
    """Vectors of the last tiles, at most `STORED_BYTES`, for one basis at a time."""

    def __init__(self) -> None:
        self._basis: Basis | None = None
        self._stored: OrderedDict[str, torch.Tensor] = OrderedDict()

    def vectors(self, basis: Basis, grid: FeatureGrid) -> torch.Tensor:
        """Vectors of a tile, made anew when the basis is another."""
        if basis is not self._basis:
            self._stored.clear()
            self._basis = basis
        if grid.key not in self._stored:
            self._stored[grid.key] = basis.vectors(grid)
        self._stored.move_to_end(grid.key)
        found = self._stored[grid.key]
        while len(self._stored) * found.nbytes > STORED_BYTES and len(self._stored) > 1:
            self._stored.popitem(last=False)
        return found
