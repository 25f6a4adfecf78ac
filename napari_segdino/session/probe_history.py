"""The probes of a window and the masks they drew, to go back to and forward again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_segdino.session.probe_state import (
    UNKNOWN,
    Checksums,
    Masks,
    ProbeState,
    bytes_of,
    fitted_state,
)
from napari_segdino.session.results import PlaneUpdate, Trained

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segdino.session.project import SavedProbe
    from napari_segdino.session.session import Session

LIMIT = 20
"""States kept."""

MAX_BYTES = 512 << 20
"""Bytes kept; what several states share counts once."""

SAVED_BYTES = 256 << 20
"""Bytes of probes in a project, where each is a file of its own."""


@dataclass(frozen=True, slots=True)
class MaskUpdate:
    """A step of the history that a mask shows: from one state to another.

    Parameters
    ----------
    before, after : int
        Numbers of the states.
    """

    before: int
    after: int


class ProbeHistory:
    """Keeps what each Retrain made of the probe and of the masks. No Qt.

    Parameters
    ----------
    session : Session
        Its probe is followed; one of another kind starts a new history.
    limit : int
        States kept, at least one.
    max_bytes : int
        Bytes kept; the state that is shown is always kept.

    Attributes
    ----------
    states : list of ProbeState
        Oldest first, the one before the first Retrain included.
    now : int
        Index of the state that is shown; -1 while there are none.
    """

    def __init__(
        self, session: Session, limit: int = LIMIT, max_bytes: int = MAX_BYTES
    ) -> None:
        self._session = session
        self._limit, self._max_bytes = max(1, limit), max_bytes
        self._owner: Any = None
        self._count = 0
        self._checksums: Checksums = {}
        self.states: list[ProbeState] = []
        self.now = -1

    # -- noting ------------------------------------------------------------

    def begin(self) -> None:
        """Note that learning begins."""
        if self._session.segmenter is not self._owner:
            self._clear()
        # Before anything is learned: what it is now belongs to the state before.
        self._checksums = self._learned()

    def trained(self, image: Hashable, trained: Trained) -> MaskUpdate:
        """Note that learning is over; return the step that the mask is to show.

        Parameters
        ----------
        image : hashable
            Where Retrain was pressed.
        trained : Trained
            The probe before and after.

        Returns
        -------
        MaskUpdate
            From its state before to that after; the same where nothing was learned.
        """
        if not self._shows(trained.before):
            self._record(ProbeState(trained.before, image, self._checksums))
        before = self.number
        if not self._shows(trained.after):
            self._record(ProbeState(trained.after, image, self._learned()))
        return MaskUpdate(before, self.number)

    def add_masks(
        self, image: Hashable, update: MaskUpdate, parts: Sequence[PlaneUpdate]
    ) -> None:
        """Note the masks before and after a step.

        Parameters
        ----------
        image : hashable
            Whose masks.
        update : MaskUpdate
            The step that drew them.
        parts : sequence of PlaneUpdate
            Each plane before and after.
        """
        for number, side in ((update.before, "before"), (update.after, "after")):
            index = self._index(number)
            if index is not None:
                masks = {(image, part.plane): getattr(part, side) for part in parts}
                self.states[index].masks.update(masks)
        self._trim()

    def note(self) -> None:
        """Note the probe that there is, if it came in another way than by Retrain."""
        if not self._session.is_fitted:
            return
        self.begin()
        fitted = fitted_state(self._session.segmenter)
        if not self._shows(fitted):
            self._record(ProbeState(fitted, None, self._checksums))

    def renew(self) -> None:
        """Begin a new probe; those there were can be gone back to."""
        self._replace(self._session.forget)

    def switch(self, segmenter: Any, **changes: Any) -> None:
        """Go on with another segmenter; the one there was can be gone back to.

        Parameters
        ----------
        segmenter : Segmenter
            Its encoder is loaded.
        **changes : object
            See :meth:`Session.switch`.
        """
        self._replace(partial(self._session.switch, segmenter, **changes))

    def _replace(self, act: Callable[[], None]) -> None:
        """Have the session's probe replaced and go on with the history."""
        self.note()
        followed = self._session.owns(self._owner) and self.states
        act()
        # A probe that has learned nothing is nothing to go back to.
        if not followed:
            return
        self._owner = self._session.segmenter
        if self.states[self.now].fitted and not self._owner.is_fitted:
            self._record(ProbeState({}))

    def _record(self, state: ProbeState) -> None:
        """Add a state after the one that is shown; what lay ahead is dropped."""
        # Numbers never come again, so that a mask cannot be taken for one of a dropped
        # state.
        state = replace(state, number=self._count)
        self._count += 1
        self.states = [*self.states[: self.now + 1], state]
        self.now = len(self.states) - 1
        self._trim()

    def _trim(self) -> None:
        """Drop the oldest states over the bounds, never the one that is shown."""
        while self.now > 0 and (
            len(self.states) > self._limit or bytes_of(self.states) > self._max_bytes
        ):
            self.states.pop(0)
            self.now -= 1

    def _clear(self) -> None:
        self._owner, self.states, self.now = self._session.segmenter, [], -1

    def _shows(self, fitted: Mapping[str, Any]) -> bool:
        return bool(self.states) and self.states[self.now].same_as(fitted)

    def _learned(self) -> Checksums:
        return {image: dict(p) for image, p in self._session.learned.items()}

    # -- projects ----------------------------------------------------------

    def saved(self) -> tuple[tuple[SavedProbe, ...], int]:
        """Return what a project keeps of the history, and which one is the probe."""
        self.note()
        if not self._session.owns(self._owner):
            return (), -1
        probe = self._session.snapshot()
        span = self.around(SAVED_BYTES)
        saved = tuple(_saved(self.states[i], probe) for i in span)
        return saved, self.now - span.start

    def load(self, states: Sequence[ProbeState], now: int) -> None:
        """Take up a history that was saved; the session has its probe already.

        Parameters
        ----------
        states : sequence of ProbeState
            Oldest first.
        now : int
            Index of the one that is the probe; -1 if there are none.
        """
        self._clear()
        for state in states:
            self._record(state)
        # The last one was recorded as the present one; limits may have dropped some
        # before it.
        self.now += now - (len(states) - 1)

    def rename(self, old: Hashable, new: Hashable) -> None:
        """Call an image by another name from now on.

        Parameters
        ----------
        old, new : hashable
            Names of the image.
        """
        self.states = [_renamed(state, old, new) for state in self.states]

    def around(self, max_bytes: int) -> range:
        """Return states around the one shown that fit, if they share nothing.

        Parameters
        ----------
        max_bytes : int
            Bytes of all of them; the one that is shown counts, and is always
            among them. Earlier ones come before later ones.
        """
        if not self.states:
            return range(0)
        first = last = self.now
        left = max_bytes - self.states[first].nbytes
        while first > 0 and self.states[first - 1].nbytes <= left:
            first -= 1
            left -= self.states[first].nbytes
        while last + 1 < len(self.states) and self.states[last + 1].nbytes <= left:
            last += 1
            left -= self.states[last].nbytes
        return range(first, last + 1)

    # -- going back and forward --------------------------------------------

    @property
    def number(self) -> int:
        """Of the state that is shown; before the first there is none."""
        return self.states[self.now].number if self.states else UNKNOWN

    @property
    def present(self) -> int:
        """Number of the probe that there is, if it was noted."""
        if self._session.is_fitted and self._session.owns(self._owner):
            # By the model itself: a probe that learns in this moment is of no state
            # yet.
            model = self._session.segmenter.model_
            for state in reversed(self.states):
                if state.fitted.get("model_") is model:
                    return state.number
        return UNKNOWN

    @property
    def place(self) -> tuple[int, int]:
        """The state that is shown, from 1, and how many there are."""
        if not self._session.owns(self._owner):
            return 0, 0
        return self.now + 1, len(self.states)

    def find(self, image: Hashable, update: MaskUpdate, back: bool) -> int | None:
        """Find where to go when a mask update is undone or redone.

        Parameters
        ----------
        image : hashable
            Whose mask.
        update : MaskUpdate
            What was undone or redone.
        back : bool
            It was undone.

        Returns
        -------
        int or None
            Index of a state; None to stay: the probe is there, is kept no
            longer, or learned from another image on the way.
        """
        target = self._index(update.before if back else update.after)
        if target is None or target == self.now or not self._session.owns(self._owner):
            return None
        low, high = sorted((target, self.now))
        passed = self.states[low + 1 : high + 1]
        return target if all(state.image == image for state in passed) else None

    def go(self, index: int) -> ProbeState:
        """Put the session's probe into a state; its masks are for others to draw.

        Parameters
        ----------
        index : int
            In :attr:`states`.

        Returns
        -------
        ProbeState
            That state.
        """
        state = self.states[index]
        self.now = index
        self._session.put_back(state.restore, state.checksums)
        return state

    def step(self, by: int) -> tuple[MaskUpdate, Masks] | None:
        """Go to the state before (-1) or after (1).

        Parameters
        ----------
        by : int
            -1 or 1.

        Returns
        -------
        update, masks
            What to draw and its name; None where there is no such state.
        """
        target, before = self.now + by, self.number
        if not 0 <= target < self.place[1]:
            return None
        state = self.go(target)
        return MaskUpdate(before, state.number), state.masks

    def _index(self, number: int) -> int | None:
        numbers = [state.number for state in self.states]
        return numbers.index(number) if number in numbers else None


def _saved(state: ProbeState, probe: Any) -> SavedProbe:
    """Return a state as a project keeps it; `probe` has the parameters."""

    def save(path: Path) -> None:
        one = copy(probe)
        state.restore(one)
        one.save(path)

    wanted = save if state.fitted else None
    masks = dict(state.masks)
    from napari_segdino.session.project import SavedProbe

    return SavedProbe(state.number, wanted, masks, state.image, state.checksums)


def _renamed(state: ProbeState, old: Hashable, new: Hashable) -> ProbeState:
    def name(image: Hashable) -> Hashable:
        return new if image == old else image

    checksums = {name(image): p for image, p in state.checksums.items()}
    masks = {(name(image), p): mask for (image, p), mask in state.masks.items()}
    return replace(state, image=name(state.image), checksums=checksums, masks=masks)
