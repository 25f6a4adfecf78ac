"""The probes of a window, round by round: back and forth with what they drew."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_segdino.compressed import Compressed
from napari_segdino.review.history import ProbeHistory, ProbeState, learned_of
from napari_segdino.session.project import ProbeState as SavedProbe
from napari_segdino.session.results import Known, PlaneUpdate

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segdino.session.session import Session

SAVED_BYTES = 256 << 20
"""Bytes of probes in a project, where each is a file of its own."""

UNKNOWN = -1
"""Number of no probe: of the first guess, and of what was drawn in part."""

Checksums = dict[Hashable, dict[int, int]]
Masks = dict[tuple[Hashable, int], Compressed]
"""Masks by image and plane."""


@dataclass(frozen=True, slots=True)
class MaskUpdate:
    """A redraw of a mask, named by the rounds that it leads from and to.

    Parameters
    ----------
    before, after : int
        Numbers of rounds.
    """

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a probe of the history comes from.

    Parameters
    ----------
    number : int
        Of its round; never used twice.
    image : hashable
        Where Retrain was pressed; None for a probe that was loaded or begun.
    checksums : dict
        ``Session.learned`` at the end of the round.
    """

    number: int
    image: Hashable
    checksums: Checksums


@dataclass(frozen=True, slots=True)
class Saved:
    """A probe of a history that was read from a project.

    Parameters
    ----------
    learned : mapping of str to object
        What it knows, by :func:`napari_segdino.review.history.learned_of`.
    masks : dict of (hashable, int) to Packed
        What it drew, by image and plane.
    image : hashable
        Where Retrain was pressed.
    checksums : dict
        Fingerprints of the marks that it knows, by image and plane.
    """

    learned: Mapping[str, Any]
    masks: Masks
    image: Hashable
    checksums: Checksums


class Rounds:
    """Keeps what each Retrain made of the probe and of the masks. No Qt.

    Parameters
    ----------
    session : Session
        Its probe is followed; one of another kind starts a new history.

    Attributes
    ----------
    history : ProbeHistory
        One state a round, the state before the first included.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._owner: Any = None
        self._count = 0
        self._checksums: Checksums = {}
        self.history = ProbeHistory()

    # -- noting ------------------------------------------------------------

    def begin(self) -> None:
        """Note that learning begins."""
        if self._session.segmenter is not self._owner:
            self._owner, self.history = self._session.segmenter, ProbeHistory()
        self._checksums = self._learned()

    def learned(self, image: Hashable, known: Known) -> MaskUpdate:
        """Note that learning is over; return the name of the redraw to come."""
        states = self.history.states
        if not states or not states[self.history.now].knows(known.before):
            self._record(known.before, image, self._checksums)
        before = self.number
        if not self.history.states[self.history.now].knows(known.after):
            self._record(known.after, image, self._learned())
        return MaskUpdate(before, self.number)

    def drew(
        self, image: Hashable, redraw: MaskUpdate, parts: Sequence[PlaneUpdate]
    ) -> None:
        """Note the masks before and after a redraw."""
        for number, side in ((redraw.before, "before"), (redraw.after, "after")):
            index = self._index(number)
            if index is not None:
                masks = {(image, part.plane): getattr(part, side) for part in parts}
                self.history.add_masks(index, masks)

    def note(self) -> None:
        """Note the probe that there is, if it came in another way than by a round."""
        if not self._session.is_fitted:
            return
        self.begin()
        known = learned_of(self._session.segmenter)
        states = self.history.states
        if not states or not states[self.history.now].knows(known):
            self._record(known, None, self._checksums)

    def renew(self) -> None:
        """Begin a new probe; those there were can be gone back to."""
        self._replace(self._session.forget)

    def switch(self, segmenter: Any, **changes: Any) -> None:
        """Go on with another segmenter; the one there was can be gone back to."""
        self._replace(partial(self._session.switch, segmenter, **changes))

    def _replace(self, act: Callable[[], None]) -> None:
        """Have the session's probe replaced and go on with the history."""
        self.note()
        followed = self._session.owns(self._owner) and self.history.states
        act()
        if not followed:
            return
        self._owner = self._session.segmenter
        if self.history.states[self.history.now].learned and not self._owner.is_fitted:
            self._record({}, None, {})

    def _record(self, learned: Any, image: Hashable, checksums: Checksums) -> None:
        origin = Origin(self._count, image, checksums)
        self._count += 1
        self.history.record(learned, origin=origin)

    def _learned(self) -> Checksums:
        return {image: dict(p) for image, p in self._session.learned.items()}

    # -- projects ----------------------------------------------------------

    def kept(self) -> tuple[tuple[SavedProbe, ...], int]:
        """Return what a project keeps of the history, and which one is the probe."""
        self.note()
        if not self._session.owns(self._owner):
            return (), -1
        probe = self._session.snapshot()
        span = self.history.around(SAVED_BYTES)
        saved = tuple(_saved(self.history.states[i], probe) for i in span)
        return saved, self.history.now - span.start

    def restore(self, saved: Sequence[Saved], now: int) -> None:
        """Take up a history that was saved; the session has its probe already."""
        self._owner, self.history = self._session.segmenter, ProbeHistory()
        for one in saved:
            self._record(one.learned, one.image, one.checksums)
            self.history.add_masks(self.history.now, one.masks)
        self.history.now += now - (len(saved) - 1)

    def rename(self, old: Hashable, new: Hashable) -> None:
        """Call an image by another name from now on."""
        self.history.states = [
            _renamed(state, old, new) for state in self.history.states
        ]

    # -- walking -----------------------------------------------------------

    @property
    def number(self) -> int:
        """Of the round that is shown; before the first there is none."""
        states = self.history.states
        return _origin(states[self.history.now]).number if states else UNKNOWN

    @property
    def present(self) -> int:
        """Number of the probe that there is, if it was noted."""
        if self._session.is_fitted and self._session.owns(self._owner):
            model = self._session.segmenter.model_
            for state in reversed(self.history.states):
                if state.learned.get("model_") is model:
                    return _origin(state).number
        return UNKNOWN

    @property
    def place(self) -> tuple[int, int]:
        """The round that is shown, from 1, and how many there are."""
        if not self._session.owns(self._owner):
            return 0, 0
        return self.history.now + 1, len(self.history.states)

    def find(self, image: Hashable, redraw: MaskUpdate, back: bool) -> int | None:
        """Find where to go when a redraw is undone or redone.

        Parameters
        ----------
        image : hashable
            Whose mask.
        redraw : Redraw
            What was undone or redone.
        back : bool
            It was undone.

        Returns
        -------
        int or None
            Index in the history; None to stay: the probe is there, is kept no
            longer, or learned from another image on the way.
        """
        target = self._index(redraw.before if back else redraw.after)
        now = self.history.now
        if target is None or target == now or not self._session.owns(self._owner):
            return None
        low, high = sorted((target, now))
        passed = self.history.states[low + 1 : high + 1]
        return target if all(_origin(s).image == image for s in passed) else None

    def go(self, index: int) -> ProbeState:
        """Put the probe of a round back."""
        state = self.history.states[index]
        teach = partial(self.history.show, index)
        self._session.put_back(teach, _origin(state).checksums)
        return state

    def walk(self, by: int) -> tuple[MaskUpdate, Masks] | None:
        """Go to the round before (-1) or after (1).

        Returns
        -------
        redraw, masks
            What to draw and its name; None where there is no such round.
        """
        target, before = self.history.now + by, self.number
        count = self.place[1]
        if not 0 <= target < count:
            return None
        state = self.go(target)
        return MaskUpdate(before, self.number), state.masks

    def _index(self, number: int) -> int | None:
        numbers = [_origin(state).number for state in self.history.states]
        return numbers.index(number) if number in numbers else None


def _saved(state: ProbeState, probe: Any) -> SavedProbe:
    """Return a state as a project keeps it; `probe` has the parameters."""

    def save(path: Path) -> None:
        one = copy(probe)
        state.teach(one)
        one.save(path)

    origin, masks = _origin(state), dict(state.masks)
    wanted = save if state.learned else None
    return SavedProbe(origin.number, wanted, masks, origin.image, origin.checksums)


def _renamed(state: ProbeState, old: Hashable, new: Hashable) -> ProbeState:
    def name(image: Hashable) -> Hashable:
        return new if image == old else image

    was = _origin(state)
    checksums = {name(image): p for image, p in was.checksums.items()}
    origin = Origin(was.number, name(was.image), checksums)
    masks = {(name(image), p): m for (image, p), m in state.masks.items()}
    return replace(state, masks=masks, origin=origin)


def _origin(state: ProbeState) -> Origin:
    origin: Origin = state.origin
    return origin
