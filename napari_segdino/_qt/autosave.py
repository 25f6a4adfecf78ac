"""Saves the work of a window while it goes on, off the GUI thread."""

from __future__ import annotations

import atexit
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.messages import sentence
from napari_segdino._qt.project_state import take_state
from napari_segdino.project import Autosave

if TYPE_CHECKING:
    from napari_segdino._qt.engine import Engine

_log = logging.getLogger(__name__)

DELAY = 2000
"""Milliseconds from a change to the save that keeps it."""


class Autosaver(QObject):  # type: ignore[misc]
    """Keeps masks, marks, classes, settings and probes for after a crash.

    A program that ends as it should removes what was kept.

    Parameters
    ----------
    engine : Engine
        Of the window.
    root : pathlib.Path
        Folder of all autosaves.
    """

    saved = Signal(int)
    """All that was asked for up to this number is on disk."""
    failed = Signal(str)
    _written = Signal(int, str)

    def __init__(
        self, engine: Engine, root: Path, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self.kept = Autosave(root)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="segdino-autosave")
        self._asked = 0
        self._told = self._writing = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._save)
        self._written.connect(self._on_written)
        session = engine.session
        engine.works.marks_changed.connect(self.ask)
        engine.works.settled.connect(self.ask)
        engine.drawn.connect(self.ask)
        engine.runner.idle.connect(self.ask)
        session.classes_changed.connect(self.ask)
        session.settings_changed.connect(self.ask)
        session.probe_changed.connect(self.ask)
        atexit.register(self.kept.discard)

    def ask(self, *_: object) -> int:
        """Save soon; returns the number that `saved` will reach."""
        self._asked += 1
        if not self._timer.isActive():
            self._timer.start(DELAY)
        return self._asked

    def close(self) -> None:
        """Stop; what is kept stays until the program ends as it should."""
        self._timer.stop()
        session = self._engine.session
        session.classes_changed.disconnect(self.ask)
        session.settings_changed.disconnect(self.ask)
        session.probe_changed.disconnect(self.ask)
        self._pool.shutdown(wait=True)

    def _save(self) -> None:
        """Hand what there is to the thread; the next time what changed since."""
        if self._writing:
            self._timer.start(DELAY)
            return
        works = list(self._engine.works)
        if not works:
            return
        self._writing = True
        engine = self._engine
        state = take_state(engine.session, works, engine.rounds, engine.runner.busy)
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
            self._told = False
            self.saved.emit(number)
        elif not self._told:
            self._told = True
            self.failed.emit(f"Your work could not be saved for a crash: {error}")
