"""Write predictions into the mask, in pieces, as one step that can be undone."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.layers import read_plane, set_pixels
from napari_segdino._qt.watch import MaskWatch
from napari_segdino.session import Plane, apply_marks

PIECE = 200_000
"""Pixels drawn in one go: some 10 to 20 ms."""


class MaskWriter(QObject):  # type: ignore[misc]
    """Draws planes into a mask without ever blocking the window.

    All that one job draws is one step for undo. When the user paints or undoes
    while it is drawing, the step is closed first, so that the user's stroke is
    a step of its own; it never draws while a stroke is being painted.

    Parameters
    ----------
    watch : MaskWatch
        Of the mask.
    """

    finished = Signal()
    """All that was asked for is drawn; emitted after :meth:`finish`."""

    def __init__(self, watch: MaskWatch, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watch = watch
        self._queue: deque[tuple[int, Plane, Any]] = deque()
        self._row = 0
        self._step = ExitStack()
        self._open = False
        self._finishing = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._draw_some)
        watch.pressed.connect(self.close_step)
        watch.released.connect(self._wake)

    def add(self, plane: int, labels: Plane, redraw: Any = None) -> None:
        """Draw a plane soon; undo will name the job by `redraw`."""
        self._queue.append((plane, labels, redraw))
        self._wake()

    def finish(self) -> None:
        """Close the step when everything has been drawn."""
        self._finishing = True
        self._wake()

    def drop(self) -> None:
        """Forget what has not been drawn yet."""
        self.close_step()
        self._queue.clear()
        self._timer.stop()
        self._finishing = False

    def close_step(self) -> None:
        """Make what has been drawn so far one step for undo."""
        if self._row and self._queue:
            # In the middle of a plane: what comes next is not the program's.
            plane, _, redraw = self._queue[0]
            self._watch.wrote(plane, redraw)
            self._row = 0
        if self._open:
            self._open = False
            with self._watch.silent():
                self._step.close()

    def _wake(self) -> None:
        if not self._timer.isActive():
            self._timer.start(0)

    def _draw_some(self) -> None:
        if self._watch.stroking:
            return
        if not self._watch.intact:
            self.drop()
            return
        if self._queue:
            self._draw_rows(*self._queue[0])
            self._wake()
        elif self._finishing:
            self._finishing = False
            self.close_step()
            self.finished.emit()

    def _draw_rows(self, plane: int, labels: Plane, redraw: Any) -> None:
        """Draw the next rows of the plane that is first in the queue."""
        watch = self._watch
        if self._row == 0:
            watch.look(plane)
        index = watch.planes.index(plane)
        height, width = labels.shape
        rows = slice(self._row, self._row + max(1, PIECE // width))
        marks = read_plane(watch.marks, index)[rows]
        final = apply_marks(labels[rows], marks)
        at = np.flatnonzero(final != read_plane(watch.mask, index)[rows])
        if at.size:
            if not self._open:
                self._open = True
                self._step.enter_context(watch.mask.block_history())
            with watch.silent():
                shown, values = plane == watch.shown(), final.ravel()[at]
                at += self._row * width
                set_pixels(watch.mask, index, at, values, shown)
            watch.drew(plane, rows)
        self._row = rows.stop
        if rows.stop >= height:
            self._row = 0
            self._queue.popleft()
            watch.wrote(plane, redraw)
