"""Follow what the user does to a mask and turn it into marks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.layers.image_layers import read_plane, set_pixels
from napari_segdino.images.planes import Planes
from napari_segdino.marks import MAX_LABEL, Plane, too_high
from napari_segdino.session.footprints import (
    Stroke,
    fill_footprint,
    polygon_footprint,
    stroke_footprint,
)
from napari_segdino.session.mask_history import MaskState, PlaneHistory

if TYPE_CHECKING:
    from napari.layers import Labels

SCAN_DELAY = 120
"""Milliseconds of quiet before planes that are not shown are looked at."""

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
    stroking : bool
        The mouse button is down on the mask, or something is being encircled.
    """

    changed = Signal()
    """The marks changed."""
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
        self.stroking = False
        self._fresh, self._seen = state.fresh, state.seen
        self._histories = state.histories
        self._silent = 0
        self._suspects: set[int] = set()
        self._painted = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._scan)
        self._stroke: Stroke | None = None
        self._stroke_end = QTimer(self)
        self._stroke_end.setSingleShot(True)
        self._stroke_end.timeout.connect(self._after_stroke)
        self._connect()

    def _connect(self) -> None:
        self.mask.events.paint.connect(self._on_paint)
        self.mask.events.set_data.connect(self._on_refresh)
        self.marks.events.paint.connect(self._on_marks)
        self.marks.events.set_data.connect(self._on_marks)
        self.mask.mouse_drag_callbacks.insert(0, self._on_drag)
        # Encircling goes on with no button down, and only this tells its end.
        self._circle = self.mask._overlays["brush_stroke"]
        self._circle.events.active.connect(self._on_circle)
        # No event says where a polygon lies; scripts, too, call this method.
        vars(self.mask)["paint_polygon"] = self._paint_polygon

    def close(self) -> None:
        """Let go of the layers."""
        self._timer.stop()
        self._stroke_end.stop()
        self.mask.events.paint.disconnect(self._on_paint)
        self.mask.events.set_data.disconnect(self._on_refresh)
        self.marks.events.paint.disconnect(self._on_marks)
        self.marks.events.set_data.disconnect(self._on_marks)
        if self._on_drag in self.mask.mouse_drag_callbacks:
            self.mask.mouse_drag_callbacks.remove(self._on_drag)
        self._circle.events.active.disconnect(self._on_circle)
        vars(self.mask).pop("paint_polygon", None)

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

        Returns
        -------
        bool
            Whether the mask had changed.
        """
        index = self.planes.index(plane)
        current, seen = read_plane(self.mask, index), self._seen[index]
        if np.array_equal(current, seen):
            return False
        marks = read_plane(self.marks, index)
        history = self._history(plane)
        start = history.now
        after = history.see(seen, current, marks, painted)
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
        after = self._history(plane).accept(read_plane(self.mask, index), marks)
        self._set_marks(plane, after)
        return int(np.count_nonzero(after != marks))

    def dot(self, point: tuple[float, float], label: int) -> None:
        """Paint a dot (y, x) on the plane that is shown, as one step of the user's."""
        self.pressed.emit()
        plane = self.shown()
        before, size = self._history(plane).now, self.mask.brush_size
        self.mask.brush_size = DOT
        self.mask.paint((*self.planes.index(plane), *point), label)
        self.sync(plane, painted=True)
        stroke = Stroke(plane, before, label, [np.array(point)])
        self._confirm(plane, label, self._footprint(stroke), before)
        self.mask.brush_size = size

    def step_confirm(self, redo: bool) -> bool:
        """Undo or redo a stroke that changed marks only, if it is next on screen."""
        plane = self.shown()
        marks = read_plane(self.marks, self.planes.index(plane))
        history = self._history(plane)
        after = (history.redo_confirm if redo else history.undo_confirm)(marks)
        if after is not None:
            self._set_marks(plane, after)
        return after is not None

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
        """Mark what was saved where nothing is marked."""
        self.sync(plane)
        here = read_plane(self.marks, self.planes.index(plane))
        self._set_marks(plane, np.where(here > 0, here, marks))

    def drew(self, plane: int, rows: slice, columns: slice) -> None:
        """Note that the program has drawn a part of a plane."""
        self._history(plane)
        index: tuple[int | slice, ...] = (*self.planes.index(plane), rows, columns)
        self._seen[index] = read_plane(self.mask, index)
        self.mask_changed.emit(plane)

    def wrote(self, plane: int, update: Any = None, probe: int | None = None) -> None:
        """Note that all that was drawn of a plane is one step of a job."""
        if self.intact:
            index = self.planes.index(plane)
            self._history(plane).wrote(read_plane(self.mask, index), update, probe)

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
        with self.silent():
            set_pixels(self.marks, index, at, after.ravel()[at], plane == self.shown())
        if not at.size:
            return
        self.changed.emit()
        if (label := int(after.ravel()[at].max()) - 1) > MAX_LABEL:
            self.too_high.emit(too_high(label))

    def _scan(self) -> None:
        """Look at some of the suspects; come back for the rest."""
        if self.stroking:
            self._timer.start(SCAN_DELAY)
            return
        if not self.intact:
            self._suspects.clear()
        budget = SCAN_PIXELS
        while self._suspects and budget > 0:
            self.sync(self._suspects.pop(), self._painted)
            budget -= int(np.prod(self.planes.plane_shape))
        if self._suspects:
            self._timer.start(0)
        else:
            self._painted = False
            self.settled.emit()

    def _suspect_others(self, painted: bool) -> None:
        self._painted |= painted
        self._suspects |= set(range(len(self.planes)))
        self._timer.start(SCAN_DELAY)

    # -- events ------------------------------------------------------------

    def _on_paint(self, event: Any = None) -> None:
        if self._silent or not self.intact:
            return
        found = self.sync(self.shown(), painted=True)
        deep = self.mask.n_edit_dimensions > 2
        # A script's stroke is told before it is there.
        if deep or not found:
            self._suspect_others(painted=True)

    def _on_refresh(self, event: Any = None) -> None:
        """React to undo, redo and scripts; also comes with every new slice."""
        if self._silent or self.stroking or not self.intact:
            return
        self.sync(self.shown())
        if len(self.planes) > 1:
            self._suspect_others(painted=False)

    def _on_marks(self, event: Any = None) -> None:
        if not self._silent:
            self.changed.emit()

    def _on_drag(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        """Remember where a stroke passed; runs before napari's own painting."""
        self.pressed.emit()
        self.stroking = True
        points = [layer.world_to_data(event.position)[-2:]]
        if self.intact and not self._circle.active:
            self._stroke = self._begin(event, points)
        yield
        while event.type == "mouse_move":
            points.append(layer.world_to_data(event.position)[-2:])
            yield
        # napari commits the stroke after this callback.
        self._on_circle()

    def _on_circle(self, event: Any = None) -> None:
        """End the stroke, unless something is being encircled."""
        if not self._circle.active:
            self._stroke_end.start(0)

    def _begin(self, event: Any, points: list[NDArray[Any]]) -> Stroke:
        """Note the tool; what the bucket confirms is known only before it fills."""
        plane = self.shown()
        label = self._label(event)
        stroke = Stroke(plane, self._history(plane).now, label, points)
        if label is not None and self.mask.mode == "fill":
            shown = read_plane(self.mask, self.planes.index(plane))
            y, x = (int(c) for c in np.round(points[0]))
            inside = 0 <= y < shown.shape[0] and 0 <= x < shown.shape[1]
            if inside and shown[y, x] == label:
                stroke.filled = fill_footprint(shown, (y, x), self.mask.contiguous)
            else:
                stroke.label = None
        return stroke

    def _label(self, event: Any) -> int | None:
        """Return what the tool paints, None where it is not followed."""
        last = len(event.position)
        flat = sorted(event.dims_displayed) == [last - 2, last - 1]
        known = self.mask.mode in ("paint", "erase", "fill")
        if not (flat and known and event.button == 1 and self._in_plane):
            return None
        return 0 if self.mask.mode == "erase" else int(self.mask.selected_label)

    @property
    def _in_plane(self) -> bool:
        return bool(self.mask.n_edit_dimensions == 2)

    def _after_stroke(self) -> None:
        stroke, self._stroke = self._stroke, None
        self.stroking = False
        if stroke is not None and self.intact:
            self.sync(stroke.plane, painted=True)
            if stroke.label is not None:
                footprint = self._footprint(stroke)
                self._confirm(stroke.plane, stroke.label, footprint, stroke.before)
        self.released.emit()

    def _footprint(self, stroke: Stroke) -> NDArray[np.bool_]:
        if stroke.filled is not None:
            return stroke.filled
        y, x = (float(s) for s in self.mask.scale[-2:])
        size, shape = self.mask.brush_size, self.planes.plane_shape
        return stroke_footprint(stroke.points, size, shape, (y, x))

    def _paint_polygon(self, points: ArrayLike, new_label: int) -> None:
        """Paint as the layer does and count what a polygon confirms."""
        corners = np.asarray(points, int)
        plane = self.shown()
        index = self.planes.index(plane)
        followed = self.intact and self._in_plane and not self._silent
        if followed and (corners[:, :-2] == index).all():
            before = self._history(plane).now
            type(self.mask).paint_polygon(self.mask, points, new_label)
            self.sync(plane, painted=True)
            footprint = polygon_footprint(corners[:, -2:], self.planes.plane_shape)
            self._confirm(plane, new_label, footprint, before)
        else:
            type(self.mask).paint_polygon(self.mask, points, new_label)

    def _confirm(
        self, plane: int, label: int, footprint: NDArray[np.bool_], before: int
    ) -> None:
        index = self.planes.index(plane)
        history = self._history(plane)
        after = history.confirm(
            read_plane(self.mask, index),
            footprint,
            label,
            read_plane(self.marks, index),
            alone=history.now == before,
        )
        self._set_marks(plane, after)
