"""Saves the work of a window while it goes on, off the GUI thread."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.controllers.project_state import take_state
from napari_segdino._qt.messages import sentence
from napari_segdino.session.project import Autosave

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController

_log = logging.getLogger(__name__)

DELAY = 2000
"""Milliseconds from a change to the save that keeps it."""


class Autosaver(QObject):  # type: ignore[misc]
    """Keeps masks, marks, classes, settings and probes until a project has them.

    What is in no project when the program ends, in whatever way, is offered at
    the next start.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    root : pathlib.Path
        Folder of all autosaves.
    """

    saved = Signal(int)
    """All that was asked for up to this number is on disk."""
    failed = Signal(str)
    _written = Signal(int, str)

    def __init__(
        self, controller: SessionController, root: Path, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._root = controller, root
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="segdino-autosave")
        self._asked = self._kept_up_to = 0
        self._told = self._writing = self._without_probe = False
        self._timer = QTimer(self, singleShot=True, timeout=self._save)
        self._written.connect(self._on_written)
        session = controller.session
        controller.annotations.marks_changed.connect(self.ask)
        controller.annotations.mask_changed.connect(self.ask)
        controller.runner.idle.connect(self._on_idle)
        session.classes_changed.connect(self.ask)
        session.settings_changed.connect(self.ask)
        session.probe_changed.connect(self.ask)

    @property
    def kept(self) -> Autosave:
        """Where the window's work is kept; one folder for all of its docks."""
        state = self._controller.state
        if state.autosave is None:
            state.autosave = Autosave(self._root)
        return state.autosave

    @property
    def asked(self) -> int:
        """Grows with every change there is to keep."""
        return self._asked

    def forget(self, asked: int) -> None:
        """Remove what is kept if nothing has changed since this value of `asked`."""
        if asked == self._asked and not self._writing:
            self._timer.stop()
            self._kept_up_to = asked
            self.kept.discard()
            self._controller.state.autosave = None

    def ask(self, *_: object) -> int:
        """Save soon; returns the number that `saved` will reach."""
        self._asked += 1
        if not self._timer.isActive():
            self._timer.start(DELAY)
        return self._asked

    def _on_idle(self) -> None:
        """Keep the probe that was being trained at the last save."""
        if self._without_probe:
            self.ask()

    def close(self) -> None:
        """Keep what is not kept yet, and stop."""
        self._timer.stop()
        session = self._controller.session
        session.classes_changed.disconnect(self.ask)
        session.settings_changed.disconnect(self.ask)
        session.probe_changed.disconnect(self.ask)
        if self._asked > self._kept_up_to:
            self._writing = False
            self._save()
        self._pool.shutdown(wait=True)

    def _save(self) -> None:
        """Hand what there is to the thread; the next time what changed since."""
        if self._writing:
            self._timer.start(DELAY)
            return
        annotations = list(self._controller.annotations)
        if not annotations:
            return
        self._writing = True
        controller = self._controller
        busy = self._without_probe = controller.runner.busy
        state = take_state(controller.session, annotations, controller.history, busy)
        number = self._asked

        def done(future: Future[None]) -> None:
            error = future.exception()
            if error is not None:
                _log.error("the autosave failed", exc_info=error)
            with suppress(RuntimeError):  # Qt has gone: the program ends
                self._written.emit(number, "" if error is None else sentence(error))

        self._pool.submit(self.kept.write, state).add_done_callback(done)

    def _on_written(self, number: int, error: str) -> None:
        self._writing = False
        if not error:
            self._told, self._kept_up_to = False, number
            self.saved.emit(number)
        elif not self._told:
            self._told = True
            self.failed.emit(f"Your work could not be kept: {error}")
