"""Smoothing of predictions along z, plane by plane."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.inference.predict import PlaneResult, labels_of

if TYPE_CHECKING:
    import torch

Unit = Literal["slices", "mm"]

_log = logging.getLogger(__name__)

TRUNCATE = 4.0
"""Sigmas at which a Gaussian is cut, as scipy does."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How predictions are smoothed along z (arXiv 2605.07221; numbers are our reading).

    Parameters
    ----------
    z_sigma : float
        Of a Gaussian along z; 0 is off. A survey reports 4 slices as best, 3
        to 5 as fine, on scans with slices of 1 mm.
    z_unit : {"slices", "mm"}
        What `z_sigma` counts; mm become slices by the spacing.
    max_mm : float
        At most this far, in mm, does a sigma in slices reach: 4 slices of
        5 mm would blend what has nothing to do with each other. 0 is off.
    """

    z_sigma: float = 4.0
    z_unit: Unit = "slices"
    max_mm: float = 4.0

    def sigma_in_slices(self, spacing: float | None) -> float:
        """Sigma along the leading axis in slices.

        Parameters
        ----------
        spacing : float, optional
            From slice to slice in mm; None where it is not known, which counts
            as 1 mm.

        Returns
        -------
        float

        Raises
        ------
        InputError
            If the spacing is not above 0 or the unit is not known.
        """
        if self.z_sigma <= 0:
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
        """Return how many slices to either side count.

        Parameters
        ----------
        spacing : float, optional
            See :meth:`sigma_in_slices`.
        """
        return len(kernel(self.sigma_in_slices(spacing))) // 2


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
    """Return the weights of a Gaussian along z.

    Parameters
    ----------
    sigma : float
        Its width in slices.

    Returns
    -------
    numpy.ndarray, shape (2 r + 1,)
        As scipy's; they sum to 1.
    """
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
    spacing : float, optional
        See :meth:`Smoothing.sigma_in_slices`.

    Yields
    ------
    PlaneResult
        One for each that came, smoothed, in the same order. Those along z that
        lie next to each other (index by index, in one volume) are smoothed
        together; a gap or a step back starts anew.
    object
        Whatever else came.

    Notes
    -----
    A class that it takes off most of its slices is logged as a warning.
    """
    import torch

    weights = kernel(settings.sigma_in_slices(spacing))
    window, classes = _Window(weights, depth), _Classes()
    try:
        for step in steps:
            if not isinstance(step, PlaneResult):
                yield step
                continue
            classes.note_before(step)
            for index, smooth in window.push(step.index, torch.as_tensor(step.maps)):
                yield classes.noted(_result(index, smooth))
        for index, smooth in window.flush():
            yield classes.noted(_result(index, smooth))
        classes.warn()
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


def _result(index: int, maps: torch.Tensor) -> PlaneResult:
    return PlaneResult(index, labels_of(maps), maps)


class _Classes:
    """On how many slices each class was, and from how many smoothing took it."""

    def __init__(self) -> None:
        self.before: dict[int, set[int]] = {}
        self.seen: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()

    def note_before(self, plane: PlaneResult) -> None:
        self.before[plane.index] = _classes_on(plane)

    def noted(self, plane: PlaneResult) -> PlaneResult:
        """Compare a smoothed plane with what it was, and give it back."""
        # pop: as few planes are remembered as the window holds.
        before = self.before.pop(plane.index)
        self.seen.update(before)
        self.lost.update(before - _classes_on(plane))
        return plane

    def warn(self) -> None:
        for label, lost in sorted(self.lost.items()):
            if lost > self.seen[label] / 2:
                _log.warning(
                    "Smoothing along z took class %d off %d of the %d slices that it "
                    "was on: thin objects stay with a smaller sigma.",
                    label,
                    lost,
                    self.seen[label],
                )


def _classes_on(plane: PlaneResult) -> set[int]:
    return set(np.flatnonzero(np.bincount(plane.labels.ravel())).tolist()) - {0}


_Plane = tuple[int, "torch.Tensor"]


class _Window:
    """The planes that a Gaussian along z reaches, of one run of indices."""

    def __init__(self, weights: NDArray[np.float64], depth: int) -> None:
        self.weights, self.depth = weights, depth
        self.reach = len(weights) // 2
        self.planes: deque[_Plane] = deque()
        self.waiting: deque[int] = deque()

    def push(self, index: int, maps: torch.Tensor) -> Iterator[_Plane]:
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
        # The next plane begins a run of its own.
        self.planes.clear()

    def _follows(self, index: int) -> bool:
        last = self.planes[-1][0]
        together = not self.depth or index // self.depth == last // self.depth
        return index == last + 1 and together

    def _smooth(self, index: int) -> _Plane:
        while self.planes[0][0] < index - self.reach:
            self.planes.popleft()
        first, last = self.planes[0][0], self.planes[-1][0]
        # Beyond the first and the last slice the border repeats, as mode="nearest" of
        # scipy.
        at = np.arange(index - self.reach, index + self.reach + 1)
        shares = np.bincount(np.clip(at, first, last) - first, self.weights)
        total = self.planes[0][1].new_zeros(())
        for share, (_, maps) in zip(shares.tolist(), self.planes, strict=True):
            total = total + share * maps
        return index, total
