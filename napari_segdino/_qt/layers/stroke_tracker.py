"""Follow the mouse over a mask: where a stroke passes, on a slice or across slices."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino.session.footprints import (
    Section,
    Stroke,
    fill_footprint,
    polygon_footprint,
    stroke_footprint,
)

if TYPE_CHECKING:
    from napari.layers import Labels


class StrokeTracker(QObject):  # type: ignore[misc]
    """Tells what napari's tools paint on a mask, and where.

    Parameters
    ----------
    mask : napari.layers.Labels
        What is painted on.
    shown : callable
        Returns the index over the leading axes of the plane on screen.
    follows : callable
        Returns whether strokes are to be told.

    Attributes
    ----------
    stroking : bool
        The mouse button is down on the mask, or something is being encircled.
    stroke : Stroke, optional
        What is being painted.
    """

    pressed = Signal()
    """A tool is about to paint."""
    painted = Signal(object, object)
    """A Stroke is in the mask, and its footprint on its section: (Stroke, array); None
    for a tool whose footprint is not known."""
    released = Signal()

    def __init__(
        self,
        mask: Labels,
        shown: Callable[[], tuple[int, ...]],
        follows: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._mask, self._shown, self._follows = mask, shown, follows
        self.stroking = False
        self.stroke: Stroke | None = None
        self._end = QTimer(self, singleShot=True, timeout=self._after_stroke)
        # Before napari's own, which paint as soon as they are called.
        mask.mouse_drag_callbacks.insert(0, self._on_drag)
        # Encircling goes on with no button down, and only this tells its end.
        self._circle = mask._overlays["brush_stroke"]
        self._circle.events.active.connect(self._on_circle)
        # No event says where a polygon lies; scripts, too, call this method.
        vars(mask)["paint_polygon"] = self._paint_polygon

    def close(self) -> None:
        """Let go of the layer."""
        self._end.stop()
        if self._on_drag in self._mask.mouse_drag_callbacks:
            self._mask.mouse_drag_callbacks.remove(self._on_drag)
        self._circle.events.active.disconnect(self._on_circle)
        vars(self._mask).pop("paint_polygon", None)

    def dot(self, point: tuple[float, float], label: int, size: int) -> None:
        """Paint a dot (y, x) of so many pixels on the plane on screen.

        Parameters
        ----------
        point : tuple of float
            Its middle (y, x), in pixels of the plane.
        label : int
            What it says; 0 is background.
        size : int
            Its diameter in pixels.
        """
        index, before = self._shown(), self._mask.brush_size
        self.pressed.emit()
        section = Section((*index, 0, 0), self._last_axes)
        stroke = Stroke(section, label, [np.array(point)])
        self._mask.brush_size = size
        self._mask.paint((*index, *point), label)
        self.painted.emit(stroke, self._footprint(stroke))
        self._mask.brush_size = before

    def is_flat(self, section: Section) -> bool:
        """Whether a section is one plane of the mask.

        Parameters
        ----------
        section : Section
            Of a volume it may also lie across the planes.
        """
        return section.axes == self._last_axes

    @property
    def _last_axes(self) -> tuple[int, int]:
        return self._mask.ndim - 2, self._mask.ndim - 1

    @property
    def _in_plane(self) -> bool:
        return bool(self._mask.n_edit_dimensions == 2)

    def _on_drag(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        """Remember where a stroke passed; runs before napari's own painting."""
        if self._end.isActive():
            # A busy window is told of a press right after the release before it.
            self._end.stop()
            self._after_stroke()
        self.pressed.emit()
        self.stroking = True
        start = layer.world_to_data(event.position)
        # The window may have more axes than the layer, whose axes are its last ones.
        missing = len(event.position) - layer.ndim
        a, b = sorted(axis - missing for axis in event.dims_displayed[-2:])
        points = [start[[a, b]]]
        if self._follows() and not self._circle.active:
            # A stroke may begin beside the image and then enter it.
            at = np.clip(np.round(start), 0, np.array(layer.data.shape) - 1)
            position = tuple(at.astype(int).tolist())
            if (a, b) == self._last_axes:
                position = (*self._shown(), 0, 0)
            self.stroke = self._begin(event, Section(position, (a, b)), points)
        yield
        while event.type == "mouse_move":
            points.append(layer.world_to_data(event.position)[[a, b]])
            yield
        # napari commits the stroke after this callback.
        self._on_circle()

    def _on_circle(self, event: Any = None) -> None:
        """End the stroke, unless something is being encircled."""
        if not self._circle.active:
            self._end.start(0)

    def _begin(
        self, event: Any, section: Section, points: list[NDArray[Any]]
    ) -> Stroke:
        """Note the tool; what the bucket confirms is known only before it fills."""
        stroke = Stroke(section, self._label(event), points)
        if stroke.label is not None and self._mask.mode == "fill":
            shown = section.read(self._mask.data)
            y, x = (int(c) for c in np.round(points[0]))
            inside = 0 <= y < shown.shape[0] and 0 <= x < shown.shape[1]
            if inside and shown[y, x] == stroke.label:
                stroke.filled = fill_footprint(shown, (y, x), self._mask.contiguous)
            else:
                stroke.label = None
        return stroke

    def _label(self, event: Any) -> int | None:
        """Return what the tool paints, None where it is not followed."""
        known = self._mask.mode in ("paint", "erase", "fill")
        flat = len(event.dims_displayed) == 2 and self._in_plane
        # 1 is vispy's left button; the right one encircles.
        if not (flat and known and event.button == 1):
            return None
        return 0 if self._mask.mode == "erase" else int(self._mask.selected_label)

    def _after_stroke(self) -> None:
        stroke, self.stroke = self.stroke, None
        self.stroking = False
        if stroke is not None and self._follows():
            found = None if stroke.label is None else self._footprint(stroke)
            self.painted.emit(stroke, found)
        self.released.emit()

    def _footprint(self, stroke: Stroke) -> NDArray[np.bool_]:
        if stroke.filled is not None:
            return stroke.filled
        shape = stroke.section.shape(self._mask.data.shape)
        a, b = (float(self._mask.scale[axis]) for axis in stroke.section.axes)
        return stroke_footprint(stroke.points, self._mask.brush_size, shape, (a, b))

    def _paint_polygon(self, points: ArrayLike, new_label: int) -> None:
        """Paint as the layer does and count what a polygon confirms."""
        corners = np.asarray(points, int)
        # napari does not say on which slice: it is told by the axes along which no
        # corner differs.
        fixed = np.ptp(corners, axis=0) == 0
        a, b = np.flatnonzero(~fixed)[-2:] if (~fixed).sum() == 2 else self._last_axes
        fixed[[a, b]] = True
        followed = self._follows() and self._in_plane and bool(fixed.all())
        if followed:
            self.pressed.emit()
        # Of the class: the instance has this method in its place.
        type(self._mask).paint_polygon(self._mask, points, new_label)
        if followed:
            section = Section(tuple(corners[0].tolist()), (int(a), int(b)))
            shape = section.shape(self._mask.data.shape)
            found = polygon_footprint(corners[:, [a, b]], shape)
            self.painted.emit(Stroke(section, new_label, []), found)
