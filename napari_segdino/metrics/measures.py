"""Overlap and surface distances of two masks of one class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.errors import InputError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def same_shape(
    a: ArrayLike, b: ArrayLike
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return both as arrays, or say that they cannot be compared.

    Parameters
    ----------
    a, b : array
        Masks.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape:
        raise InputError(
            f"Masks of shapes {first.shape} and {second.shape} cannot be compared."
        )
    return first, second


def dice(a: ArrayLike, b: ArrayLike) -> float:
    """Dice coefficient, ``2 |A and B| / (|A| + |B|)``.

    Parameters
    ----------
    a, b : array of bool, same shape
        Two masks of one class.

    Returns
    -------
    float
        0 to 1; 1 when both are empty.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    first, second = (m.astype(bool) for m in same_shape(a, b))
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else 1.0


def iou(a: ArrayLike, b: ArrayLike) -> float:
    """Jaccard index, ``|A and B| / |A or B|``.

    Parameters
    ----------
    a, b : array of bool, same shape
        Two masks of one class.

    Returns
    -------
    float
        0 to 1; 1 when both are empty.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    first, second = (m.astype(bool) for m in same_shape(a, b))
    total = int((first | second).sum())
    return int((first & second).sum()) / total if total else 1.0


def _surface(mask: Bools) -> Bools:
    """Pixels of the mask with a face on its outside; the image ends outside."""
    from scipy.ndimage import binary_erosion

    # scipy's default border is 0, so that a mask that touches it has a surface there.
    inside: Bools = binary_erosion(mask)
    return mask & ~inside


def _crop(a: Bools, b: Bools) -> tuple[Bools, Bools]:
    """Cut both to the box of their union, as distances need no more."""
    box = []
    for axis in range(a.ndim):
        others = tuple(i for i in range(a.ndim) if i != axis)
        hit = np.flatnonzero((a | b).any(axis=others))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return a[tuple(box)], b[tuple(box)]


def surface_distances(
    a: ArrayLike, b: ArrayLike, spacing: Sequence[float] | None = None
) -> tuple[Floats, Floats]:
    """Distance of each surface pixel to the nearest of the other surface.

    Parameters
    ----------
    a, b : array of bool, same shape
        Two masks of one class, 2D or 3D.
    spacing : sequence of float, optional
        Distance between pixels by axis; 1 if not given.

    Returns
    -------
    from_a, from_b : numpy.ndarray, shape (surface pixels,)
        Empty where both masks are, infinite where only the other is empty.

    Raises
    ------
    InputError
        If shapes differ or the spacing does not fit.
    """
    from scipy.ndimage import distance_transform_edt

    first, second = (m.astype(bool) for m in same_shape(a, b))
    steps = tuple(spacing) if spacing is not None else (1.0,) * first.ndim
    if len(steps) != first.ndim or not all(0 < s < np.inf for s in steps):
        raise InputError(f"Spacing {steps} does not fit masks of {first.ndim} axes.")
    if not (first.any() and second.any()):
        # One infinite distance, so that a mean or percentile over both is infinite too.
        far = np.full(int(first.any() or second.any()), np.inf)
        return far, far.copy()
    # A small organ in a large scan: distances over the whole of it would take minutes.
    first, second = _crop(first, second)
    edge_a, edge_b = _surface(first), _surface(second)
    to_b = distance_transform_edt(~edge_b, sampling=steps)
    to_a = distance_transform_edt(~edge_a, sampling=steps)
    return to_b[edge_a], to_a[edge_b]


def plane_distances(
    a: ArrayLike, b: ArrayLike, spacing: Sequence[float] | None = None
) -> tuple[Floats, Floats]:
    """Measure :func:`surface_distances` within each plane, pooled over planes.

    Parameters
    ----------
    a, b : array of bool, same shape, (planes, Y, X)
        Masks of one class.
    spacing : sequence of float, optional
        (Y, X) distance between pixels; 1 if not given.

    Returns
    -------
    from_a, from_b : numpy.ndarray, shape (surface pixels,)
        With one infinite distance each for a plane where only one mask is empty.

    Raises
    ------
    InputError
        As in :func:`surface_distances`.
    """
    first, second = same_shape(a, b)
    pairs = zip(first, second, strict=True)
    ways = [surface_distances(*pair, spacing) for pair in pairs]
    from_a, from_b = ([way[side] for way in ways] or [np.zeros(0)] for side in (0, 1))
    return np.concatenate(from_a), np.concatenate(from_b)


def pooled_hd95(from_a: Floats, from_b: Floats) -> float:
    """Larger of both directions' 95th percentiles, 0 without a surface.

    Parameters
    ----------
    from_a, from_b : numpy.ndarray, shape (surface pixels,)
        Distances, of one plane or volume or of several together; some may be
        infinite.
    """
    return max(_percentile95(from_a), _percentile95(from_b))


def _percentile95(distances: Floats) -> float:
    """Interpolate as numpy does; infinite once the rank reaches an infinite one."""
    if not len(distances):
        return 0.0
    if not np.isfinite(np.percentile(distances, 95, method="higher")):
        return float("inf")
    # An infinite neighbour of the rank would be weighted by 0, which is no number.
    finite = distances[np.isfinite(distances)].max()
    return float(np.percentile(np.minimum(distances, finite), 95))


def pooled_assd(from_a: Floats, from_b: Floats) -> float:
    """Mean over both surfaces, 0 without one.

    Parameters
    ----------
    from_a, from_b : numpy.ndarray, shape (surface pixels,)
        See :func:`pooled_hd95`.
    """
    both = np.concatenate([from_a, from_b])
    return float(both.mean()) if len(both) else 0.0


def hd95(a: ArrayLike, b: ArrayLike, spacing: Sequence[float] | None = None) -> float:
    """95 % Hausdorff distance: the larger of both directions' 95th percentiles.

    Parameters
    ----------
    a, b, spacing
        As in :func:`surface_distances`.

    Returns
    -------
    float
        In the unit of `spacing`; 0 when both are empty, infinite when one is.

    Raises
    ------
    InputError
        As in :func:`surface_distances`.
    """
    return pooled_hd95(*surface_distances(a, b, spacing))


def assd(a: ArrayLike, b: ArrayLike, spacing: Sequence[float] | None = None) -> float:
    """Average symmetric surface distance: the mean over both surfaces' pixels.

    Parameters
    ----------
    a, b, spacing
        As in :func:`surface_distances`.

    Returns
    -------
    float
        In the unit of `spacing`; 0 when both are empty, infinite when one is.

    Raises
    ------
    InputError
        As in :func:`surface_distances`.
    """
    return pooled_assd(*surface_distances(a, b, spacing))
