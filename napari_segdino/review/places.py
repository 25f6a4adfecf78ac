"""The most doubtful places and slices, from maps of doubt.

A single doubtful pixel is noise, and borders are always a little doubtful. What
counts is the doubt under a brush: its mean over a disc, where it is thick, away
from what is marked already.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.errors import InputError

Map = NDArray[np.float32]

BRUSH = 0.012
"""Radius of the disc, as a share of the plane's diagonal."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place to look at.

    Parameters
    ----------
    plane : int
        Flat index over the image's leading axes.
    y, x : int
        Pixel in the plane.
    doubt : float
        Mean doubt of its disc, 0 to 1; what places are ranked by.
    radius : float
        Of the disc, in pixels: a stroke of this size fits.
    """

    plane: int
    y: int
    x: int
    doubt: float
    radius: float


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice to look at.

    Parameters
    ----------
    plane : int
        Flat index over the image's leading axes.
    doubt : float
        Mean doubt of its pixels that are not marked, 0 to 1.
    marked : float
        Share of its pixels that are marked.
    """

    plane: int
    doubt: float
    marked: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where to look next, most doubtful first.

    Parameters
    ----------
    places : tuple of Place
        At most one disc each; they do not overlap.
    slices : tuple of Slice
        All that were looked at and are not marked whole.
    """

    places: tuple[Place, ...]
    slices: tuple[Slice, ...]

    @property
    def doubt(self) -> float:
        """Of the image: the mean of its slices, 0 when there are none."""
        return float(np.mean([s.doubt for s in self.slices])) if self.slices else 0.0


def brush_radius(shape: Sequence[int]) -> float:
    """Radius of the disc that a place is judged by, for a plane (Y, X)."""
    return max(2.0, BRUSH * math.hypot(*shape))


def find_places(
    doubt: ArrayLike,
    marks: ArrayLike | None = None,
    plane: int = 0,
    count: int = 1,
    radius: float | None = None,
) -> list[Place]:
    """Find the most doubtful places of a plane.

    Parameters
    ----------
    doubt : array of float, shape (Y, X)
        0 to 1.
    marks : array of int, shape (Y, X), optional
        0 not said; a place keeps its disc's radius away from all that is said.
    plane : int
        Goes into the places.
    count : int
        At most so many.
    radius : float, optional
        Of the disc, in pixels; None takes it from the plane's size.

    Returns
    -------
    list of Place
        Most doubtful first; none where all is marked or without doubt.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    values = np.asarray(doubt, np.float32)
    said = None if marks is None else np.asarray(marks)
    if values.ndim != 2 or (said is not None and said.shape != values.shape):
        raise InputError("Doubt is of one plane (Y, X), and marks of the same shape.")
    reach = brush_radius(values.shape) if radius is None else radius
    under = disc_mean(values, reach)
    under[~_open(values.shape, said, reach)] = 0
    places: list[Place] = []
    while len(places) < count and float(under.max(initial=0)) > 0:
        y, x = (int(i) for i in np.unravel_index(under.argmax(), under.shape))
        places.append(Place(plane, y, x, float(under[y, x]), reach))
        _blank(under, y, x, 2 * reach)
    return places


def disc_mean(values: Map, radius: float) -> Map:
    """Mean over a disc around each pixel, shape (Y, X); outside counts as 0.

    A place at the border of the image is thereby less attractive.
    """
    from scipy.signal import fftconvolve

    n = int(radius)
    y, x = np.ogrid[-n : n + 1, -n : n + 1]
    disc = (y * y + x * x <= radius * radius).astype(np.float32)
    mean: Map = fftconvolve(values, disc / disc.sum(), mode="same")
    return np.where(mean > 1e-4, mean, 0).astype(np.float32)


def _open(
    shape: tuple[int, ...], marks: NDArray[Any] | None, reach: float
) -> NDArray[np.bool_]:
    """Pixels that are farther than `reach` from what is marked."""
    from scipy.ndimage import distance_transform_edt

    if marks is None or not marks.any():
        return np.ones(shape, bool)
    free: NDArray[np.bool_] = distance_transform_edt(marks == 0) > reach
    return free


def _blank(values: Map, y: int, x: int, radius: float) -> None:
    """Set a disc to 0, in place."""
    n = int(radius)
    top, left = max(0, y - n), max(0, x - n)
    box = values[top : y + n + 1, left : x + n + 1]
    rows, columns = np.ogrid[: box.shape[0], : box.shape[1]]
    box[(rows + top - y) ** 2 + (columns + left - x) ** 2 <= radius**2] = 0


def judge_slice(doubt: ArrayLike, marks: ArrayLike | None, plane: int) -> Slice:
    """Return the mean doubt of a plane where nothing is marked.

    Parameters
    ----------
    doubt : array of float, shape (Y, X)
        0 to 1.
    marks : array of int, shape (Y, X), optional
        0 not said.
    plane : int
        Goes into the slice.
    """
    values = np.asarray(doubt, np.float64)
    free = np.ones(values.shape, bool) if marks is None else np.asarray(marks) == 0
    mean = float(values[free].mean()) if free.any() else 0.0
    return Slice(plane, mean, 1 - float(free.mean()))


def rank(
    planes: Iterable[tuple[int, ArrayLike, ArrayLike | None]], count: int = 20
) -> Ranking:
    """Rank places and slices of a volume.

    Parameters
    ----------
    planes : iterable of (index, doubt, marks)
        As for :func:`find_places`; read one by one.
    count : int
        At most so many places.

    Returns
    -------
    Ranking
    """
    places: list[Place] = []
    slices: list[Slice] = []
    for index, doubt, marks in planes:
        places += find_places(doubt, marks, index, count)
        places = sorted(places, key=lambda p: -p.doubt)[:count]
        slices.append(judge_slice(doubt, marks, index))
    open_ones = (s for s in slices if s.marked < 1)
    return Ranking(tuple(places), tuple(sorted(open_ones, key=lambda s: -s.doubt)))


def join(rankings: Iterable[Ranking], count: int = 20) -> Ranking:
    """Join the rankings of parts of an image into one."""
    parts = list(rankings)
    places = sorted((p for r in parts for p in r.places), key=lambda p: -p.doubt)
    slices = sorted((s for r in parts for s in r.slices), key=lambda s: -s.doubt)
    return Ranking(tuple(places[:count]), tuple(slices))
