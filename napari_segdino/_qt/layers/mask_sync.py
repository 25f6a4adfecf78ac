"""Follow what the user does to a mask and turn it into marks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.layers.made_layers import read_plane, set_pixels
from napari_segdino._qt.layers.stroke_tracker import StrokeTracker
from napari_segdino._qt.layers.undo import stack_of
from napari_segdino.images.planes import Planes
from napari_segdino.marks import MAX_LABEL, Plane, too_high
from napari_segdino.session.footprints import Stroke
from napari_segdino.session.mask_history import STROKES, Edit, MaskState, PlaneHistory
from napari_segdino.session.session import checksum

if TYPE_CHECKING:
    from napari.layers import Labels

SCAN_DELAY = 120
"""Milliseconds without a stroke before planes that are not shown are looked at."""

SCAN_PIXELS = 4_000_000
"""Pixels looked at in one go, a few milliseconds of work."""

DOT = 3
"""Pixels across of a dot that a click makes."""


class MaskSync(QObject):  # type: ignore[misc]
    """Keeps the marks layer in step with what the user does to the mask.

    Parameters
    ----------
    planes : Planes
        The image.
    mask, marks : napari.layers.Labels
        Its layers.
    shown : callable
        Returns the index of the plane on screen.
    state : MaskState
        What was seen of the mask so far.

    Attributes
    ----------
    tracker : StrokeTracker
        Follows the mouse over the mask.
    """

    changed = Signal()
    """The marks changed, or may have: they were shown anew."""
    marked = Signal(int)
    """The marks of this plane changed."""
    mask_changed = Signal(int)
    """This plane of the mask changed, whoever drew."""
    too_high = Signal(str)
    """A class was marked that is too high to be learned; says so."""
    pressed = Signal()
    """A mouse button went down on the mask, or undo is about to happen."""
    released = Signal()
    settled = Signal()
    """Every plane has been looked at."""
    undone = Signal(object)
    """The mask update of this name, drawn by the program, was undone."""
    redone = Signal(object)
    """The mask update of this name was redone."""

    def __init__(
        self,
        planes: Planes,
        mask: Labels,
        marks: Labels,
        shown: Callable[[], int],
        state: MaskState,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.planes, self.mask, self.marks, self.shown = planes, mask, marks, shown
        self._fresh, self._seen = state.fresh, state.seen
        self._histories = state.histories
        # Counted: one edit of the program's may lie within another.
        self._silent = 0
        # Planes that may have been changed out of sight, by undo, a script or a brush
        # of three dimensions.
        self._suspects: set[int] = set()
        self._painted = self._redone = False
        self._timer = QTimer(self, singleShot=True, timeout=self._scan)
        self.tracker = StrokeTracker(
            mask,
            lambda: self.planes.index(self.shown()),
            lambda: self.intact and not self._silent,
            self,
        )
        # State of each plane's history before the stroke.
        self._before: dict[int, int] = {}
        self._note_marks()
        # Marks that go with what is drawn next.
        self._added: dict[int, Edit] = {}
        # The last stroke, if it confirmed planes that may not be on a slider.
        self._across: int | None = None
        # Strokes that changed some planes and confirmed others.
        self._mixed: set[int] = set()
        self._connect()

    def _connect(self) -> None:
        self.mask.events.paint.connect(self._on_paint)
        self.mask.events.set_data.connect(self._on_refresh)
        self.marks.events.paint.connect(self._on_marks)
        self.marks.events.set_data.connect(self._on_marks_refresh)
        self.tracker.pressed.connect(self._on_press)
        self.tracker.painted.connect(self._confirm)
        self.tracker.released.connect(self.released)

    def close(self) -> None:
        """Let go of the layers."""
        self._timer.stop()
        self.mask.events.paint.disconnect(self._on_paint)
        self.mask.events.set_data.disconnect(self._on_refresh)
        self.marks.events.paint.disconnect(self._on_marks)
        self.marks.events.set_data.disconnect(self._on_marks_refresh)
        self.tracker.close()

    @property
    def blank(self) -> bool:
        """Whether nothing was ever drawn into the new mask."""
        return self._fresh and not self._histories

    @property
    def intact(self) -> bool:
        """Whether the layers still have the image's shape."""
        shape = self.planes.spatial_shape
        return tuple(self.mask.data.shape) == tuple(self.marks.data.shape) == shape

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Do not take the program's own edits for the user's."""
        self._silent += 1
        try:
            yield
        finally:
            self._silent -= 1

    # -- looking -----------------------------------------------------------

    def sync(self, plane: int, painted: bool = False) -> bool:
        """Turn what changed in a plane since it was seen into marks.

        Parameters
        ----------
        plane : int
            Flat index over the leading axes.
        painted : bool
            A brush was at work: such a change is not taken for undo or redo.

        Returns
        -------
        bool
            Whether the mask had changed.
        """
        # Events say that something was done, not what; undo says nothing at all. What
        # counts is the difference to what was seen last.
        index = self.planes.index(plane)
        current, seen = read_plane(self.mask, index), self._seen[index]
        if np.array_equal(current, seen):
            return False
        marks = read_plane(self.marks, index)
        history = self._history(plane)
        start = history.now
        after = history.see(seen, current, marks, painted, self._redone)
        self._seen[index] = current
        self._set_marks(plane, after)
        self.mask_changed.emit(plane)
        for update, back in history.passed(start):
            (self.undone if back else self.redone).emit(update)
        return True

    def accept(self, plane: int) -> int:
        """Make the whole mask of a plane marks; return how many pixels are new."""
        self.pressed.emit()
        self.sync(plane)
        index = self.planes.index(plane)
        marks = np.array(read_plane(self.marks, index))
        mask = read_plane(self.mask, index)
        after = self._history(plane).accept(mask, marks, next(STROKES))
        self._set_marks(plane, after)
        new = int(np.count_nonzero(after != marks))
        if new:
            self._end_redo()
        return new

    def _end_redo(self) -> None:
        """Have nothing to redo after a step that napari knows nothing of."""
        stack_of(self.mask, redo=True).clear()

    def dot(self, point: tuple[float, float], label: int) -> None:
        """Paint a dot (y, x) on the plane that is shown, as one step of the user's."""
        self.tracker.dot(point, label, DOT)

    def step_confirm(self, redo: bool) -> bool:
        """Undo or redo a stroke that changed marks only, if it is next on screen."""
        number = self._history(self.shown()).confirmed(redo)
        if number is None and self._across is not None:
            number = self._across
        planes = [p for p, h in self._histories.items() if h.confirmed(redo) == number]
        if number is None or not planes:
            return False
        for plane in planes:
            marks = read_plane(self.marks, self.planes.index(plane))
            self._set_marks(plane, self._history(plane).step_confirmed(redo, marks))
        return number not in self._mixed

    def step(self, redo: bool) -> None:
        """Have napari undo or redo the next step of the mask."""
        # Undo and redo give the same events, and where a mask goes to and fro between
        # two states the pixels do not tell them apart either.
        self._redone = redo
        (self.mask.redo if redo else self.mask.undo)()
        # Planes out of sight are looked at later.
        self._redone = redo and bool(self._suspects)

    def drawn_with(self, plane: int) -> int | None:
        """Return the number of the probe that drew a plane, None if none did."""
        history = self._histories.get(plane)
        return None if history is None else history.states[history.now].probe

    def note_probe(self, probe: int | None) -> None:
        """Note that a probe has drawn all there is in the mask."""
        for plane in range(len(self.planes)):
            if self._seen[self.planes.index(plane)].any():
                self._history(plane).states[-1].probe = probe

    def took_back(self, plane: int, probe: int) -> bool:
        """Whether the user has undone what this probe drew in a plane."""
        history = self._histories.get(plane)
        ahead = [] if history is None else history.states[history.now + 1 :]
        return any(state.probe == probe for state in ahead)

    def add_marks(self, plane: int, marks: Plane) -> None:
        """Mark what was saved where nothing is marked, for what is drawn next."""
        self.sync(plane)
        here = np.array(read_plane(self.marks, self.planes.index(plane)))
        after = np.where(here > 0, here, marks)
        edit = Edit.between(here, after)
        if edit.at.size:
            self._added[plane] = edit
        self._set_marks(plane, after)

    def drew(self, plane: int, rows: slice, columns: slice) -> None:
        """Note that the program has drawn a part of a plane."""
        # Made of the plane as it was seen last, before that is written over.
        self._history(plane)
        index: tuple[int | slice, ...] = (*self.planes.index(plane), rows, columns)
        self._seen[index] = read_plane(self.mask, index)
        self.mask_changed.emit(plane)

    def wrote(self, plane: int, update: Any = None, probe: int | None = None) -> None:
        """Note that all that was drawn of a plane is one step of a job."""
        if self.intact:
            index = self.planes.index(plane)
            added, mask = self._added.pop(plane, None), read_plane(self.mask, index)
            self._history(plane).wrote(mask, update, probe, added)
            if added is not None:
                self._end_redo()

    def sync_all(self) -> None:
        """Look at every plane soon and emit `settled` when that is done."""
        self._suspects = set(range(len(self.planes)))
        self._scan()

    def _history(self, plane: int) -> PlaneHistory:
        if plane not in self._histories:
            self._histories[plane] = PlaneHistory(self._seen[self.planes.index(plane)])
        return self._histories[plane]

    def _set_marks(self, plane: int, after: Plane) -> None:
        index = self.planes.index(plane)
        before = read_plane(self.marks, index)
        at = np.flatnonzero(before != after)
        # The marks layer's events would take this for the user's hand.
        with self.silent():
            set_pixels(self.marks, index, at, after.ravel()[at], plane == self.shown())
        if not at.size:
            return
        if plane == self.shown():
            self._note_marks()
        self.changed.emit()
        self.marked.emit(plane)
        if (label := int(after.ravel()[at].max()) - 1) > MAX_LABEL:
            self.too_high.emit(too_high(label))

    def _scan(self) -> None:
        """Look at some of the suspects; come back for the rest."""
        if self.tracker.stroking:
            self._timer.start(SCAN_DELAY)
            return
        if not self.intact:
            self._suspects.clear()
        # Whole planes are compared until so many pixels were; the window answers
        # in between.
        budget = SCAN_PIXELS
        while self._suspects and budget > 0:
            self.sync(self._suspects.pop(), self._painted)
            budget -= int(np.prod(self.planes.plane_shape))
        if self._suspects:
            self._timer.start(0)
        else:
            self._painted = self._redone = False
            self.settled.emit()

    def _suspect_others(self, painted: bool) -> None:
        self._painted |= painted
        self._suspects |= set(range(len(self.planes)))
        self._timer.start(SCAN_DELAY)

    # -- events ------------------------------------------------------------

    def _on_paint(self, event: Any = None) -> None:
        if self._silent or not self.intact:
            return
        stroke = self.tracker.stroke
        across = stroke is not None and not self.tracker.is_flat(stroke.section)
        if across and stroke and stroke.label is not None:
            return  # it is followed, and looked at when it ends
        found = self.sync(self.shown(), painted=True)
        # A script's stroke is told before it is there.
        # A brush of three dimensions reaches slices that are not on screen.
        if across or self.mask.n_edit_dimensions > 2 or not found:
            self._suspect_others(painted=True)

    def _on_refresh(self, event: Any = None) -> None:
        """React to undo, redo and scripts; also comes with every new slice."""
        if self._silent or self.tracker.stroking or not self.intact:
            return
        self.sync(self.shown())
        if len(self.planes) > 1:
            self._suspect_others(painted=False)

    def _on_marks(self, event: Any = None) -> None:
        if self._silent:
            return
        if self.intact:
            self._note_marks()
        self.changed.emit()
        self.marked.emit(self.shown())

    def _on_marks_refresh(self, event: Any = None) -> None:
        """React to undo and redo in the marks; also comes with slices and looks."""
        if self._silent:
            return
        before = self._marks_seen
        self.changed.emit()
        now = self._note_marks() if self.intact else before
        if now != before and now[0] == before[0]:
            self.marked.emit(now[0])

    def _note_marks(self) -> tuple[int, int]:
        """Remember the marks on screen as they are."""
        plane = self.shown()
        index = self.planes.index(plane)
        self._marks_seen = plane, checksum(read_plane(self.marks, index))
        return self._marks_seen

    def _on_press(self) -> None:
        self._across = None
        self._before = {plane: h.now for plane, h in self._histories.items()}
        self.pressed.emit()

    def _confirm(self, stroke: Stroke, footprint: NDArray[np.bool_] | None) -> None:
        """Mark what a stroke passed over, on every plane that it cuts."""
        shape, flat = self.planes.spatial_shape, self.tracker.is_flat(stroke.section)
        if flat:
            self.sync(stroke.section.plane(shape), painted=True)
        if footprint is None or stroke.label is None:
            return
        number, changed, alone = next(STROKES), False, False
        for plane, part in stroke.section.split(footprint, shape):
            self.sync(plane, painted=True)
            index, history = self.planes.index(plane), self._history(plane)
            same = history.now == self._before.get(plane, 0)
            changed, alone = changed or not same, alone or same
            mask, marks = read_plane(self.mask, index), read_plane(self.marks, index)
            # napari has a step to undo only where pixels changed; where a stroke
            # confirmed what was there, it gets a number, by which Ctrl-Z finds it.
            label, step, now = stroke.label, number if same else None, history.now
            self._set_marks(plane, history.confirm(mask, part, label, marks, step))
            if history.now != now:
                self._end_redo()
        if changed and alone:
            self._mixed.add(number)
        if not flat:
            self._across = number
            self.marks.refresh()
