"""What a Retrain changed in masks, by class, and in earlier corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.heads.registry import make_head
from napari_segdino.metrics.measures import same_shape
from napari_segdino.progress import Progress, Steps
from napari_segdino.review.guard import Guard, guard
from napari_segdino.session.probe_state import PARAMS
from napari_segdino.session.results import PlaneUpdate, Trained


@dataclass(frozen=True)
class Painted:
    """Yielded for each plane: what changed in it.

    Parameters
    ----------
    plane : int
        Flat index over the leading axes.
    labels : numpy.ndarray, shape (Y, X)
        See :func:`overlay`.
    """

    plane: int
    labels: NDArray[np.integer]


@dataclass
class Difference:
    """What a Retrain changed.

    Parameters
    ----------
    gained, lost : dict of int to int
        Pixels that came to a class and that left it, by label.
    guard : Guard or None
        Earlier corrections before and after; None where the probe cannot say.
    """

    gained: dict[int, int] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    guard: Guard | None = None


def count_changes(
    before: ArrayLike, after: ArrayLike
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Count the pixels that came to each label and those that left it.

    Parameters
    ----------
    before, after : array of int, same shape
        0 background, 1.. classes.

    Returns
    -------
    gained, lost : numpy.ndarray of int, shape (K,)
        By label, up to the highest in either mask.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    first, second = (m.astype(np.int32) for m in same_shape(before, after))
    moved = first != second
    count = 1 + max(int(first.max(initial=0)), int(second.max(initial=0)))
    gained, lost = (np.bincount(m[moved], minlength=count) for m in (second, first))
    return gained, lost


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


def iter_difference(
    parts: Sequence[PlaneUpdate], trained: Trained | None, paint: bool
) -> Steps[Difference]:
    """Compare masks before and after, then ask about earlier corrections.

    Parameters
    ----------
    parts : sequence of PlaneUpdate
        Masks of each plane.
    trained : Trained, optional
        What the probe knew before and after.
    paint : bool
        Whether the overlay is wanted.

    Yields
    ------
    Progress, Painted

    Returns
    -------
    Difference
    """
    found = Difference()
    for done, part in enumerate(parts):
        yield Progress(done, len(parts), "Comparing")
        before, after = part.before.array(), part.after.array()
        for total, counts in zip(
            (found.gained, found.lost), count_changes(before, after), strict=True
        ):
            # Without background, which gains what the classes lose.
            for label, count in enumerate(counts.tolist()[1:], 1):
                total[label] = total.get(label, 0) + count
        if paint:
            yield Painted(part.plane, overlay(before, after))
    yield Progress(len(parts), len(parts), "Asking about earlier corrections")
    found.guard = None if trained is None else _guard(trained)
    return found


def _guard(trained: Trained) -> Guard | None:
    # A probe before its first fit has none of it, and nothing was corrected yet.
    needed: set[Any] = {"model_", "samples_"}
    if not needed <= trained.before.keys() or not needed <= trained.after.keys():
        return None
    before, after = trained.before, trained.after
    head = make_head(after[PARAMS]["head"])
    old, new = ((x["model_"], x["samples_"]) for x in (before, after))
    return guard(head, *old, *new)
