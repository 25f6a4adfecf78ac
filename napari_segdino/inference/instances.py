"""Objects in a mask: separated and cleaned.

Touching objects are parted by a watershed [1]_ on the distance to the border times the
probability. What counts as two objects is relative: the neck must be narrower, or the
probability lower, by a share of what it is in the smaller one. The same rule then fits
nuclei and organs.

References
----------
.. [1] S. Beucher and C. Lantuejoul, Use of watersheds in contour detection,
   International Workshop on Image Processing, Rennes 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.config import ObjectSettings
from napari_segdino.errors import InputError
from napari_segdino.inference.measure import check_spacing
from napari_segdino.progress import Progress, Steps, run_in_thread

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects of all classes.

    Parameters
    ----------
    labels : numpy.ndarray of int32, shape of the mask
        0 background, 1.. objects, numbered class by class.
    classes : numpy.ndarray of int, shape (objects + 1,)
        Class of each object; the first is background, 0.
    """

    labels: Labels
    classes: NDArray[np.int64]


def iter_find_objects(
    mask: ArrayLike,
    probabilities: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
    settings: ObjectSettings = ObjectSettings(),  # noqa: B008
) -> Steps[Objects]:
    """Find the objects of each class of a mask.

    Parameters
    ----------
    mask : array of int, shape (Y, X) or (Z, Y, X)
        0 background, 1.. classes.
    probabilities : array of float, shape (K, *mask.shape), optional
        Background first; borders between objects often have lower ones.
    spacing : sequence of float, optional
        Distance between pixels by axis; 1 if not given.
    settings : ObjectSettings
        Sizes and separation.

    Yields
    ------
    Progress

    Returns
    -------
    Objects

    Raises
    ------
    InputError
        If shapes or the spacing do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_segdino.progress import drive
    >>> mask = np.array([[1, 1, 0, 0, 1], [1, 1, 0, 0, 0]])
    >>> drive(iter_find_objects(mask, settings=ObjectSettings(min_size=2))).labels
    array([[1, 1, 0, 0, 0],
           [1, 1, 0, 0, 0]], dtype=int32)
    """
    mask = np.asarray(mask)
    steps = check_spacing(mask, spacing)
    maps = None if probabilities is None else np.asarray(probabilities)
    if maps is not None and maps.shape[1:] != mask.shape:
        raise InputError(
            f"Probabilities of shape {maps.shape} do not fit a mask of {mask.shape}."
        )
    labels, classes = np.zeros(mask.shape, np.int32), [0]
    codes = np.unique(mask[mask > 0]).tolist()
    for done, code in enumerate(codes):
        likely = maps[code] if maps is not None and code < len(maps) else None
        step = Progress(done, len(codes), "Finding objects")
        yield step
        find = partial(_find, mask, code, likely, steps, settings)
        found, count = yield from run_in_thread(find, step)
        labels[found > 0] = found[found > 0] + (len(classes) - 1)
        classes += [code] * count
    return Objects(labels, np.array(classes, np.int64))


def _find(
    mask: NDArray[Any],
    code: int,
    likely: NDArray[Any] | None,
    steps: tuple[float, ...],
    settings: ObjectSettings,
) -> tuple[Labels, int]:
    """Number the objects of a class from 1; return how many there are."""
    inside = mask == code
    if settings.max_hole > 0:
        # Holes that another class fills are no holes.
        inside = fill_holes(inside, settings.max_hole, steps, free=mask == 0)
    found = _separate(inside, likely, steps, settings)
    return _keep_sizes(found, float(np.prod(steps)), settings)


def fill_holes(
    inside: Bools,
    max_hole: float,
    steps: Sequence[float],
    free: Bools | None = None,
) -> Bools:
    """Fill enclosed holes.

    Parameters
    ----------
    inside : numpy.ndarray of bool
        One class.
    max_hole : float
        Size up to which a hole is filled, in the unit of `steps`.
    steps : sequence of float
        Distance between pixels by axis.
    free : numpy.ndarray of bool, optional
        Only these pixels may be filled: those of no other class.

    Returns
    -------
    numpy.ndarray of bool
    """
    from scipy import ndimage

    holes, count = ndimage.label(~inside)
    small = np.bincount(holes.ravel(), minlength=count + 1) * np.prod(steps) <= max_hole
    small[0] = False
    for axis in range(inside.ndim):
        for edge in (0, -1):
            # What touches the border of the image may go on beyond it.
            small[np.unique(np.take(holes, edge, axis))] = False
    filled = small[holes]
    kept: Bools = filled if free is None else filled & free
    return inside | kept


def _separate(
    inside: Bools,
    likely: NDArray[Any] | None,
    steps: tuple[float, ...],
    settings: ObjectSettings,
) -> Labels:
    """Number the objects of one class."""
    from scipy import ndimage

    whole = ndimage.generate_binary_structure(inside.ndim, inside.ndim)
    parts: Labels = ndimage.label(inside, whole, output=np.int32)[0]
    if not settings.split or not parts.any():
        return parts
    from skimage.segmentation import watershed

    relief = _relief(inside, likely, steps)
    peaks = _peaks(relief, inside, settings.depth)
    markers: Labels = ndimage.label(peaks, whole, output=np.int32)[0]
    cut: Labels = watershed(-relief, markers, mask=inside, connectivity=inside.ndim)
    return cut.astype(np.int32, copy=False)


def _relief(
    inside: Bools, likely: NDArray[Any] | None, steps: tuple[float, ...]
) -> Floats:
    """Logarithm of distance times probability: relative depths are differences.

    One pixel is added to the distance: on a few pixels it moves in large steps.
    """
    from scipy import ndimage

    # Padded, so that the border of the image is a border of objects too.
    distance = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=steps)
    inner = (slice(1, -1),) * inside.ndim
    relief: Floats = np.log(distance[inner] + min(steps))
    if likely is not None:
        relief += np.log(np.clip(likely, 1e-3, 1).astype(float))
    return relief


def _peaks(relief: Floats, inside: Bools, depth: float) -> Bools:
    """Peaks that rise above the way to any higher one: extended maxima."""
    from skimage.morphology import local_maxima, reconstruction

    # Far below, so that no way from peak to peak leads over the outside.
    low = float(relief[inside].min()) - 10.0
    relief = np.where(inside, relief, low)
    # A share of the peak is a difference of logarithms: log(peak) - log((1 - depth)
    # peak).
    fall = -np.log1p(-np.clip(depth, 1e-6, 1 - 1e-6))
    footprint = np.ones((3,) * relief.ndim)
    flooded = reconstruction(relief - fall, relief, footprint=footprint)
    # A lower rim: to skimage an image that is one plateau has no maximum.
    padded = np.pad(flooded, 1, constant_values=low - 1)
    peaks: Bools = local_maxima(padded, connectivity=relief.ndim)
    inner: Bools = peaks[(slice(1, -1),) * relief.ndim] & inside
    return inner


def _keep_sizes(
    labels: Labels, pixel: float, settings: ObjectSettings
) -> tuple[Labels, int]:
    """Drop objects of another size and number the others anew, from 1."""
    sizes = np.bincount(labels.ravel()) * pixel
    kept = (sizes >= settings.min_size) & (sizes <= settings.max_size) & (sizes > 0)
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[labels], int(kept.sum())
