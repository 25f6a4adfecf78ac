"""Smoothing of predictions: within a plane, and along z plane by plane."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.inference.predict import PlaneResult, label_dtype

Unit = Literal["slices", "mm"]

SCALE = 512
"""Longer side, in pixels, at which the sigma within a plane is given."""

TRUNCATE = 4.0
"""Sigmas at which a Gaussian is cut, as scipy does."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How predictions are smoothed (arXiv 2605.07221; numbers are our reading).

    Parameters
    ----------
    plane_sigma : float
        Of a Gaussian over each plane's probabilities, in pixels of a plane of
        512 pixels on its longer side; 0 is off.
    min_pixels : int
        Components of a class smaller than this become background; 0 is off.
    z_sigma : float
        Of a Gaussian along z; 0 is off. A survey reports 4 slices as best, 3
        to 5 as fine, on scans with slices of 1 mm.
    z_unit : {"slices", "mm"}
        What `z_sigma` counts; mm become slices by the spacing.
    max_mm : float
        At most this far, in mm, does a sigma in slices reach: 4 slices of
        5 mm would blend what has nothing to do with each other. 0 is off.
    """

    plane_sigma: float = 1.0
    min_pixels: int = 0
    z_sigma: float = 4.0
    z_unit: Unit = "slices"
    max_mm: float = 4.0

    def sigma_in_slices(self, spacing: float | None, time: bool = False) -> float:
        """Sigma along the leading axis in slices.

        Parameters
        ----------
        spacing : float, optional
            From slice to slice in mm; None where it is not known, which counts
            as 1 mm.
        time : bool
            Whether the axis is time; then there is no smoothing.

        Returns
        -------
        float

        Raises
        ------
        InputError
            If the spacing is not above 0 or the unit is not known.
        """
        if time or self.z_sigma <= 0:
            return 0.0
        if spacing is not None and not spacing > 0:
            raise InputError(f"The spacing of slices must be above 0, not {spacing}.")
        if self.z_unit == "mm":
            return self.z_sigma / (spacing or 1.0)
        if self.z_unit != "slices":
            raise InputError(f"Sigma is in slices or mm, not {self.z_unit!r}.")
        if spacing is None or self.max_mm <= 0:
            return self.z_sigma
        return min(self.z_sigma, self.max_mm / spacing)

    def reach(self, spacing: float | None) -> int:
        """Return how many slices to either side count; see `sigma_in_slices`."""
        return len(kernel(self.sigma_in_slices(spacing))) // 2


def smooth_plane(
    probabilities: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """Smooth the probabilities of a plane by a Gaussian.

    Parameters
    ----------
    probabilities : numpy.ndarray, shape (K, Y, X), float32
        They sum to 1, before and after.
    sigma : float
        In pixels of a plane of 512 on its longer side.

    Returns
    -------
    numpy.ndarray, shape (K, Y, X), float32
    """
    from scipy import ndimage

    pixels = sigma * max(probabilities.shape[1:]) / SCALE
    if pixels <= 0:
        return probabilities
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(
        probabilities, pixels, mode="nearest", truncate=TRUNCATE, axes=(1, 2)
    )
    return smooth


def remove_small(
    labels: NDArray[np.unsignedinteger], min_pixels: int
) -> NDArray[np.unsignedinteger]:
    """Make components smaller than `min_pixels` background.

    Parameters
    ----------
    labels : numpy.ndarray, shape (Y, X), unsigned
        0 background, 1.. classes. Pixels of one class that touch, by a corner
        too, are a component.
    min_pixels : int
        Smallest size that stays.

    Returns
    -------
    numpy.ndarray, shape (Y, X)
        A copy.
    """
    from scipy import ndimage

    kept = labels.copy()
    for label in np.unique(labels[labels > 0]):
        parts, _ = ndimage.label(labels == label, np.ones((3, 3)))
        small = np.bincount(parts.ravel()) < min_pixels
        small[0] = False
        kept[small[parts]] = 0
    return kept


def smooth_along_z(
    probabilities: NDArray[np.floating], sigma: float
) -> NDArray[np.float32]:
    """Smooth a whole volume along z; :func:`iter_smooth` needs less memory.

    Parameters
    ----------
    probabilities : numpy.ndarray, shape (K, Z, Y, X)
        Of a volume.
    sigma : float
        In slices.

    Returns
    -------
    numpy.ndarray, shape (K, Z, Y, X), float32
        The first and last planes count as going on for ever.
    """
    from scipy import ndimage

    smooth: NDArray[np.float32] = ndimage.correlate1d(
        probabilities.astype(np.float32), kernel(sigma), 1, mode="nearest"
    )
    return smooth


def neighbourhood(wanted: Iterable[int], depth: int, reach: int) -> list[int]:
    """Return the planes that smoothing some planes along z takes, in order.

    Parameters
    ----------
    wanted : iterable of int
        Planes to smooth.
    depth : int
        Planes of one volume, where several follow one another.
    reach : int
        Planes to either side.
    """
    taken: set[int] = set()
    for plane in wanted:
        first = plane - plane % depth
        low, high = max(first, plane - reach), min(first + depth, plane + reach + 1)
        taken.update(range(low, high))
    return sorted(taken)


def kernel(sigma: float) -> NDArray[np.float64]:
    """Return scipy's Gaussian of `sigma` slices, shape (2 r + 1,); it sums to 1."""
    reach = int(TRUNCATE * sigma + 0.5)
    if reach == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    return weights


def iter_smooth(
    steps: Iterable[Any],
    settings: Smoothing,
    *,
    depth: int = 0,
    spacing: float | None = None,
    time: bool = False,
) -> Generator[Any, None, None]:
    """Smooth planes as they come, holding a window of them.

    Parameters
    ----------
    steps : iterable
        :class:`PlaneResult` in order of index, and anything else, which is
        passed on at once. It is closed when this is closed.
    settings : Smoothing
        How.
    depth : int
        Planes of one volume, where several follow one another; 0 is all.
    spacing, time
        See :meth:`Smoothing.sigma_in_slices`.

    Yields
    ------
    PlaneResult
        One for each that came, smoothed, in the same order. Those along z that
        lie next to each other (index by index, in one volume) are smoothed
        together; a gap or a step back starts anew.
    object
        Whatever else came.
    """
    weights = kernel(settings.sigma_in_slices(spacing, time))
    window = _Window(weights, depth)
    try:
        for step in steps:
            if not isinstance(step, PlaneResult):
                yield step
                continue
            maps = smooth_plane(step.probabilities, settings.plane_sigma)
            for index, smooth in window.push(step.index, maps):
                yield _result(index, smooth, settings.min_pixels)
        for index, smooth in window.flush():
            yield _result(index, smooth, settings.min_pixels)
    finally:
        if hasattr(steps, "close"):
            steps.close()


def iter_smooth_wanted(
    predict: Callable[[list[int]], Iterable[Any]],
    wanted: Sequence[int],
    settings: Smoothing,
    *,
    depth: int,
    spacing: float | None,
) -> Generator[Any, None, None]:
    """Smooth some planes as they are in their whole volume.

    Parameters
    ----------
    predict : callable
        Predicts planes: takes their indices, gives what :func:`iter_smooth`
        takes.
    wanted : sequence of int
        Planes to smooth; their neighbours are predicted as well.
    settings, depth, spacing
        As for :func:`iter_smooth`.

    Yields
    ------
    PlaneResult
        One for each that is wanted, in the order of the volume.
    object
        Whatever else came.
    """
    near, asked = neighbourhood(wanted, depth, settings.reach(spacing)), set(wanted)
    for step in iter_smooth(predict(near), settings, depth=depth, spacing=spacing):
        if not isinstance(step, PlaneResult) or step.index in asked:
            yield step


def _result(
    index: int, probabilities: NDArray[np.float32], min_pixels: int
) -> PlaneResult:
    labels = probabilities.argmax(0).astype(label_dtype(len(probabilities)))
    if min_pixels > 1:
        labels = remove_small(labels, min_pixels)
    return PlaneResult(index, labels, probabilities)


_Plane = tuple[int, NDArray[np.float32]]


class _Window:
    """The planes that a Gaussian along z reaches, of one run of indices."""

    def __init__(self, weights: NDArray[np.float64], depth: int) -> None:
        self.weights, self.depth = weights, depth
        self.reach = len(weights) // 2
        self.planes: deque[_Plane] = deque()
        self.waiting: deque[int] = deque()

    def push(self, index: int, maps: NDArray[np.float32]) -> Iterator[_Plane]:
        """Take a plane; give those whose neighbours are all there."""
        if self.planes and not self._follows(index):
            yield from self.flush()
        self.planes.append((index, maps))
        self.waiting.append(index)
        if index - self.waiting[0] >= self.reach:
            yield self._smooth(self.waiting.popleft())

    def flush(self) -> Iterator[_Plane]:
        """Give the planes that wait for neighbours that will not come."""
        while self.waiting:
            yield self._smooth(self.waiting.popleft())
        self.planes.clear()

    def _follows(self, index: int) -> bool:
        last = self.planes[-1][0]
        together = not self.depth or index // self.depth == last // self.depth
        return index == last + 1 and together

    def _smooth(self, index: int) -> _Plane:
        while self.planes[0][0] < index - self.reach:
            self.planes.popleft()
        first, last = self.planes[0][0], self.planes[-1][0]
        at = np.arange(index - self.reach, index + self.reach + 1)
        shares = np.bincount(np.clip(at, first, last) - first, self.weights)
        total = np.zeros(self.planes[0][1].shape, np.float64)
        for share, (_, maps) in zip(shares, self.planes, strict=True):
            total += share * maps
        return index, total.astype(np.float32)
