"""Work that can wait: done in the background while the user rests."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_segdino._qt.worker.runner import Job
from napari_segdino.errors import SegDINOError

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController

_log = logging.getLogger(__name__)

REST = 0.8
"""Seconds without the user doing anything before work goes on."""


class IdleTask(QObject):  # type: ignore[misc]
    """Does one thing after the other while nobody needs the worker.

    A stroke, a move of a slider or any other job stops it at once; what was
    stopped begins anew when the user rests again.

    Parameters
    ----------
    controller : SessionController
        Has the worker.
    """

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._waiting: dict[str, tuple[float, Callable[[], Job | None]]] = {}
        # PyQt and PySide take properties and signals of a Qt object as keywords.
        self._timer = QTimer(self, singleShot=True, timeout=self._begin)
        controller.annotations.pressed.connect(self.disturb)
        controller.annotations.marks_changed.connect(self.disturb)
        controller.busy_changed.connect(self._on_busy)
        controller.runner.background_done.connect(self._wake)
        controller.viewer.dims.events.current_step.connect(self.disturb)

    def ask(
        self, name: str, make: Callable[[], Job | None], delay: float = 0.0
    ) -> None:
        """Have something done soon, in place of what was asked by this name.

        Parameters
        ----------
        name : str
            Of the task.
        make : callable
            Makes the job when its time has come, or None if it is not needed.
        delay : float
            Seconds to wait at least.
        """
        # Not time.time(): the clock of the machine may be set while somebody waits.
        self._waiting[name] = time.monotonic() + delay, make
        self._wake()

    def drop(self, name: str) -> None:
        """Forget a task.

        Parameters
        ----------
        name : str
            As it was given to :meth:`ask`; one that does not wait is no error.
        """
        self._waiting.pop(name, None)

    def close(self) -> None:
        """Forget everything and let go of the window."""
        self._waiting.clear()
        self._timer.stop()
        self._controller.viewer.dims.events.current_step.disconnect(self.disturb)

    def disturb(self, event: Any = None) -> None:
        """Stop: the user is at work.

        Parameters
        ----------
        event : object
            What a signal or napari hands over; it does not count.
        """
        self._controller.runner.cancel_background()
        # What was to come later than that still does.
        earliest = time.monotonic() + REST
        self._waiting = {
            name: (max(due, earliest), make)
            for name, (due, make) in self._waiting.items()
        }
        self._wake()

    def _on_busy(self, busy: bool) -> None:
        if not busy:
            self._wake()

    def _wake(self) -> None:
        if self._waiting:
            due = min(due for due, _ in self._waiting.values())
            self._timer.start(max(0, round(1000 * (due - time.monotonic()))))

    def _begin(self) -> None:
        """Begin the first task whose time has come, if nothing is going on."""
        controller = self._controller
        if controller.busy or not controller.runner.free:
            return
        # A hand that holds still in the middle of a stroke sends no event.
        if any(
            annotation.mask_sync.tracker.stroking
            for annotation in controller.annotations
        ):
            self.disturb()
            return
        now = time.monotonic()
        # Dicts keep their order: what was asked for first goes first.
        name = next((n for n, (due, _) in self._waiting.items() if due <= now), None)
        if name is None:
            self._wake()
            return
        make = self._waiting[name][1]
        job = make()
        if job is None:
            self._done(name, make)
            self._wake()
        else:
            end = partial(self._on_end, name, make, job.on_end)
            # Nobody waits for it, so its failure interrupts nobody: it goes to the log
            # alone.
            job = replace(job, background=True, on_error=_failed, on_end=end)
            controller.runner.start(job)

    def _on_end(
        self,
        name: str,
        make: Callable[[], Job | None],
        then: Callable[[bool], None] | None,
        cancelled: bool,
    ) -> None:
        if then is not None:
            then(cancelled)
        if not cancelled:
            self._done(name, make)

    def _done(self, name: str, make: Callable[[], Job | None]) -> None:
        """Take a task off the list, unless it was asked for again."""
        if self._waiting.get(name, (0.0, None))[1] is make:
            self._waiting.pop(name)


def _failed(error: Exception) -> None:
    meant = isinstance(error, SegDINOError)
    trace = None if meant else error
    _log.warning("Work in the background failed: %s", error, exc_info=trace)
