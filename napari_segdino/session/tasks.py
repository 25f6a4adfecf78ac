"""What the worker runs: generators over a segmenter. No Qt and no layers here."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.compressed import Compressed
from napari_segdino.errors import InputError
from napari_segdino.images.boxes import Box
from napari_segdino.images.planes import Planes
from napari_segdino.inference.interpolate import interpolate_mask
from napari_segdino.inference.predict import PartResult, PlaneResult
from napari_segdino.inference.uncertainty import entropy
from napari_segdino.marks import apply_marks
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.classes import why_not_trainable
from napari_segdino.session.eta import foretell
from napari_segdino.session.learning import (
    Marked,
    fits,
    iter_first_look,
    iter_learn,
    take_snapshot,
)
from napari_segdino.session.probe_state import fitted_state
from napari_segdino.session.results import (
    Learned,
    NothingFound,
    PlaneUpdate,
    Proposal,
    Switched,
    Trained,
    UncertainPart,
    in_bytes,
)


def iter_retrain(
    segmenter: Any,
    images: Sequence[Marked],
    target: Marked,
    mask: Any,
    planes: Sequence[int],
    centre: tuple[float, float] | None = None,
    uncertainty: bool = False,
) -> Steps[None]:
    """Learn new marks, then draw the planes asked for.

    Parameters
    ----------
    segmenter : Segmenter
        Learns and draws.
    images : sequence of Marked
        Whose marks to learn.
    target : Marked
        Which of them to draw.
    mask : array of int
        Its mask, live.
    planes : sequence of int
        Planes to draw.
    centre : tuple of float, optional
        Pixel that is looked at.
    uncertainty : bool
        Whether somebody wants to know where the probe is uncertain.

    Yields
    ------
    Progress, Notice, Learned, Trained, PartResult, PlaneResult, PlaneUpdate,
    UncertainPart
    """
    before, seen = fitted_state(segmenter), dict[int, NDArray[Any]]()
    if planes:
        # Before the first look is drawn into the live mask.
        seen[planes[0]] = np.array(mask[target.planes.index(planes[0])])
        yield from iter_first_look(segmenter, target, planes, centre)
    yield from iter_learn(segmenter, images, target)
    yield Trained(before, fitted_state(segmenter))
    yield from _iter_update_mask(
        segmenter, target, mask, planes, centre, uncertainty, seen
    )


def iter_switch(
    present: Any,
    candidate: Any,
    changes: Mapping[str, Any],
    images: Sequence[Marked],
    target: Marked | None = None,
    mask: Any = None,
    planes: Sequence[int] = (),
    centre: tuple[float, float] | None = None,
    uncertainty: bool = False,
) -> Steps[None]:
    """Load another encoder, learn the marks with it, and only then let it take over.

    Parameters
    ----------
    present, candidate : Segmenter
        The probe there is, which is not touched, and a new one.
    changes : mapping of str to object
        Settings that the new one was made with.
    images, target, mask, planes, centre, uncertainty
        As for :func:`iter_retrain`; none of the marks is known. Without a target
        nothing is drawn.

    Yields
    ------
    Progress, Switched, and then what :func:`iter_retrain` yields
    """
    before = fitted_state(present)
    yield from candidate.iter_pipeline()
    learned: list[Learned] = []
    marked = [m for m in images if np.any(m.marks)]
    first = [m for m in marked if target is not None and m.image == target.image]
    try:
        for step in (
            iter_learn(candidate, marked, (first or marked)[0]) if marked else ()
        ):
            if isinstance(step, Learned):
                learned.append(step)
            else:
                yield step
    except InputError:
        # Marks of one class alone, say: it begins as a new probe does.
        learned.clear()
    yield Switched(candidate, changes)
    # Only now: taking over clears what the session knows to be learned.
    yield from learned
    if candidate.is_fitted and target is not None:
        yield Trained(before, fitted_state(candidate))
        yield from _iter_update_mask(
            candidate, target, mask, planes, centre, uncertainty, {}
        )


def _iter_update_mask(
    segmenter: Any,
    target: Marked,
    mask: Any,
    planes: Sequence[int],
    centre: tuple[float, float] | None,
    uncertainty: bool,
    first: dict[int, NDArray[Any]],
) -> Steps[None]:
    image = target.planes
    steps = segmenter.iter_predict(
        image.array,
        axes=image.axes,
        planes=planes,
        centre=centre,
        spacing=target.spacing,
    )
    for step in foretell(steps):
        if not isinstance(step, PartResult | PlaneResult):
            yield step
            continue
        index = image.index(step.index)
        # Before its first part comes: parts are drawn into the live mask.
        if step.index not in first:
            first[step.index] = np.array(mask[index])
        if isinstance(step, PartResult):
            yield step
            continue
        seen = first.pop(step.index)
        # First what the user waits for.
        yield step
        drawn = apply_marks(step.labels, np.asarray(target.marks[index]))
        drawn = drawn.astype(seen.dtype, copy=False)
        yield PlaneUpdate(step.index, Compressed.of(seen), Compressed.of(drawn))
        if uncertainty:
            yield UncertainPart(step.index, in_bytes(entropy(step.probabilities)))


def iter_unpack(
    masks: Mapping[tuple[Hashable, int], Compressed],
) -> Steps[None]:
    """Yield Progress, and (image, plane, labels) for each compressed mask.

    Parameters
    ----------
    masks : mapping of (hashable, int) to Compressed
        By image and plane.
    """
    for done, ((image, plane), compressed) in enumerate(masks.items()):
        yield Progress(done, len(masks), "Going back")
        yield image, plane, compressed.array()


def iter_segment(
    segmenter: Any,
    target: Planes,
    planes: Sequence[int],
    n_groups: int,
    centre: tuple[float, float] | None = None,
    spacing: tuple[float, ...] | None = None,
) -> Steps[None]:
    """Draw planes: with the probe, or by grouping if there is none yet.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted or not.
    target : Planes
        The image.
    planes : sequence of int
        Planes to draw.
    n_groups : int
        Groups to look for without a probe, background among them.
    centre : tuple of float, optional
        Pixel that is looked at.
    spacing : tuple of float, optional
        Distances along z, y and x in mm.

    Yields
    ------
    Progress, PartResult, PlaneResult, Notice
    """
    how: dict[str, Any] = {"axes": target.axes, "planes": planes, "centre": centre}
    if segmenter.is_fitted:
        steps = segmenter.iter_predict(target.array, spacing=spacing, **how)
    else:
        steps = segmenter.iter_cluster(target.array, n_classes=n_groups, **how)
    yield from foretell(steps)


def iter_interpolate(
    segmenter: Any, target: Marked, first: int, last: int
) -> Steps[None]:
    """Draw the planes between two that are marked whole.

    Their shapes say where objects are, and near the borders the probe decides, if
    there is one that fits.

    Parameters
    ----------
    segmenter : Segmenter
        May have learned nothing yet.
    target : Marked
        The image.
    first, last : int
        Planes whose every pixel is marked.

    Yields
    ------
    Progress, Proposal
    """
    image, between = target.planes, range(first + 1, last)
    below, above = (np.asarray(target.marks[image.index(p)]) - 1 for p in (first, last))
    scale = (target.spacing or (1.0, 1.0))[-2:]
    if not (segmenter.is_fitted and fits(segmenter, image)):
        for plane in between:
            yield Progress(plane - first - 1, len(between), "Interpolating")
            share = (plane - first) / (last - first)
            yield Proposal(plane, interpolate_mask(below, above, share, scale=scale))
        return
    how: dict[str, Any] = {"axes": image.axes, "spacing": target.spacing}
    steps = segmenter.iter_predict(image.array, planes=between, **how)
    for step in foretell(steps):
        if isinstance(step, PlaneResult):
            share = (step.index - first) / (last - first)
            likely = step.probabilities
            mask = interpolate_mask(below, above, share, likely, scale)
            yield Proposal(step.index, mask)
        elif not isinstance(step, PartResult):
            yield step


def iter_start(
    segmenter: Any,
    target: Marked,
    mask: Any,
    planes: Sequence[int],
    centre: tuple[float, float] | None = None,
) -> Steps[None]:
    """Draw what looks like the marks of an image; learn them if they suffice.

    Parameters
    ----------
    segmenter : Segmenter
        Has learned nothing yet.
    target : Marked
        The image; none of its marks is known.
    mask, planes, centre
        As for :func:`iter_retrain`.

    Yields
    ------
    Progress, PartResult, PlaneResult, and what :func:`iter_retrain` yields
    """
    snapshot = take_snapshot(target)
    if why_not_trainable(snapshot.codes) is None:
        yield from iter_retrain(segmenter, [target], target, mask, planes, centre)
        return
    image = target.planes
    steps = segmenter.iter_from_clicks(
        image.array, snapshot.marks, axes=image.axes, planes=planes, centre=centre
    )
    yield from foretell(steps)


def iter_start_box(segmenter: Any, target: Marked, mask: Any, box: Box) -> Steps[None]:
    """Draw what is in a box, and learn from it; outside the box the mask stays.

    Parameters
    ----------
    segmenter : Segmenter
        Learns and draws.
    target : Marked
        The image.
    mask : array of int
        Its mask, live.
    box : Box
        Around an object.

    Yields
    ------
    Progress, Trained, PlaneResult, PlaneUpdate, NothingFound
    """
    image, index = target.planes, target.planes.index(box.plane)
    before = fitted_state(segmenter)
    # Only the box's own plane is read: a copy of one plane instead of the volume's.
    marks = np.zeros(image.spatial_shape, np.asarray(target.marks[index]).dtype)
    marks[index] = target.marks[index]
    edges = box.y0, box.x0, box.y1, box.x1
    how = {"labels": [box.label], "planes": [box.plane], "marks": marks}
    steps = segmenter.iter_start(image.array, [edges], axes=image.axes, **how)
    for step in foretell(steps):
        if isinstance(step, PlaneResult):
            yield Trained(before, fitted_state(segmenter))
            seen = np.array(mask[index])
            drawn = seen.copy()
            drawn[box.slices()] = step.labels[box.slices()]
            drawn = apply_marks(drawn, marks[index]).astype(seen.dtype, copy=False)
            yield replace(step, labels=drawn)
            yield PlaneUpdate(box.plane, Compressed.of(seen), Compressed.of(drawn))
            if not (drawn[box.slices()] == box.label).any():
                yield NothingFound()
        elif not isinstance(step, PartResult):
            yield step


def iter_adopt_mask(
    segmenter: Any,
    target: Marked,
    mask: Any,
    given: Any,
    classes: Collection[int],
    label: int,
) -> Steps[None]:
    """Learn weakly from a mask that another tool made, and draw it.

    Parameters
    ----------
    segmenter : Segmenter
        Learns.
    target : Marked
        The image.
    mask : array of int
        Its mask, live.
    given : array of int, shape of the image
        0 background, 1.. classes, or numbers of objects. Planes where it is empty stay
        as they are.
    classes : collection of int
        Labels that there are.
    label : int
        Class of all its objects, where it has other labels than these: then it numbers
        objects.

    Yields
    ------
    Progress, Trained, PlaneUpdate, Proposal
    """
    image = target.planes
    before = fitted_state(segmenter)
    found: set[int] = set()
    for plane in range(len(image)):
        yield Progress(plane, len(image), "Reading the mask")
        found |= set(np.unique(given[image.index(plane)]).tolist())
    if found - {0, *classes}:
        given = (np.asarray(given) > 0) * np.uint8(label)
    steps = segmenter.iter_adopt_mask(image.array, given, axes=image.axes)
    yield from foretell(steps)
    yield Trained(before, fitted_state(segmenter))
    for plane in range(len(image)):
        index = image.index(plane)
        wanted = np.asarray(given[index])
        if wanted.any():
            seen = np.array(mask[index])
            drawn = apply_marks(wanted, np.asarray(target.marks[index]))
            drawn = drawn.astype(seen.dtype, copy=False)
            yield PlaneUpdate(plane, Compressed.of(seen), Compressed.of(drawn))
            yield Proposal(plane, drawn)
