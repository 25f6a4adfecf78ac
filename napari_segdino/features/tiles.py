"""Cutting planes into tiles that overlap, and weights that blend them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a plane.

    Parameters
    ----------
    y0, y1, x0, x1 : int
        Its pixels, ends excluded.
    """

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the tile in its plane."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


def _spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Equal spans of at most `tile` that cover `length` with `overlap`."""
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = np.linspace(0, length - tile, count).round().astype(int)
    return [(int(s), int(s) + tile) for s in starts]


def cut_tiles(shape: tuple[int, int], tile: int, overlap: int) -> list[Tile]:
    """Cut a plane into overlapping tiles.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) of the plane.
    tile : int
        Longest side of a tile, in pixels.
    overlap : int
        Least number of pixels that neighbours share; less than `tile`.

    Returns
    -------
    list of Tile
        Row by row; a plane that fits is one tile.
    """
    return [
        Tile(y0, y1, x0, x1)
        for y0, y1 in _spans(shape[0], tile, overlap)
        for x0, x1 in _spans(shape[1], tile, overlap)
    ]


def blend_weights(
    tile: Tile, shape: tuple[int, int], overlap: int
) -> NDArray[np.float32]:
    """Weights of a tile's pixels: falling to its inner borders.

    Parameters
    ----------
    tile : Tile
        A tile of the plane.
    shape : tuple of int
        (Y, X) of the plane; sides on its border do not fall off.
    overlap : int
        Width of the ramp, in pixels.

    Returns
    -------
    numpy.ndarray, shape ``tile.shape``, float32
        In (0, 1].
    """
    y = _ramp(tile.y0, tile.y1, shape[0], overlap)
    x = _ramp(tile.x0, tile.x1, shape[1], overlap)
    return y[:, None] * x[None, :]


def _ramp(start: int, stop: int, length: int, overlap: int) -> NDArray[np.float32]:
    weight = np.ones(stop - start, np.float32)
    if overlap == 0:
        return weight
    rise = (np.arange(stop - start, dtype=np.float32) + 0.5) / overlap
    if start > 0:
        weight *= np.minimum(rise, 1)
    if stop < length:
        weight *= np.minimum(rise[::-1], 1)
    return weight
