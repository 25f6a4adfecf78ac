"""What the worker runs to find out where to look. No Qt and no layers here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Progress, Steps
from napari_segdino.review.places import Ranking, rank
from napari_segdino.review.suggest import (
    PlaneUncertainty,
    iter_rank_images,
    iter_uncertainty,
)
from napari_segdino.session.results import UncertainPart
from napari_segdino.session.session import checksum
from napari_segdino.session.tasks import FULL, in_bytes

UNRANKED = -1
"""Is no fingerprint."""


@dataclass(frozen=True)
class UncertainPlane:
    """What was found on a plane.

    Parameters
    ----------
    plane : int
        Flat index over the leading axes.
    checksum : int
        Fingerprint of the marks that were known.
    uncertainty : numpy.ndarray, shape (Y, X), uint8
        0 to 255.
    ranking : Ranking
        Of its places, and itself.
    """

    plane: int
    checksum: int
    uncertainty: NDArray[np.uint8]
    ranking: Ranking


def iter_look(
    segmenter: Any,
    planes: Planes,
    marks: Any,
    wanted: Sequence[int],
    known: Mapping[int, UncertainPlane],
) -> Steps[None]:
    """Look where the probe is uncertain, on planes where that is not known yet.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    planes : Planes
        The image.
    marks : array of int
        Its marks, live.
    wanted : sequence of int
        Planes to look at, in this order.
    known : mapping of int to Looked
        What the same probe was asked before; places are ranked anew where the
        marks have changed.

    Yields
    ------
    Progress, Looked
    """
    for plane in (p for p in wanted if p in known):
        marked = np.array(marks[planes.index(plane)])
        if known[plane].checksum != checksum(marked):
            yield _as_uncertain(plane, known[plane].uncertainty, marked)
    unknown = [p for p in wanted if p not in known]
    if not unknown:
        return
    for step in iter_uncertainty(
        segmenter, planes.array, axes=planes.axes, planes=unknown
    ):
        if isinstance(step, PlaneUncertainty):
            marked = np.array(marks[planes.index(step.index)])
            yield _as_uncertain(step.index, in_bytes(step.uncertainty), marked)
        else:
            yield step


def unranked(found: UncertainPart) -> UncertainPlane:
    """Return what Retrain found on a plane; its places are ranked when asked for."""
    return UncertainPlane(found.plane, UNRANKED, found.uncertainty, Ranking((), ()))


def _as_uncertain(
    plane: int, uncertainty: NDArray[np.uint8], marks: NDArray[Any]
) -> UncertainPlane:
    values = uncertainty.astype(np.float32) / FULL
    return UncertainPlane(
        plane, checksum(marks), uncertainty, rank([(plane, values, marks)])
    )


def iter_rank(
    segmenter: Any, images: Sequence[tuple[str, Planes]]
) -> Steps[list[tuple[str, float]]]:
    """Rank images of any axes by their uncertainty.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    images : sequence of (name, Planes)
        What to look at.

    Yields
    ------
    Progress

    Returns
    -------
    list of (name, uncertainty)
        Most uncertain first; uncertainty from 0 to 1, -1 where the probe cannot tell,
        as of another number of channels.
    """
    found: list[tuple[str, float]] = []
    for done, (name, planes) in enumerate(images):
        yield Progress(done, len(images), f"Looking at {name}")
        try:
            one = yield from iter_rank_images(
                segmenter, [(name, planes.array)], axes=planes.axes
            )
        except InputError:
            found.append((name, -1.0))
        else:
            found += [(name, ranking.uncertainty) for name, ranking in one]
    return sorted(found, key=lambda pair: -pair[1])
