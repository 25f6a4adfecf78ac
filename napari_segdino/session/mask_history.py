"""What was done to a mask, so that undo and redo count.

Every state of a plane that was seen is kept as a checksum, with what the
step to it did to the marks. When the mask returns to a state that was seen
before without having been painted, it was undo or redo, and the marks go the
same way; everything else is the user's correction.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.marks import Plane, accepted, confirmations, corrections
from napari_segdino.session.session import checksum

if TYPE_CHECKING:
    from napari.layers import Labels

LIMIT = 200
"""States kept per plane; napari keeps 100 steps of a layer."""


STROKES = itertools.count()
"""Numbers of strokes."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Pixels of a plane and their marks before and after.

    Parameters
    ----------
    at : numpy.ndarray of int, shape (N,)
        Flat positions.
    before, after : numpy.ndarray of int, shape (N,)
        Marks there.
    """

    at: NDArray[np.intp]
    before: NDArray[Any]
    after: NDArray[Any]

    @classmethod
    def between(cls, before: Plane, after: Plane) -> Edit:
        """Return what turns one plane of marks into another.

        Parameters
        ----------
        before, after : numpy.ndarray of int, shape (Y, X)
            Marks.
        """
        at = np.flatnonzero(before != after)
        return cls(at, before.ravel()[at], after.ravel()[at])

    def redo(self, marks: Plane) -> None:
        """Do it, in place, where marks are as they were.

        Parameters
        ----------
        marks : numpy.ndarray of int, shape (Y, X)
            Changed where the step changed them.
        """
        _swap(marks, self.at, self.before, self.after)

    def undo(self, marks: Plane) -> None:
        """Take it back, in place, where marks are as it left them.

        Parameters
        ----------
        marks : numpy.ndarray of int, shape (Y, X)
            Changed where the step changed them.
        """
        _swap(marks, self.at, self.after, self.before)


def _swap(
    marks: Plane, at: NDArray[np.intp], old: NDArray[Any], new: NDArray[Any]
) -> None:
    flat = marks.reshape(-1)
    # A mark that was changed since then is newer than the step, and stays.
    same = flat[at] == old
    flat[at[same]] = new[same]


@dataclass(slots=True)
class State:
    """A state of a plane of the mask, and what the step to it marked.

    Parameters
    ----------
    key : int
        Checksum of the mask.
    edits : list of Edit
        What the step did to the marks; empty when the program drew.
    confirmed : int, optional
        Number of the stroke in the colour that was there, which changed marks only.
    update : object
        Names the mask update of the program that made it.
    probe : int, optional
        Number of the probe that drew what the user has not painted; None where no
        probe has drawn.
    """

    key: int
    edits: list[Edit] = field(default_factory=list)
    confirmed: int | None = None
    update: Any = None
    probe: int | None = None


class PlaneHistory:
    """States of one plane of the mask, oldest first.

    Parameters
    ----------
    plane : numpy.ndarray of int, shape (Y, X)
        The mask as it is.
    """

    def __init__(self, plane: Plane) -> None:
        self.states = [State(checksum(plane))]
        self.now = 0

    def see(
        self,
        seen: Plane,
        current: Plane,
        marks: Plane,
        painted: bool,
        redone: bool = False,
    ) -> Plane:
        """Work out what happened to the mask since it was last seen.

        Parameters
        ----------
        seen : numpy.ndarray of int, shape (Y, X)
            The mask when it was last seen or written.
        current : numpy.ndarray of int, shape (Y, X)
            The mask now.
        marks : numpy.ndarray of int, shape (Y, X)
            Marks so far.
        painted : bool
            napari said that it was edited; undo and redo say nothing.
        redone : bool
            It was redo: a state ahead is meant where one behind looks the same.

        Returns
        -------
        numpy.ndarray, shape (Y, X)
            The marks now.
        """
        key = checksum(current)
        # A mask that is painted back by hand looks like undo, but is a correction.
        target = None if painted else self._find(key, redone)
        if target is not None:
            return self._go(target, marks)
        after = corrections(seen, current, marks)
        edit = Edit.between(marks, after)
        self._push(State(key, [edit], probe=self.states[self.now].probe))
        return after

    def wrote(
        self,
        plane: Plane,
        update: Any = None,
        probe: int | None = None,
        added: Edit | None = None,
    ) -> None:
        """Note that the program drew, as the update of this name, with this probe.

        Without a probe it drew what was there before, or a copy of the user's. Marks
        that were added for it go and come with it.

        Parameters
        ----------
        plane : numpy.ndarray of int, shape (Y, X)
            The mask as it is now.
        update : object, optional
            Names the update, such as a :class:`MaskUpdate`.
        probe : int, optional
            Number of the probe that drew it.
        added : Edit, optional
            Marks that the program set for it.
        """
        key, edits = checksum(plane), [] if added is None else [added]
        if key == self.states[self.now].key:
            if edits:
                here = self.states[self.now]
                alone = next(STROKES)
                self._push(State(key, edits, confirmed=alone, probe=here.probe))
            if probe is not None:
                self.states[self.now].probe = probe
            return
        # A copy of an earlier state, such as one that the history shows, is of the
        # probe that drew it then.
        if probe is None and (before := self._find(key)) is not None:
            probe = self.states[before].probe
        self._push(State(key, edits, update=update, probe=probe))

    def passed(self, start: int) -> list[tuple[Any, bool]]:
        """Return the mask updates undone or redone between a state and this one.

        Parameters
        ----------
        start : int
            An earlier value of `now`.

        Returns
        -------
        list of (object, bool)
            The update, and whether it was undone (True) or redone.
        """
        undone = reversed(self.states[self.now + 1 : start + 1])
        redone = self.states[start + 1 : self.now + 1]
        steps = [(s.update, True) for s in undone]
        steps += [(s.update, False) for s in redone]
        return [(update, back) for update, back in steps if update is not None]

    def confirm(
        self,
        current: Plane,
        footprint: NDArray[np.bool_],
        label: int,
        marks: Plane,
        alone: int | None,
    ) -> Plane:
        """Count a stroke over pixels that had its colour; return the marks now.

        Parameters
        ----------
        current, footprint, label, marks
            As for :func:`~napari_segdino.marks.confirmations`.
        alone : int, optional
            Number of the stroke if it changed nothing else of this plane, so that
            napari cannot undo it.
        """
        after = confirmations(current, footprint, label, marks)
        return self._mark(marks, after, alone)

    def accept(self, current: Plane, marks: Plane, stroke: int) -> Plane:
        """Mark a whole plane; return the marks now.

        Parameters
        ----------
        current, marks : numpy.ndarray of int, shape (Y, X)
            The mask, and the marks so far, which stay.
        stroke : int
            Its number, as of a stroke.
        """
        return self._mark(marks, accepted(current, marks), stroke)

    def _mark(self, marks: Plane, after: Plane, alone: int | None) -> Plane:
        edit = Edit.between(marks, after)
        if not edit.at.size:
            return after
        if alone is not None:
            here = self.states[self.now]
            self._push(State(here.key, [edit], confirmed=alone, probe=here.probe))
        else:
            self.states[self.now].edits.append(edit)
        return after

    def confirmed(self, redo: bool) -> int | None:
        """Return the number of the confirming stroke to undo or redo next, if any.

        Parameters
        ----------
        redo : bool
            The stroke ahead, else the last one.

        Returns
        -------
        int or None
            See :attr:`State.confirmed`.
        """
        at = self.now + redo
        return self.states[at].confirmed if at < len(self.states) else None

    def step_confirmed(self, redo: bool, marks: Plane) -> Plane:
        """Undo or redo that stroke; return the marks now.

        Parameters
        ----------
        redo : bool
            Redo the stroke ahead, else undo the last one.
        marks : numpy.ndarray of int, shape (Y, X)
            The marks so far, which stay as they are.
        """
        return self._go(self.now + (1 if redo else -1), marks)

    def _find(self, key: int, redone: bool = False) -> int | None:
        back = range(self.now - 1, -1, -1)
        ahead = range(self.now + 1, len(self.states))
        # The nearest first: a mask can look the same at several times, with other
        # marks.
        order = (*ahead, *back) if redone else (*back, *ahead)
        return next((i for i in order if self.states[i].key == key), None)

    def _go(self, target: int, marks: Plane) -> Plane:
        out: Plane = marks.copy()
        for state in reversed(self.states[target + 1 : self.now + 1]):
            # In reverse, since a later edit may lie on top of an earlier one.
            for edit in reversed(state.edits):
                edit.undo(out)
        for state in self.states[self.now + 1 : target + 1]:
            for edit in state.edits:
                edit.redo(out)
        self.now = target
        return out

    def _push(self, state: State) -> None:
        self.states = [*self.states[: self.now + 1], state][-LIMIT:]
        self.now = len(self.states) - 1


@dataclass
class MaskState:
    """What was seen of a mask: outlives who watches it.

    Parameters
    ----------
    layer : hashable
        Id of the mask layer.
    seen : array of int
        The mask as it was last seen or written.
    fresh : bool
        The mask was new and empty.
    histories : dict of int to PlaneHistory
        By plane, what was done to it.
    """

    layer: Any
    seen: Any
    fresh: bool
    histories: dict[int, PlaneHistory] = field(default_factory=dict)

    @classmethod
    def of(cls, mask: Labels, fresh: bool = False) -> MaskState:
        """Return the state of a mask that nobody has watched yet.

        Parameters
        ----------
        mask : napari.layers.Labels
            Its pixels are copied.
        fresh : bool
            It is new and empty.
        """
        # np.zeros takes no memory until it is written to.
        new = np.zeros(mask.data.shape, mask.data.dtype) if fresh else None
        return cls(mask.unique_id, np.array(mask.data) if new is None else new, fresh)

    def fits(self, mask: Labels) -> bool:
        """Whether this is what was seen of a layer.

        Parameters
        ----------
        mask : napari.layers.Labels
            As it is now.
        """
        same = self.layer == mask.unique_id
        return bool(same and self.seen.shape == tuple(mask.data.shape))
