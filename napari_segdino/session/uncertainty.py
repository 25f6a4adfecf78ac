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
from napari_segdino.review.ensemble import PlaneDoubt, iter_doubt
from napari_segdino.review.places import Ranking, rank
from napari_segdino.review.suggest import iter_rank_images
from napari_segdino.session.results import Doubted
from napari_segdino.session.session import fingerprint
from napari_segdino.session.tasks import FULL, in_bytes

UNRANKED = -1
"""Is no fingerprint."""


@dataclass(frozen=True)
class Looked:
    """What was found on a plane.

    Parameters
    ----------
    plane : int
        Flat index over the leading axes.
    print : int
        Fingerprint of the marks that were known.
    doubt : numpy.ndarray, shape (Y, X), uint8
        0 to 255.
    ranking : Ranking
        Of its places, and itself.
    """

    plane: int
    print: int
    doubt: NDArray[np.uint8]
    ranking: Ranking


def iter_look(
    segmenter: Any,
    planes: Planes,
    marks: Any,
    wanted: Sequence[int],
    known: Mapping[int, Looked],
) -> Steps[None]:
    """Look where the probe is in doubt, on planes where that is not known yet.

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
        said = np.array(marks[planes.index(plane)])
        if known[plane].print != fingerprint(said):
            yield _looked(plane, known[plane].doubt, said)
    unknown = [p for p in wanted if p not in known]
    if not unknown:
        return
    for step in iter_doubt(
        segmenter, planes.array, axes=planes.axes, planes=unknown, members=0
    ):
        if isinstance(step, PlaneDoubt):
            said = np.array(marks[planes.index(step.index)])
            yield _looked(step.index, in_bytes(step.doubt.total), said)
        else:
            yield step


def unranked(found: Doubted) -> Looked:
    """Return what Retrain found on a plane; its places are ranked when asked for."""
    return Looked(found.plane, UNRANKED, found.doubt, Ranking((), ()))


def _looked(plane: int, doubt: NDArray[np.uint8], marks: NDArray[Any]) -> Looked:
    values = doubt.astype(np.float32) / FULL
    return Looked(plane, fingerprint(marks), doubt, rank([(plane, values, marks)]))


def iter_rank(
    segmenter: Any, images: Sequence[tuple[str, Planes]]
) -> Steps[list[tuple[str, float]]]:
    """Rank images of any axes by their doubt.

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
    list of (name, doubt)
        Most doubtful first; doubt from 0 to 1, -1 where the probe cannot tell,
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
            found += [(name, ranking.doubt) for name, ranking in one]
    return sorted(found, key=lambda pair: -pair[1])
