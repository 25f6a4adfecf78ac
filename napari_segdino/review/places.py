"""The most uncertain places and slices, from uncertainty maps.

A single uncertain pixel is noise, and borders are always a little uncertain. What
counts is the uncertainty under a brush: its mean over a disc, where it is thick, away
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


CARRIED = 0.7
"""Share of what marking a slice settles on it that it settles on the next one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place to look at.

    Parameters
    ----------
    plane : int
        Flat index over the image's leading axes.
    y, x : int
        Pixel in the plane.
    uncertainty : float
        Mean uncertainty of its disc, 0 to 1; what places are ranked by.
    radius : float
        Of the disc, in pixels: a stroke of this size fits.
    """

    plane: int
    y: int
    x: int
    uncertainty: float
    radius: float


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice to look at.

    Parameters
    ----------
    plane : int
        Flat index over the image's leading axes.
    uncertainty : float
        Mean uncertainty of its pixels that are not marked, 0 to 1.
    marked : float
        Share of its pixels that are marked.
    """

    plane: int
    uncertainty: float
    marked: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where to look next, most uncertain first.

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
    def uncertainty(self) -> float:
        """Of the image: the mean of its slices, 0 when there are none."""
        return (
            float(np.mean([s.uncertainty for s in self.slices])) if self.slices else 0.0
        )


def brush_radius(shape: Sequence[int]) -> float:
    """Return the radius of the disc that a place is judged by.

    Parameters
    ----------
    shape : sequence of int
        (Y, X) of the plane in pixels.

    Returns
    -------
    float
        In pixels, at least 2.
    """
    return max(2.0, BRUSH * math.hypot(*shape))


def find_places(
    uncertainty: ArrayLike,
    marks: ArrayLike | None = None,
    plane: int = 0,
    count: int = 1,
    radius: float | None = None,
) -> list[Place]:
    """Find the most uncertain places of a plane.

    Parameters
    ----------
    uncertainty : array of float, shape (Y, X)
        0 to 1.
    marks : array of int, shape (Y, X), optional
        0 unlabelled; a place keeps its disc's radius away from all marks.
    plane : int
        Goes into the places.
    count : int
        At most so many.
    radius : float, optional
        Of the disc, in pixels; None takes it from the plane's size.

    Returns
    -------
    list of Place
        Most uncertain first; none where all is marked or without uncertainty.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    values = np.asarray(uncertainty, np.float32)
    marked = None if marks is None else np.asarray(marks)
    if values.ndim != 2 or (marked is not None and marked.shape != values.shape):
        raise InputError(
            "Uncertainty is of one plane (Y, X), and marks of the same shape."
        )
    reach = brush_radius(values.shape) if radius is None else radius
    under = disc_mean(values, reach)
    # A disc that reaches into marks would ask again what was answered.
    under[~_open(values.shape, marked, reach)] = 0
    places: list[Place] = []
    while len(places) < count and float(under.max(initial=0)) > 0:
        y, x = (int(i) for i in np.unravel_index(under.argmax(), under.shape))
        places.append(Place(plane, y, x, float(under[y, x]), reach))
        # Twice the radius: the next disc may touch this one but not overlap it.
        _blank(under, y, x, 2 * reach)
    return places


def disc_mean(values: Map, radius: float) -> Map:
    """Average over a disc around each pixel; outside counts as 0.

    A place at the border of the image is thereby less attractive.

    Parameters
    ----------
    values : numpy.ndarray, shape (Y, X), float32
        Not negative.
    radius : float
        Of the disc, in pixels.

    Returns
    -------
    numpy.ndarray, shape (Y, X), float32
    """
    from scipy.signal import fftconvolve

    n = int(radius)
    y, x = np.ogrid[-n : n + 1, -n : n + 1]
    disc = (y * y + x * x <= radius * radius).astype(np.float32)
    # By FFT: the disc of a large plane has thousands of pixels.
    mean: Map = fftconvolve(values, disc / disc.sum(), mode="same")
    # The FFT leaves noise where all is certain, which would be ranked.
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


def judge_slice(uncertainty: ArrayLike, marks: ArrayLike | None, plane: int) -> Slice:
    """Return the mean uncertainty of a plane where nothing is marked.

    Parameters
    ----------
    uncertainty : array of float, shape (Y, X)
        0 to 1.
    marks : array of int, shape (Y, X), optional
        0 unlabelled.
    plane : int
        Goes into the slice.
    """
    values = np.asarray(uncertainty, np.float64)
    free = np.ones(values.shape, bool) if marks is None else np.asarray(marks) == 0
    mean = float(values[free].mean()) if free.any() else 0.0
    return Slice(plane, mean, 1 - float(free.mean()))


def rank(
    planes: Iterable[tuple[int, ArrayLike, ArrayLike | None]], count: int = 20
) -> Ranking:
    """Rank places and slices of a volume.

    Parameters
    ----------
    planes : iterable of (index, uncertainty, marks)
        As for :func:`find_places`; read one by one.
    count : int
        At most so many places.

    Returns
    -------
    Ranking
    """
    places: list[Place] = []
    slices: list[Slice] = []
    for index, uncertainty, marks in planes:
        places += find_places(uncertainty, marks, index, count)
        places = sorted(places, key=lambda p: -p.uncertainty)[:count]
        slices.append(judge_slice(uncertainty, marks, index))
    open_ones = (s for s in slices if s.marked < 1)
    return Ranking(
        tuple(places), tuple(sorted(open_ones, key=lambda s: -s.uncertainty))
    )


def by_gain(slices: Iterable[Slice], depth: int) -> tuple[Slice, ...]:
    """Order slices by what marking one whole is expected to settle.

    What is marked is carried along z, so a slice counts for its neighbours too: each
    adds its uncertainty times :data:`CARRIED` for every slice between.

    Parameters
    ----------
    slices : iterable of Slice
        Not marked whole.
    depth : int
        Slices along z; 1 where planes have nothing to do with each other.

    Returns
    -------
    tuple of Slice
        The one that settles most first.
    """
    found = list(slices)
    stack, z = np.divmod(np.array([s.plane for s in found], int), depth)
    # Only within a volume: nothing is carried along time.
    near = CARRIED ** np.abs(z[:, None] - z) * (stack[:, None] == stack)
    gain = near @ np.array([s.uncertainty * (1 - s.marked) for s in found], float)
    return tuple(found[i] for i in np.argsort(-gain, kind="stable"))


def join(rankings: Iterable[Ranking], count: int = 20) -> Ranking:
    """Join the rankings of parts of an image into one.

    Parameters
    ----------
    rankings : iterable of Ranking
        Of other planes each.
    count : int
        At most so many places.
    """
    parts = list(rankings)
    places = sorted((p for r in parts for p in r.places), key=lambda p: -p.uncertainty)
    slices = sorted((s for r in parts for s in r.slices), key=lambda s: -s.uncertainty)
    return Ranking(tuple(places[:count]), tuple(slices))
