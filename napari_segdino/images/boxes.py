"""Boxes around objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError

ALIKE = 0.5
"""Intersection over union above which two boxes are around the same object."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around an object on a plane.

    Parameters
    ----------
    plane : int
        Flat index of the plane.
    y0, x0, y1, x1 : float
        Its edges in pixels: pixel ``i`` reaches from ``i`` to ``i + 1``.
    label : int
        Class of the object, from 1.
    """

    plane: int
    y0: float
    x0: float
    y1: float
    x1: float
    label: int = 1

    def relative(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """Return positions (N, 2) from its centre, in its half sides: from -1 to 1."""
        centre = (self.y0 + self.y1) / 2, (self.x0 + self.x1) / 2
        half = (self.y1 - self.y0) / 2, (self.x1 - self.x0) / 2
        found: NDArray[np.float64] = (pixels - np.array(centre)) / half
        return found

    def contains(self, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of the positions (N, 2) it holds."""
        found: NDArray[np.bool_] = np.abs(self.relative(pixels)).max(1) <= 1
        return found

    def is_like(self, other: Box) -> bool:
        """Return whether two hold mostly the same: one was drawn in place of the other.

        Parameters
        ----------
        other : Box
            On the same plane.
        """
        # What both hold begins at the later start and ends at the earlier end.
        edges = zip(
            (self.y0, self.x0, self.y1, self.x1),
            (other.y0, other.x0, other.y1, other.x1),
            strict=True,
        )
        y0, x0, y1, x1 = (
            max(pair) if n < 2 else min(pair) for n, pair in enumerate(edges)
        )
        shared = max(0.0, y1 - y0) * max(0.0, x1 - x0)
        return shared > ALIKE * (self.area + other.area - shared)

    @property
    def area(self) -> float:
        """Area in pixels."""
        return (self.y1 - self.y0) * (self.x1 - self.x0)

    def slices(self) -> tuple[slice, slice]:
        """Return the pixels of a plane that it holds, as an index."""
        y0, x0 = round(self.y0), round(self.x0)
        # A box that is thinner than a pixel still holds one.
        return (
            slice(y0, max(y0 + 1, round(self.y1))),
            slice(x0, max(x0 + 1, round(self.x1))),
        )


def read_boxes(
    boxes: Iterable[Sequence[float]],
    labels: Sequence[int] | None,
    planes: Sequence[int] | None,
    plane_shape: tuple[int, int],
    n_planes: int,
) -> list[Box]:
    """Check boxes, and cut them to the image.

    Parameters
    ----------
    boxes : iterable of (y0, x0, y1, x1)
        Edges in pixels, corners in any order.
    labels : sequence of int, optional
        Class of each, from 1; None is 1 for all.
    planes : sequence of int, optional
        Flat index of the plane of each; None is the only plane there is.
    plane_shape : tuple of int
        (Y, X).
    n_planes : int
        Planes of the image.

    Raises
    ------
    InputError
        If one is no box, lies outside the image, or it is not clear on which plane.
    """
    listed = [np.asarray(box, float) for box in boxes]
    given = [1] * len(listed) if labels is None else list(labels)
    if planes is None and n_planes > 1:
        raise InputError("Say on which plane each box is: planes=[...].")
    on = [0] * len(listed) if planes is None else list(planes)
    if not listed or len(given) != len(listed) or len(on) != len(listed):
        raise InputError("Give a box, and as many labels and planes as boxes.")
    found = []
    for corners, label, plane in zip(listed, given, on, strict=True):
        if corners.shape != (4,) or not np.isfinite(corners).all():
            raise InputError(f"A box is (y0, x0, y1, x1), not {corners.tolist()}.")
        if not 0 <= plane < n_planes or label < 1:
            raise InputError(f"There is no plane {plane}, or no class {label}.")
        y0, y1 = np.sort(corners[[0, 2]]).clip(0, plane_shape[0]).tolist()
        x0, x1 = np.sort(corners[[1, 3]]).clip(0, plane_shape[1]).tolist()
        if y1 - y0 < 1 or x1 - x0 < 1:
            raise InputError(
                "A box must hold at least a pixel of the image on each side: draw "
                "it around the object."
            )
        found.append(Box(int(plane), y0, x0, y1, x1, int(label)))
    return found
