"""Keep the work of a window that is in no project, and offer what a crash left."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.messages import sentence
from napari_segdino.errors import ProjectError
from napari_segdino.session.project import Autosave, find_left

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.restore import Restorer
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino.session.project.autosave import AutosaveFolder

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
        # One thread, so that saves come one after the other.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="segdino-autosave")
        self._asked = self._kept_up_to = 0
        self._told = self._writing = self._without_probe = False
        self._timer = QTimer(self, singleShot=True, timeout=self._save)
        # Emitted in the pool's thread, delivered in this one.
        self._written.connect(self._on_written)
        session = controller.session
        controller.annotations.marks_changed.connect(self.ask)
        controller.annotations.mask_changed.connect(self.ask)
        controller.runner.idle.connect(self._on_idle)
        session.classes_changed.connect(self.ask)
        session.settings_changed.connect(self.ask)
        session.probe_changed.connect(self.ask)

    @property
    def stored(self) -> Autosave:
        """Where the window's work is stored; one folder for all of its docks."""
        state = self._controller.state
        if state.autosave is None:
            state.autosave = Autosave(self._root)
        return state.autosave

    @property
    def asked(self) -> int:
        """Grows with every change there is to keep."""
        return self._asked

    def forget(self, asked: int) -> None:
        """Remove what is kept if nothing has changed since this value of `asked`.

        Parameters
        ----------
        asked : int
            Value of `asked` when the project that holds it all was begun.
        """
        if asked == self._asked and not self._writing:
            self._timer.stop()
            self._kept_up_to = asked
            self.stored.discard()
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
            # One that is being written is waited for in the pool.
            self._writing = False
            self._save()
        # The process may end next.
        self._pool.shutdown(wait=True)

    def _save(self) -> None:
        """Hand what there is to the thread; the next time what changed since."""
        if self._writing:
            self._timer.start(DELAY)
            return
        annotations = list(self._controller.annotations)
        if not annotations:
            return
        from napari_segdino._qt.controllers.project_state import take_state

        self._writing = True
        controller = self._controller
        busy = self._without_probe = controller.runner.busy
        # Not copied: what changes while it is written asks for the next save.
        state = take_state(controller.session, annotations, controller.history, busy)
        number = self._asked

        def done(future: Future[None]) -> None:
            # Called in the pool's thread, which may touch nothing of the window but a
            # signal.
            error = future.exception()
            if error is not None:
                _log.error("the autosave failed", exc_info=error)
            with suppress(RuntimeError):  # Qt has gone: the program ends
                self._written.emit(number, "" if error is None else sentence(error))

        self._pool.submit(self.stored.write, state).add_done_callback(done)

    def _on_written(self, number: int, error: str) -> None:
        self._writing = False
        if not error:
            self._told, self._kept_up_to = False, number
            self.saved.emit(number)
        elif not self._told:
            self._told = True
            self.failed.emit(f"Your work could not be kept: {error}")


class RecoveryBar(QFrame):  # type: ignore[misc]
    """One sentence, Restore and Discard; hidden while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.restore = QPushButton("Restore")
        self.discard = QPushButton("Discard")
        self.restore.setToolTip("Bring back images, masks, marks and the model")
        self.discard.setToolTip("Remove what was kept; this cannot be undone")
        buttons = QHBoxLayout()
        buttons.addWidget(self.restore)
        buttons.addWidget(self.discard)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.addWidget(self.label)
        column.addLayout(buttons)
        self.setStyleSheet(
            "RecoveryBar { border-left: 3px solid #d9a441; "
            "background: rgba(217, 164, 65, 40); }"
        )
        self.hide()

    def ask(self, text: str, restorable: bool) -> None:
        """Show a sentence; hide the bar if it is empty.

        Parameters
        ----------
        text : str
            One sentence.
        restorable : bool
            There is a button to bring it back.
        """
        self.label.setText(text)
        self.restore.setVisible(restorable)
        self.setVisible(bool(text))


class Recovery(QObject):  # type: ignore[misc]
    """Finds what earlier windows left, and keeps it until it is safe elsewhere.

    Parameters
    ----------
    root : pathlib.Path
        Folder of all autosaves.
    restorer : Restorer
        Brings work back.
    autosaver : Autosaver
        Keeps it again.
    """

    def __init__(
        self,
        root: Path,
        restorer: Restorer,
        autosaver: Autosaver,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.bar = RecoveryBar()
        self._restorer, self._autosaver = restorer, autosaver
        self._left = find_left(root)
        self._open: AutosaveFolder | None = None
        self._safe_from: int | None = None
        self.bar.restore.clicked.connect(self.restore)
        self.bar.discard.clicked.connect(self.discard)
        restorer.restored.connect(self._on_restored)
        restorer.waiting_changed.connect(self._on_waiting)
        autosaver.saved.connect(self._on_saved)
        # Not before the bar has its place: it would be a window of its own.
        QTimer.singleShot(0, self._show)

    def restore(self) -> None:
        """Bring the newest work back."""
        if self._left:
            self._restorer.open(self._left[0].folder)

    def discard(self) -> None:
        """Remove what is offered, or no longer wait for an image."""
        if self._restorer.waiting:
            self._restorer.forget()
            return
        if self._left:
            self._left.pop(0).discard()
        self._show()

    def close(self) -> None:
        """Leave what was not restored for the next time."""
        for kept in (*self._left, *([self._open] if self._open else [])):
            kept.let_go()
        self._left, self._open = [], None

    def _on_restored(self, folder: Path) -> None:
        if self._left and self._left[0].folder == folder:
            self._open = self._left.pop(0)
            self._on_waiting()

    def _on_waiting(self) -> None:
        """Have it all saved anew once every image is back."""
        if self._open is not None and not self._restorer.waiting:
            self._safe_from = self._autosaver.ask()
        self._show()

    def _on_saved(self, number: int) -> None:
        if self._open is None or self._safe_from is None or number < self._safe_from:
            return
        self._open.discard()
        self._open = self._safe_from = None

    def _show(self) -> None:
        if self._restorer.waiting:
            self.bar.ask(self._restorer.question(), restorable=False)
        elif self._left:
            self.bar.ask(_offer(self._left[0].folder), restorable=True)
        else:
            self.bar.ask("", restorable=False)


def _offer(folder: Path) -> str:
    """Say what was left, and when."""
    from napari_segdino.session.project import read_project

    try:
        project = read_project(folder)
    except ProjectError:
        return "Work of an earlier window was left, but it cannot be read."
    names = [image.name for image in project.images] or ["no image"]
    when = datetime.fromisoformat(project.saved)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"Unsaved work on {names[0]}{more} was kept, {when:%d %B, %H:%M}."
