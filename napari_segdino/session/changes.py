"""What the worker runs to find out what a Retrain changed. No Qt, no layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.heads.registry import make_head
from napari_segdino.progress import Progress, Steps
from napari_segdino.review.change import compare, overlay
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
        See :func:`napari_segdino.review.change.overlay`.
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
        # Without background, which gains what the classes lose.
        for change in compare(before, after)[1:]:
            label = change.label
            found.gained[label] = found.gained.get(label, 0) + change.gained
            found.lost[label] = found.lost.get(label, 0) + change.lost
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
