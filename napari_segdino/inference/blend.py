"""Joining the tiles of a plane, holding only the seams between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segdino.config import FeatureSettings
from napari_segdino.features.tiles import Span, Tile, blend_spans, cut_tiles

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Cut:
    """How a plane is cut into tiles, and what of each counts.

    Parameters
    ----------
    rows, columns : tuple of Span
        The tiles along Y and X.
    """

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.columns)

    def around(self, centre: tuple[float, float]) -> list[tuple[int, int]]:
        """Order the tiles by their distance to a pixel.

        Parameters
        ----------
        centre : tuple of float
            (y, x) in pixels of the plane; it may lie outside.

        Returns
        -------
        list of (row, column)
            All tiles, the nearest first.
        """

        def distance(at: tuple[int, int]) -> float:
            y, x = self.rows[at[0]], self.columns[at[1]]
            middle = (y.first + y.last) / 2, (x.first + x.last) / 2
            return math.dist(middle, centre)

        return sorted(np.ndindex(len(self.rows), len(self.columns)), key=distance)

    def tile(self, row: int, column: int) -> Tile:
        """Return one of the tiles.

        Parameters
        ----------
        row, column : int
            Which.
        """
        y, x = self.rows[row], self.columns[column]
        return Tile(y.start, y.stop, x.start, x.stop)


def cut_plane(shape: tuple[int, ...], settings: FeatureSettings) -> Cut:
    """Cut a plane as :func:`cut_tiles` does.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) of the plane in pixels; more axes may follow.
    settings : FeatureSettings
        Size and overlap of the tiles.
    """
    tiles = cut_tiles((shape[0], shape[1]), settings.longest_tile, settings.overlap)
    rows = sorted({(tile.y0, tile.y1) for tile in tiles})
    columns = sorted({(tile.x0, tile.x1) for tile in tiles})
    return Cut(
        tuple(blend_spans(rows, settings.overlap)),
        tuple(blend_spans(columns, settings.overlap)),
    )


def joint_weights(y: Span, x: Span, like: torch.Tensor) -> torch.Tensor:
    """Return the weights of a tile's pixels that count, shape (Y, X).

    Parameters
    ----------
    y, x : Span
        The tile along each axis.
    like : torch.Tensor
        Says on which device.
    """
    import torch

    rows, columns = (torch.from_numpy(s.weights).to(like.device) for s in (y, x))
    return rows[:, None] * columns


class Blender:
    """Joins tiles that come row by row, holding only what the next ones share.

    Parameters
    ----------
    cut : Cut
        Of the plane.
    """

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self._left: torch.Tensor | None = None
        self._above: torch.Tensor | None = None

    def add(self, row: int, column: int, part: torch.Tensor) -> torch.Tensor:
        """Take the next tile.

        Parameters
        ----------
        row, column : int
            Which tile; columns first, in order. The first row that is given
            is not blended with the one above.
        part : torch.Tensor, shape (K, Y, X), float32
            Its probabilities.

        Returns
        -------
        torch.Tensor, shape (K, y, x), float32
            What no later tile changes, from the first pixel of the tile that
            counts.
        """
        y, x = self.cut.rows[row], self.cut.columns[column]
        block = part[:, y.inner, x.inner] * joint_weights(y, x, part)
        # Columns first: what is then handed to the row below is complete along x.
        block = self._join_left(column, block)
        return self._join_above(row, x.first, block)

    def _join_left(self, column: int, block: torch.Tensor) -> torch.Tensor:
        columns = self.cut.columns
        if column > 0 and self._left is not None:
            block[:, :, : self._left.shape[2]] += self._left
        self._left = None
        if column + 1 == len(columns):
            return block
        # From here on the next tile counts as well: it is held back until that one
        # comes.
        stop = columns[column + 1].first - columns[column].first
        # A copy, so that the whole block is not held by a view of its seam.
        self._left = block[:, :, stop:].clone()
        return block[:, :, :stop]

    def _join_above(self, row: int, x0: int, block: torch.Tensor) -> torch.Tensor:
        rows, here = self.cut.rows, slice(x0, x0 + block.shape[2])
        if row > 0 and self._above is not None:
            shared = rows[row - 1].last - rows[row].first
            block[:, :shared] += self._above[:, :, here]
        if row + 1 == len(rows):
            return block
        stop = rows[row + 1].first - rows[row].first
        if self._above is None:
            width = self.cut.columns[-1].stop
            # Once a plane: every row of tiles shares as many pixels with the next one.
            shape = len(block), block.shape[1] - stop, width
            self._above = block.new_zeros(shape)
        self._above[:, :, here] = block[:, stop:]
        return block[:, :stop]
