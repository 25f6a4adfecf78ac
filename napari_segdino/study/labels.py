"""What the numbers in the masks of a data set stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.io.read import read_mask
from napari_segdino.marks import MAX_LABEL, too_high
from napari_segdino.progress import Progress, Steps

FEWEST_INSTANCES = 8
"""Masks numbered 1 to n, n changing and at least this once, number instances."""

MANY_INSTANCES = 32
"""A mask alone numbered 1 to more than this numbers instances."""


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How masks become classes.

    Parameters
    ----------
    merge : bool
        All labels above 0 become 1.
    text : str
        What is done, for people.
    labels : tuple of int
        Labels above 0 that were found, before merging.
    """

    merge: bool
    text: str
    labels: tuple[int, ...] = ()

    @property
    def n_classes(self) -> int:
        """Classes, background counted."""
        return 2 if self.merge else max(self.labels, default=0) + 1

    def apply(self, mask: NDArray[Any]) -> NDArray[Any]:
        """Turn a mask as read into classes.

        Parameters
        ----------
        mask : numpy.ndarray of int
            From :func:`~napari_segdino.io.read.read_mask`.

        Returns
        -------
        numpy.ndarray, same shape
        """
        return (mask > 0).astype(np.uint8) if self.merge else mask


def iter_labels(masks: Sequence[Path]) -> Steps[list[tuple[int, ...]]]:
    """Find the labels above 0 of each mask.

    Parameters
    ----------
    masks : sequence of pathlib.Path
        The masks.

    Yields
    ------
    Progress

    Returns
    -------
    list of tuple of int
        Rising.

    Raises
    ------
    ScanError
        If a mask cannot be read.
    """
    found = []
    for done, path in enumerate(masks):
        yield Progress(done, len(masks), "Looking at the masks")
        found.append(tuple(int(v) for v in np.unique(read_mask(path)) if v))
    return found


def decide(
    found: Sequence[tuple[int, ...]],
    names: Mapping[int, str] | None = None,
    binary: bool | None = None,
) -> LabelRule:
    """Decide what the numbers in the masks of a data set stand for.

    Parameters
    ----------
    found : sequence of tuple of int
        Labels above 0 of each mask, from :func:`iter_labels`.
    names : mapping of int to str, optional
        What dataset.json calls the labels: then they are classes.
    binary : bool, optional
        True merges all labels above 0, False takes each as a class. None
        decides: one label only becomes 1 (pictures of 0 and 255), numbers of
        instances are merged, others are classes.

    Returns
    -------
    LabelRule

    Raises
    ------
    InputError
        If there is nothing but background, or more classes than fit.
    """
    labels = tuple(sorted(set().union(*found))) if found else ()
    if not labels:
        raise InputError("The masks hold nothing but background.")
    if binary:
        return LabelRule(True, f"{_listed(labels)}: merged into one class.", labels)
    if binary is None and not names:
        if len(labels) == 1 and labels != (1,):
            text = f"The masks hold 0 and {labels[0]}: read as 0 and 1."
            return LabelRule(True, text, labels)
        if number_instances(found):
            text = (
                f"The masks number instances, up to {labels[-1]}: merged into one "
                "class (--classes keeps them apart)."
            )
            return LabelRule(True, text, labels)
    if labels[-1] > MAX_LABEL:
        way_out = "merge all labels above 0 into one (--binary)"
        raise InputError(too_high(labels[-1], way_out))
    if labels == (1,) and not names:
        text = "The masks hold 0 and 1 (in a picture, 255 is read as 1)."
        return LabelRule(False, text, labels)
    return LabelRule(False, f"{_listed(labels, names)}.", labels)


def number_instances(found: Sequence[tuple[int, ...]]) -> bool:
    """Whether masks number their objects: 1 to n, and n changes.

    Parameters
    ----------
    found : sequence of tuple of int
        Labels above 0 of each mask, rising.

    Returns
    -------
    bool
    """
    # Empty masks say nothing about how others are numbered.
    full = [labels for labels in found if labels]
    if not full or any(labels != tuple(range(1, len(labels) + 1)) for labels in full):
        return False
    counts = {len(labels) for labels in full}
    if len(full) == 1:
        return max(counts) > MANY_INSTANCES
    return len(counts) > 1 and max(counts) >= FEWEST_INSTANCES


def _listed(labels: Sequence[int], names: Mapping[int, str] | None = None) -> str:
    listed = [f"{v} ({names[v]})" if names and v in names else str(v) for v in labels]
    if len(listed) > 12:
        listed = [*listed[:5], "...", listed[-1]]
    return f"{'Label' if len(labels) == 1 else 'Labels'} {', '.join(listed)}"
