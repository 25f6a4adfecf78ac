"""Cutting planes into tiles that overlap, and weights that blend them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_segdino.features.grid import grid_step


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


@dataclass(frozen=True, slots=True)
class Span:
    """A tile along one axis, and what of it counts.

    Parameters
    ----------
    start, stop : int
        Its pixels, end excluded.
    first, last : int
        Its pixels whose weight is above 0, end excluded.
    weights : numpy.ndarray, shape (last - first,), float32
        Of those pixels. At each pixel the weights of all spans sum to 1.
    """

    start: int
    stop: int
    first: int
    last: int
    weights: NDArray[np.float32]

    @property
    def inner(self) -> slice:
        """The pixels that count, within the tile."""
        return slice(self.first - self.start, self.last - self.start)


def cut_spans(
    length: int, tile: int, overlap: int, step: int = 1
) -> list[tuple[int, int]]:
    """Cut an axis into equal spans that overlap.

    Parameters
    ----------
    length : int
        Of the axis, in pixels.
    tile : int
        Longest span. Spans are shorter by less than `step` where that is
        needed to begin and end all of them in step.
    overlap : int
        Least number of pixels that neighbours share; less than `tile`.
    step : int
        Spans start at multiples of it.

    Returns
    -------
    list of (start, stop)
        One if the axis fits.
    """
    if length <= tile:
        return [(0, length)]
    # Tiles this small would hardly advance by whole steps.
    if tile - overlap < 2 * step:
        step = 1
    size = tile - (tile - length) % step
    stride = (size - overlap) // step * step
    # Rounded up: the negative numerator makes // do that.
    count = 1 - (size - length) // stride
    starts = np.linspace(0, (length - size) // step, count).round().astype(int) * step
    return [(int(s), int(s) + size) for s in starts]


def cut_tiles(shape: tuple[int, int], tile: int, overlap: int) -> list[Tile]:
    """Cut a plane into overlapping tiles.

    All tiles have one shape, so that the encoder sees all at one scale, and
    their regular grids are parts of one grid: probes read the same cells in
    every tile that holds them.

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
    step = grid_step((min(shape[0], tile), min(shape[1], tile)))
    return [
        Tile(y0, y1, x0, x1)
        for y0, y1 in cut_spans(shape[0], tile, overlap, step)
        for x0, x1 in cut_spans(shape[1], tile, overlap, step)
    ]


def blend_spans(spans: list[tuple[int, int]], overlap: int) -> list[Span]:
    """Decide what of each span counts: borders inside the plane do not.

    What an encoder says near a tile's border is made of less than it needs, so
    that neighbours take over from one another in the middle of what they
    share, over `overlap` / 2 pixels, and the rest of it is not used.

    Parameters
    ----------
    spans : list of (start, stop)
        From :func:`cut_spans`.
    overlap : int
        As given there.

    Returns
    -------
    list of Span
        At most two count at any pixel.
    """
    pairs = zip(spans, spans[1:], strict=False)
    # In the middle of what two neighbours share.
    seams = [(b[0] + a[1]) // 2 for a, b in pairs]
    gaps = np.diff(seams)
    # Where tiles lie close, fading over more would let three of them count at a pixel.
    half = min(overlap // 4, int(gaps.min()) // 2 if gaps.size else overlap)
    ends = [spans[0][0], *seams, spans[-1][1]]
    blended = []
    for i, (start, stop) in enumerate(spans):
        first = ends[i] - (half if i else 0)
        last = ends[i + 1] + (half if i < len(seams) else 0)
        weights = np.ones(last - first, np.float32)
        if i:
            weights[: 2 * half] = _rise(half)
        if i < len(seams):
            weights[len(weights) - 2 * half :] = 1 - _rise(half)
        blended.append(Span(start, stop, first, last, weights))
    return blended


def _rise(half: int) -> NDArray[np.float32]:
    """From 0 to 1 over 2 * `half` pixels."""
    # Half a pixel in, so that a rise and the fall of its neighbour sum to 1 at each
    # pixel.
    steps = (np.arange(2 * half) + 0.5) / max(1, 2 * half)
    return steps.astype(np.float32)
