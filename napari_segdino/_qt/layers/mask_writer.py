"""Write predictions into the mask, in pieces, as one step that can be undone."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.layers.made_layers import read_plane, set_pixels
from napari_segdino._qt.layers.mask_sync import MaskSync
from napari_segdino._qt.layers.undo import keeping_redo
from napari_segdino.marks import Plane, apply_marks
from napari_segdino.session.probe_state import UNKNOWN

PIECE = 200_000
"""Pixels drawn in one go: some 10 to 20 ms."""


@dataclass(frozen=True)
class Piece:
    """Labels to draw.

    Parameters
    ----------
    plane : int
        Where, as a flat index over the leading axes.
    labels : numpy.ndarray of int, shape (y, x)
        What.
    update : object
        Names the job for undo.
    probe : int, optional
        Number of the probe that says so.
    background : bool
        Nobody asked for it: what can be redone elsewhere stays.
    at : tuple of int
        First pixel in the plane.
    completes_plane : bool
        All of the plane is drawn after it.
    """

    plane: int
    labels: Plane
    update: Any = None
    probe: int | None = None
    background: bool = False
    at: tuple[int, int] = (0, 0)
    completes_plane: bool = True


class MaskWriter(QObject):  # type: ignore[misc]
    """Draws planes into a mask without ever blocking the window.

    All that one job draws is one step for undo. When the user paints or undoes
    while it is drawing, the step is closed first, so that the user's stroke is
    a step of its own; it never draws while a stroke is being painted.

    Parameters
    ----------
    mask_sync : MaskSync
        Of the mask.
    """

    finished = Signal()
    """All that was asked for is drawn; emitted after :meth:`finish`."""

    def __init__(self, mask_sync: MaskSync, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mask_sync = mask_sync
        self._queue: deque[Piece] = deque()
        self._begun: Piece | None = None
        self._row = 0
        # Holds napari's block_history() open from one timer event to the next, which no
        # `with` can.
        self._step = ExitStack()
        self._open = False
        self._finishing = False
        self._timer = QTimer(self, singleShot=True, timeout=self._draw_some)
        mask_sync.pressed.connect(self._close_step)
        mask_sync.released.connect(self._wake)

    def add(self, piece: Piece) -> None:
        """Draw it soon; after a part of a plane the whole of it must follow.

        Parameters
        ----------
        piece : Piece
            Drawn after what was added before; marks stay as they are painted.
        """
        self._queue.append(piece)
        self._wake()

    def finish(self) -> None:
        """Close the step when everything has been drawn."""
        self._finishing = True
        self._wake()

    def drop(self) -> None:
        """Forget what has not been drawn yet."""
        self._close_step()
        self._queue.clear()
        self._timer.stop()
        self._finishing = False

    def _close_step(self) -> None:
        """Make what has been drawn so far one step for undo."""
        self._row = 0
        if self._begun is not None:
            # In the middle of a plane: what comes next is not the program's.
            self._mask_sync.wrote(self._begun.plane, self._begun.update, UNKNOWN)
            self._begun = None
        if self._open:
            self._open = False
            with self._mask_sync.silent():
                self._step.close()

    def _wake(self) -> None:
        # After 0 ms, which is after all events that wait by then: the mouse comes
        # first.
        if not self._timer.isActive():
            self._timer.start(0)

    def _draw_some(self) -> None:
        # The end of the stroke wakes it again.
        if self._mask_sync.tracker.stroking:
            return
        if not self._mask_sync.intact:
            self.drop()
            return
        if self._queue:
            self._draw_rows(self._queue[0])
            self._wake()
        elif self._finishing:
            self._finishing = False
            self._close_step()
            self.finished.emit()

    def _draw_rows(self, piece: Piece) -> None:
        """Draw the next rows of the piece that is first in the queue."""
        mask_sync, plane = self._mask_sync, piece.plane
        # What the user did in the plane must be marked before it is drawn over.
        if self._begun is None or self._begun.plane != plane:
            mask_sync.sync(plane)
        self._begun = piece
        index = mask_sync.planes.index(plane)
        height, width = piece.labels.shape
        new = slice(self._row, min(height, self._row + max(1, PIECE // width)))
        y0, x0 = piece.at
        rows, columns = slice(y0 + new.start, y0 + new.stop), slice(x0, x0 + width)
        marks = read_plane(mask_sync.marks, (*index, rows, columns))
        final = apply_marks(piece.labels[new], marks)
        before = read_plane(mask_sync.mask, (*index, rows, columns))
        at = np.flatnonzero(final != before)
        if at.size:
            # All that is written until the block is left is one step of napari's
            # history.
            if not self._open:
                self._open = True
                self._step.enter_context(mask_sync.mask.block_history())
            with mask_sync.silent(), self._keeping_redo(piece):
                shown, values = plane == mask_sync.shown(), final.ravel()[at]
                y, x = np.unravel_index(at, final.shape)
                flat = (y + rows.start) * mask_sync.planes.plane_shape[1] + x + x0
                set_pixels(mask_sync.mask, index, flat, values, shown)
            mask_sync.drew(plane, rows, columns)
        self._row = new.stop
        if new.stop >= height:
            self._row = 0
            self._queue.popleft()
            if piece.completes_plane:
                self._begun = None
                mask_sync.wrote(plane, piece.update, piece.probe)

    def _keeping_redo(self, piece: Piece) -> AbstractContextManager[None]:
        if not piece.background:
            return nullcontext()
        lead = self._mask_sync.planes.lead_shape
        return keeping_redo(self._mask_sync.mask, piece.plane, lead)
