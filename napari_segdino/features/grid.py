"""What is kept of an encoded tile: levels of features, texture and a guide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GRID_CELLS = 40_000
"""Probes are read on at most this many cells of a tile, then interpolated."""


def grid_step(shape: tuple[int, int]) -> int:
    """Return the pixels a cell of the finest grid of at most `GRID_CELLS` cells.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) of the tile in pixels.
    """
    step = 1
    # Rounded up: the last cells may reach over the border.
    while -(-shape[0] // step) * -(-shape[1] // step) > GRID_CELLS:
        step += 1
    return step


@dataclass(frozen=True, slots=True)
class FeatureGrid:
    """Features of one tile of a plane in one view.

    Parameters
    ----------
    levels : tuple of torch.Tensor, each (D, h, w), float16, on the CPU
        One per encoder level and size, at the encoder's own resolution.
        Each spans the tile exactly, so that cell i covers the pixels from
        ``i * Y / h`` to ``(i + 1) * Y / h``.
    local : torch.Tensor, shape (D, gy, gx), float16
        Intensity and texture on the tile's regular grid of cells of
        ``grid_step(shape)`` pixels; the last row and column may reach over
        the border.
    colour : torch.Tensor, shape (C, gy, gx), float16
        The smoothed tile on the same grid: its edges guide the mask.
    grey : torch.Tensor, shape (Y, X), float16
        Mean intensity of each pixel, in [0, 1].
    key : str
        Content of the tile, view and encoder; equal keys, equal features.
    """

    levels: tuple[torch.Tensor, ...]
    local: torch.Tensor
    colour: torch.Tensor
    grey: torch.Tensor
    key: str

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the tile in pixels."""
        return self.grey.shape[0], self.grey.shape[1]

    @property
    def cells(self) -> tuple[int, int]:
        """(gy, gx): cells of the regular grid."""
        return self.local.shape[-2], self.local.shape[-1]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        held = (*self.levels, self.local, self.colour, self.grey)
        return sum(t.numel() * t.element_size() for t in held)
