"""What is known of a probe's uncertainty, and where the user has looked. No Qt."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from napari_segdino.review.places import Place, Slice, join
from napari_segdino.session.uncertainty import UncertainPlane

if TYPE_CHECKING:
    from napari_segdino.session.session import Session


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
        self._as_uncertain: dict[Hashable, dict[int, UncertainPlane]] = {}
        self._visited: list[tuple[Hashable, Place]] = []
        self._visited_slices: set[tuple[Hashable, int]] = set()
        self.images: list[tuple[str, float]] = []

    def renew(self) -> bool:
        """Forget what another probe was uncertain about; say whether it was so.

        Places that the user has visited stay visited: they were found right.
        """
        session = self._session
        model = session.segmenter.model_ if session.is_fitted else None
        if model is self._model:
            return False
        self._model = model
        self._as_uncertain, self.images = {}, []
        self._visited_slices.clear()
        return True

    def known(self, image: Hashable) -> dict[int, UncertainPlane]:
        """Return what was found on the planes of an image, to be added to."""
        return self._as_uncertain.setdefault(image, {})

    def covers(self, image: Hashable, checksums: Mapping[int, int]) -> bool:
        """Whether planes with marks of these fingerprints were looked at."""
        known = self.known(image)
        return all(
            p in known and known[p].checksum == now for p, now in checksums.items()
        )

    def places(self, image: Hashable, planes: Collection[int]) -> tuple[Place, ...]:
        """Places of some planes, most uncertain first."""
        known = self.known(image)
        return join([known[p].ranking for p in planes if p in known]).places

    def slices(self, image: Hashable) -> tuple[Slice, ...]:
        """Slices that were looked at, most uncertain first."""
        return join([x.ranking for x in self.known(image).values()]).slices

    def next_place(self, image: Hashable, planes: Collection[int]) -> Place | None:
        """Return the first place not visited; after the last, the first again."""
        places = self.places(image, planes)
        fresh = [p for p in places if not self._was_visited(image, p)]
        if places and not fresh:
            self._visited = [(key, p) for key, p in self._visited if key != image]
        return next(iter(fresh or places), None)

    def visit(self, image: Hashable, place: Place) -> None:
        """Note that the user has seen a place."""
        self._visited.append((image, place))

    def next_slice(self, image: Hashable) -> Slice | None:
        """Return the first slice not visited, and count it as visited."""
        slices = self.slices(image)
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
            and math.hypot(seen.y - place.y, seen.x - place.x) <= place.radius
            for key, seen in self._visited
        )
