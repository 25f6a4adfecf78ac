"""Where the probe is uncertain: slices and places, ranked. No Qt, no layers."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Progress, Steps, relay
from napari_segdino.review.places import Place, Ranking, Slice, by_gain, join, rank
from napari_segdino.session.results import FULL, UncertainPart, in_bytes
from napari_segdino.session.session import checksum

if TYPE_CHECKING:
    from napari_segdino.session.session import Session

UNRANKED = -1
"""In place of a checksum, which is never negative: the places are not ranked yet."""


@dataclass(frozen=True)
class UncertainPlane:
    """What was found on a plane.

    Parameters
    ----------
    plane : int
        Flat index over the leading axes.
    checksum : int
        Checksum of the marks that were known.
    uncertainty : numpy.ndarray, shape (Y, X), uint8
        0 to 255.
    ranking : Ranking
        Of its places, and itself.
    """

    plane: int
    checksum: int
    uncertainty: NDArray[np.uint8]
    ranking: Ranking


def iter_uncertain_planes(
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
    known : mapping of int to UncertainPlane
        What the same probe was asked before; places are ranked anew where the
        marks have changed.

    Yields
    ------
    Progress, UncertainPlane
    """
    from napari_segdino.review.suggest import PlaneUncertainty, iter_uncertainty

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
    """Return what Retrain found on a plane; its places are ranked when asked for.

    Parameters
    ----------
    found : UncertainPart
        Of one plane.
    """
    return UncertainPlane(found.plane, UNRANKED, found.uncertainty, Ranking((), ()))


def _as_uncertain(
    plane: int, uncertainty: NDArray[np.uint8], marks: NDArray[Any]
) -> UncertainPlane:
    # Of the 8 bits that are stored, so that ranking anew gives the same places.
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
    from napari_segdino.review.suggest import iter_suggest

    found: list[tuple[str, float]] = []
    for done, (name, planes) in enumerate(images):
        yield Progress(done, len(images), f"Looking at {name}")
        steps = iter_suggest(segmenter, planes.array, axes=planes.axes)
        try:
            ranking = yield from _only_progress(steps, name)
        except InputError:
            found.append((name, -1.0))
        else:
            found.append((name, ranking.uncertainty))
    return sorted(found, key=lambda pair: -pair[1])


def _only_progress(steps: Steps[Ranking], name: str) -> Steps[Ranking]:
    """Pass on Progress, with the image's name; keep all else."""

    def named(step: Any) -> Iterator[Progress]:
        if isinstance(step, Progress):
            yield Progress(step.done, step.total, f"{step.text}: {name}")

    return relay(steps, named)


class UncertainPlaces:
    """Keeps what was found until the probe changes, and leads on from it.

    Parameters
    ----------
    session : Session
        Has the probe.

    Attributes
    ----------
    images : list of (name, uncertainty)
        The ranking of the window's images; empty until it is asked for.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._model: Any = None
        self._planes: dict[Hashable, dict[int, UncertainPlane]] = {}
        self._visited: list[tuple[Hashable, Place]] = []
        self._visited_slices: set[tuple[Hashable, int]] = set()
        self.images: list[tuple[str, float]] = []

    def renew(self) -> bool:
        """Forget what another probe was uncertain about; say whether it was so.

        Places that the user has visited stay visited: they were found right.
        """
        # A fit makes a new model and never changes one, so identity is enough.
        session = self._session
        model = session.segmenter.model_ if session.is_fitted else None
        if model is self._model:
            return False
        self._model = model
        self._planes, self.images = {}, []
        self._visited_slices.clear()
        return True

    def found(self, image: Hashable) -> dict[int, UncertainPlane]:
        """Return what was found on the planes of an image, to be added to.

        Parameters
        ----------
        image : hashable
            Names the image in the session.

        Returns
        -------
        dict of int to UncertainPlane
            By plane; empty before anything was found.
        """
        return self._planes.setdefault(image, {})

    def covers(self, image: Hashable, checksums: Mapping[int, int]) -> bool:
        """Whether planes with marks of these checksums were looked at.

        Parameters
        ----------
        image : hashable
            Names the image.
        checksums : mapping of int to int
            By plane, of its marks.
        """
        known = self.found(image)
        return all(
            p in known and known[p].checksum == now for p, now in checksums.items()
        )

    def places(self, image: Hashable, planes: Collection[int]) -> tuple[Place, ...]:
        """Places of some planes, most uncertain first.

        Parameters
        ----------
        image : hashable
            Names the image.
        planes : collection of int
            Those that were not looked at are passed over.
        """
        known = self.found(image)
        return join([known[p].ranking for p in planes if p in known]).places

    def slices(self, image: Hashable, depth: int = 1) -> tuple[Slice, ...]:
        """Slices that were looked at, in the order of :func:`by_gain`.

        Parameters
        ----------
        image : hashable
            Names the image.
        depth : int
            Planes of a volume, between which certainty carries over; 1 where planes do
            not lie behind one another.
        """
        found = join([x.ranking for x in self.found(image).values()])
        return by_gain(found.slices, depth)

    def next_place(self, image: Hashable, planes: Collection[int]) -> Place | None:
        """Return the first place not visited; after the last, the first again.

        Parameters
        ----------
        image : hashable
            Names the image.
        planes : collection of int
            Where to look.

        Returns
        -------
        Place or None
            None where there is none at all.
        """
        places = self.places(image, planes)
        fresh = [p for p in places if not self._was_visited(image, p)]
        if places and not fresh:
            # The round begins again, for this image alone.
            self._visited = [(key, p) for key, p in self._visited if key != image]
        return next(iter(fresh or places), None)

    def visit(self, image: Hashable, place: Place) -> None:
        """Note that the user has seen a place.

        Parameters
        ----------
        image : hashable
            Names the image.
        place : Place
            As :meth:`next_place` gave it.
        """
        self._visited.append((image, place))

    def next_slice(self, image: Hashable, depth: int = 1) -> Slice | None:
        """Return the first slice not visited, and count it as visited.

        Parameters
        ----------
        image : hashable
            Names the image.
        depth : int
            See :meth:`slices`.

        Returns
        -------
        Slice or None
            None where there is none at all.
        """
        slices = self.slices(image, depth)
        fresh = [s for s in slices if (image, s.plane) not in self._visited_slices]
        if slices and not fresh:
            self._visited_slices = {x for x in self._visited_slices if x[0] != image}
        chosen = next(iter(fresh or slices), None)
        if chosen is not None:
            self._visited_slices.add((image, chosen.plane))
        return chosen

    def _was_visited(self, image: Hashable, place: Place) -> bool:
        return any(
            key == image
            and seen.plane == place.plane
            # After a retrain a place comes back a few pixels off, with another shape.
            and math.hypot(seen.y - place.y, seen.x - place.x) <= place.radius
            for key, seen in self._visited
        )
