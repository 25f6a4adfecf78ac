"""What a new probe changed in a mask, by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.metrics.measures import same_shape


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one class.

    Parameters
    ----------
    label : int
        The class; 0 is background.
    before, after : int
        Pixels of the class then and now.
    gained, lost : int
        Pixels that came to it and that left it.
    """

    label: int
    before: int
    after: int
    gained: int
    lost: int


def compare(
    before: ArrayLike, after: ArrayLike, n_classes: int | None = None
) -> list[Change]:
    """Count what changed between two masks, by class.

    Parameters
    ----------
    before, after : array of int, same shape
        0 background, 1.. classes.
    n_classes : int, optional
        Classes with background; None takes those that occur.

    Returns
    -------
    list of Change
        One for each class, background first.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    first, second = (m.astype(np.int32) for m in same_shape(before, after))
    moved = first != second
    count = 1 + max(int(first.max(initial=0)), int(second.max(initial=0)))
    count = max(count, n_classes or 0)
    # In the order of the fields of Change.
    columns = [first, second, second[moved], first[moved]]
    counts = [np.bincount(c.ravel(), minlength=count).tolist() for c in columns]
    return [Change(label, *row) for label, row in enumerate(zip(*counts, strict=True))]


def overlay(before: ArrayLike, after: ArrayLike) -> NDArray[np.integer]:
    """Show what changed as labels.

    Parameters
    ----------
    before, after : array of int, same shape
        0 background, 1.. classes.

    Returns
    -------
    numpy.ndarray, same shape, uint8 or uint16
        0 where nothing changed, ``2 c - 1`` where class c was gained, from
        background or from another class, and ``2 c`` where class c was lost to
        background.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    first, second = (m.astype(np.int32) for m in same_shape(before, after))
    top = 2 * max(int(first.max(initial=0)), int(second.max(initial=0)))
    kind = np.min_scalar_type(top)
    gained = 2 * second - 1
    lost = 2 * first
    changed = np.where(second > 0, gained, lost)
    return np.where(first == second, 0, changed).astype(kind)
