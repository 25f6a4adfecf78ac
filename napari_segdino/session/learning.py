"""Which marks a probe does not know yet, and how it learns them. No Qt, no layers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ChannelsError, InputError
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.classes import why_not_trainable
from napari_segdino.session.eta import foretell, memory_notice
from napari_segdino.session.results import Learned, LeftOut
from napari_segdino.session.session import checksum


@dataclass(frozen=True)
class Marked:
    """An image with marks.

    Parameters
    ----------
    image : hashable
        Names the image in the session.
    planes : Planes
        The image.
    marks : array of int
        Its marks, live: the user may go on painting in them.
    learned : mapping of int to int
        Checksums of the marks that the probe has learned.
    spacing : tuple of float, optional
        Distances along z, y and x in mm.
    """

    image: Hashable
    planes: Planes
    marks: Any
    learned: Mapping[int, int]
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Snapshot:
    """Marks as they were at one moment.

    Parameters
    ----------
    marks : numpy.ndarray of int
        All of them: cuts across other axes than z need them.
    changed : list of int
        Planes to learn.
    checksums : dict of int to int
        Checksums of these planes.
    codes : set of int
        All codes that are marked anywhere in the image.
    """

    marks: NDArray[Any]
    changed: list[int]
    checksums: dict[int, int]
    codes: set[int]


def take_snapshot(marked: Marked) -> Snapshot:
    """Copy the marks, and note the planes whose marks the probe does not know yet.

    Parameters
    ----------
    marked : Marked
        Its marks are live.
    """
    # Planes without marks take no memory: zeros are only pages once they are written.
    copy = np.zeros(marked.planes.spatial_shape, np.asarray(marked.marks[:0]).dtype)
    checksums: dict[int, int] = {}
    codes: set[int] = set()
    for plane in range(len(marked.planes)):
        index = marked.planes.index(plane)
        now = np.array(marked.marks[index])
        # 0 where nothing is marked, so that erased marks count as a change of what was
        # learned.
        key = checksum(now) if now.any() else 0
        if key:
            codes |= set(np.flatnonzero(np.bincount(now.ravel())).tolist())
            copy[index] = now
        if key != marked.learned.get(plane, 0):
            checksums[plane] = key
    return Snapshot(copy, sorted(checksums), checksums, codes - {0})


def iter_learn(segmenter: Any, images: Sequence[Marked], target: Marked) -> Steps[None]:
    """Learn every mark that is new, of images that can share a probe with one.

    Parameters
    ----------
    segmenter : Segmenter
        Learns.
    images : sequence of Marked
        Whose marks to learn.
    target : Marked
        Those that cannot share a probe with it are left out.

    Yields
    ------
    Progress, Learned, LeftOut, Notice

    Raises
    ------
    InputError
        If the marks do not suffice to learn from.
    """
    yield Progress(0, 0, "Reading the marks")
    fitting = [m for m in images if fits(segmenter, m.planes, target.planes, anew=True)]
    others = [m for m in images if m not in fitting]
    left = tuple(m.image for m in others if take_snapshot(m).codes)
    if left:
        yield LeftOut(left)
    pairs = [(m, take_snapshot(m)) for m in fitting]
    codes = set().union(*(s.codes for _, s in pairs))
    reason = why_not_trainable(codes, segmenter.head)
    # Earlier samples, or the first mask, stand in for the classes that are not marked.
    helped = segmenter.is_fitted or (codes and segmenter.has_unsupervised)
    if reason and not helped:
        raise InputError(reason)
    segmenter.check_channels([m.planes for m, s in pairs if s.changed and s.codes])
    new = [(m.planes, s.marks, s.changed) for m, s in pairs]
    if notice := memory_notice(segmenter, new):
        yield notice
    for marked, snapshot in pairs:
        if not snapshot.changed:
            continue
        steps = segmenter.iter_partial_fit(
            marked.planes.array,
            snapshot.marks,
            axes=marked.planes.axes,
            planes=snapshot.changed,
            spacing=marked.spacing,
        )
        yield from foretell(steps)
        yield Learned(marked.image, snapshot.checksums)


def iter_first_look(
    segmenter: Any,
    target: Marked,
    planes: Sequence[int],
    centre: tuple[float, float] | None,
) -> Steps[None]:
    """Draw the plane on screen provisionally, where encoding it takes long.

    Parameters
    ----------
    segmenter : Segmenter
        Is not changed.
    target : Marked
        The image.
    planes : sequence of int
        Planes to draw, the one on screen first.
    centre : tuple of float, optional
        Pixel that is looked at.

    Yields
    ------
    Progress, Notice, PartResult
    """
    image, index = target.planes, target.planes.index(planes[0])
    # A copy of one plane: marks are live, and the others do not count here.
    marks = np.zeros(image.spatial_shape, np.asarray(target.marks[index]).dtype)
    marks[index] = target.marks[index]
    if not fits(segmenter, image):
        return
    how: dict[str, Any] = {"axes": image.axes, "spacing": target.spacing}
    yield from foretell(
        segmenter.iter_draft(image.array, marks, planes=planes, centre=centre, **how)
    )


def fits(segmenter: Any, image: Planes, *others: Planes, anew: bool = False) -> bool:
    """Whether a probe, or a new one, can learn from all of these images.

    They need the channels that it learned from, or all the same.

    Parameters
    ----------
    segmenter : Segmenter
        The probe.
    image, *others : Planes
        What it is to learn from.
    anew : bool
        Whether a new probe is meant, which has no channels yet.
    """
    try:
        segmenter.check_channels([image, *others], anew=anew)
    except ChannelsError:
        return False
    return True
