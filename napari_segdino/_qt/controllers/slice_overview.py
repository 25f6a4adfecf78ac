"""Keeps the strip of slices in step with the volume on screen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_segdino._qt.layers.image_layers import read_plane
from napari_segdino._qt.layers.screen import go_to
from napari_segdino._qt.widgets.slice_strip import SliceStrip, State

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation

PAUSE_MS = 120
"""Milliseconds after a change before slices are looked at."""

AT_ONCE = 0.005
"""Seconds that slices are looked at in one go."""


class SliceOverview(QObject):  # type: ignore[misc]
    """Keeps the strip in step with the volume on screen.

    Slices are looked at a few milliseconds at a time, those that changed first.

    Parameters
    ----------
    strip : SliceStrip
        Shows them.
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, or None.
    uncertain : callable
        Returns the most uncertain planes of an annotation.
    """

    def __init__(
        self,
        strip: SliceStrip,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        uncertain: Callable[[Annotation], Collection[int]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._strip, self._controller = strip, controller
        self._current, self._uncertain = current, uncertain
        self._of: Annotation | None = None
        self._states: dict[int, State] = {}
        self._waiting: deque[int] = deque()
        self._timer = QTimer(self, singleShot=True, timeout=self._look)
        strip.picked.connect(self._go_to)
        controller.viewer.dims.events.current_step.connect(self._on_moved)
        controller.annotations.mask_changed.connect(self._on_changed)
        controller.annotations.marked.connect(self._on_changed)
        controller.drawn.connect(self.refresh)
        controller.session.probe_changed.connect(self.refresh)

    def close(self) -> None:
        """Let go of the window."""
        self._timer.stop()
        self._controller.viewer.dims.events.current_step.disconnect(self._on_moved)
        self._controller.session.probe_changed.disconnect(self.refresh)

    def refresh(self) -> None:
        """Look at all slices of the image that is picked, soon."""
        self._waiting.clear()
        annotation = self._current()
        if annotation is not self._of:
            self._of, self._states = annotation, {}
        if annotation is None or not annotation.planes.lead_shape:
            self._of = None
            self._strip.setValue((), 0)
            return
        self._waiting.extend(range(len(annotation.planes)))
        self._timer.start(PAUSE_MS)

    def _on_changed(self, annotation: Annotation, plane: int) -> None:
        if annotation is self._of:
            # Before the rest: the user is looking at it.
            self._waiting.appendleft(plane)
            if not self._timer.isActive():
                self._timer.start(PAUSE_MS)

    def _on_moved(self, event: Any = None) -> None:
        if not self._timer.isActive():
            self._timer.start(0)

    def _look(self) -> None:
        annotation = self._of
        if annotation is None or annotation is not self._current():
            return
        if not annotation.mask_sync.intact:
            return
        # A volume may have a thousand slices, and the window has to answer.
        end = time.monotonic() + AT_ONCE
        while self._waiting and time.monotonic() < end:
            plane = self._waiting.popleft()
            self._states[plane] = self._state(annotation, plane)
        self._show()
        if self._waiting:
            self._timer.start(0)

    def _state(self, annotation: Annotation, plane: int) -> State:
        index = annotation.planes.index(plane)
        marks = read_plane(annotation.marks, index)
        if marks.any():
            return "accepted" if marks.all() else "marked"
        drawn = annotation.mask_sync.drawn_with(plane)
        if drawn is None:
            return "drawn" if read_plane(annotation.mask, index).any() else "empty"
        return "drawn" if drawn == self._controller.history.present else "stale"

    def _show(self) -> None:
        annotation = self._of
        if annotation is None:
            return
        shown, depth = annotation.shown(), annotation.planes.lead_shape[-1]
        start = shown - shown % depth
        states = [self._states.get(start + k, "empty") for k in range(depth)]
        uncertain = {
            p - start for p in self._uncertain(annotation) if 0 <= p - start < depth
        }
        self._strip.setValue(states, shown - start, uncertain)

    def _go_to(self, number: int) -> None:
        annotation = self._of
        if annotation is not None:
            depth, shown = annotation.planes.lead_shape[-1], annotation.shown()
            go_to(annotation.viewer, annotation, shown - shown % depth + number)
