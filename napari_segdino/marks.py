"""Labels and marks: a mark is a label + 1, and 0 says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.errors import InputError

Plane = NDArray[Any]

MAX_LABEL = 254
"""The highest class: marks are label + 1 and are learned from in 8 bits."""

MERGE = "merge numbers of objects into one class (mask > 0)"


def too_high(label: int, way_out: str = MERGE) -> str:
    """Say that there is no such class.

    Parameters
    ----------
    label : int
        In a mask.
    way_out : str
        What to do where the numbers are not meant as classes.

    Returns
    -------
    str
        One sentence.
    """
    return (
        f"There is a class {label}, and {MAX_LABEL} is the highest: number the classes "
        f"1, 2, 3 and on, or {way_out}."
    )


def marks_from_mask(mask: ArrayLike) -> NDArray[np.integer]:
    """Turn a full mask into marks: every pixel is marked.

    Parameters
    ----------
    mask : array of int, shape (Y, X) or (Z, Y, X)
        0 background, 1.. classes.

    Returns
    -------
    numpy.ndarray
        ``mask + 1``, same shape: 1 background, 2.. classes. Classes above
        :data:`MAX_LABEL` are refused where they are learned.

    Raises
    ------
    InputError
        If it holds fractions or negative numbers.
    """
    mask = np.asarray(mask)
    if mask.dtype == bool:
        mask = mask.astype(np.uint8)
    if mask.dtype.kind not in "iu":
        raise InputError(f"A mask holds whole numbers, not {mask.dtype}.")
    if mask.size and mask.min() < 0:
        raise InputError("A mask holds no negative labels.")
    # The type is chosen for mask + 1: in uint8, label 255 would wrap round to 0,
    # unlabelled.
    top = int(mask.max(initial=0)) + 1
    return mask.astype(np.promote_types(np.uint8, np.min_scalar_type(top))) + 1


def as_codes(marks: Any) -> NDArray[np.uint8]:
    """Return marks as they are learned from.

    Parameters
    ----------
    marks : array of int, bool
        0 unlabelled, 1 background, 2.. classes; any shape.

    Returns
    -------
    numpy.ndarray of uint8
        Of the same shape; `marks` itself if it is of that type.

    Raises
    ------
    InputError
        If they are not whole, negative, or of a class that is too high.
    """
    marks = np.asarray(marks)
    if marks.dtype.kind not in "iub":
        raise InputError(f"Marks are whole numbers, not {marks.dtype}.")
    if marks.size and int(marks.min()) < 0:
        raise InputError(
            f"There is a mark {int(marks.min())}: marks are 0 for unlabelled, 1 for "
            "background, 2 and on for classes."
        )
    if (top := int(marks.max(initial=0))) > MAX_LABEL + 1:
        raise InputError(too_high(top - 1))
    codes: NDArray[np.uint8] = marks.astype(np.uint8, copy=False)
    return codes


def corrections(baseline: Plane, current: Plane, marks: Plane) -> Plane:
    """Add what the user changed in a mask to the marks.

    Parameters
    ----------
    baseline : numpy.ndarray of int
        The mask as the program last wrote or saw it.
    current : numpy.ndarray of int, same shape
        The mask now.
    marks : numpy.ndarray of int, same shape
        0 unlabelled, 1 background, 2.. classes.

    Returns
    -------
    numpy.ndarray, same shape
        `marks`, with ``current + 1`` wherever the mask was changed. Erasing
        to 0 therefore says background. Of a type that holds them all.
    """
    changed = baseline != current
    return _marked(marks, changed, current)


def _marked(marks: Plane, where: NDArray[np.bool_], mask: Plane) -> Plane:
    """Add ``mask + 1`` to marks, which are never cut to fewer bits."""
    # In 64 bits, since label + 1 may be one more than the mask's own type holds.
    codes = mask[where].astype(np.int64) + 1
    out: Plane = marks.astype(type_for(codes, marks.dtype))
    out[where] = codes
    return out


def type_for(values: Plane, kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return a number type, or a wider one if it cannot hold some values.

    Parameters
    ----------
    values : numpy.ndarray of int
        What is to be held; may be empty.
    kind : numpy.dtype
        The type preferred.

    Returns
    -------
    numpy.dtype
        `kind`, or the narrowest integer type that holds it and the values.
    """
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
        return kind
    wider = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
    return np.promote_types(kind, wider)


def confirmations(
    current: Plane, footprint: NDArray[np.bool_], label: int, marks: Plane
) -> Plane:
    """Mark the pixels of a stroke that had its class already.

    Parameters
    ----------
    current : numpy.ndarray of int
        The mask after the stroke.
    footprint : numpy.ndarray of bool, same shape
        Where the brush passed.
    label : int
        What it painted.
    marks : numpy.ndarray of int, same shape
        Marks so far.

    Returns
    -------
    numpy.ndarray, same shape
    """
    return _marked(marks, footprint & (current == label), current)


def accepted(current: Plane, marks: Plane) -> Plane:
    """Mark a whole mask where nothing is marked yet.

    Parameters
    ----------
    current : numpy.ndarray of int
        The mask.
    marks : numpy.ndarray of int, same shape
        Marks so far, which stay.

    Returns
    -------
    numpy.ndarray, same shape
    """
    return _marked(marks, marks == 0, current)


def apply_marks(prediction: Plane, marks: Plane) -> Plane:
    """Return the mask to show: the marks, else the prediction.

    Parameters
    ----------
    prediction : numpy.ndarray of int
        0 background, 1.. classes.
    marks : numpy.ndarray of int, same shape
        0 unlabelled, 1 background, 2.. classes.

    Returns
    -------
    numpy.ndarray, same shape, of a type that holds both
    """
    marked = marks > 0
    labels = marks[marked] - 1
    out: Plane = prediction.astype(type_for(labels, prediction.dtype))
    out[marked] = labels
    return out


def strokes_of(marks: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Find connected strokes.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 unlabelled, 1 background, 2.. classes.

    Yields
    ------
    code : int
        The mark.
    pixels : numpy.ndarray, shape (N,)
        Flat indices of the stroke's pixels, row by row.
    """
    from scipy import ndimage

    # Class by class: strokes of two classes that touch are two strokes.
    for code in np.unique(marks[marks > 0]):
        labelled, count = ndimage.label(marks == code)
        flat = np.flatnonzero(labelled)
        number = labelled.ravel()[flat]
        # Stable, so that the pixels of a stroke stay in order of rows. The split by
        # sorted numbers is one pass, where a comparison for each stroke is one pass a
        # stroke.
        order = np.argsort(number, kind="stable")
        ends = np.cumsum(np.bincount(number, minlength=count + 1)[1:])[:-1]
        for pixels in np.split(flat[order], ends):
            yield int(code), pixels
