"""Bring a saved project back, image by image, and offer what a crash left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt import messages
from napari_segdino._qt.controllers.project_state import (
    Loaded,
    SavedImage,
    bring_image,
    find_image,
    iter_load,
)
from napari_segdino._qt.layers.files import origin
from napari_segdino._qt.worker.runner import Job
from napari_segdino.errors import ProjectError, SegDINOError
from napari_segdino.session.probe_state import UNKNOWN
from napari_segdino.session.project import find_left, read_project

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.autosave import Autosaver
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino.session.project.autosave import AutosaveFolder

EVENT_LOOP_PAUSE_MS = 20

"""Milliseconds for the window between two images."""


class Restorer(QObject):  # type: ignore[misc]
    """Opens a project; images that cannot be found are waited for.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    restored = Signal(object)
    """The folder of a project whose images were brought back, or are waited for."""
    waiting_changed = Signal()

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._viewer = controller, controller.viewer
        self.waiting: list[SavedImage] = []
        self._queue: list[SavedImage] = []
        self._viewer.layers.events.inserted.connect(self._on_inserted)

    def open(self, folder: Path) -> None:
        """Bring back all that a project holds."""
        images = (x for x in self._viewer.layers if isinstance(x, Image))
        here = {(came.path, came.series) for came in map(origin, images) if came.path}
        session = self._controller.session
        self._controller.message.emit("Opening the project...")
        self._controller.runner.start(
            Job(
                "Open project",
                partial(iter_load, folder, session, here),
                on_done=partial(self._on_loaded, folder),
                on_error=self._controller.report,
            )
        )

    def forget(self) -> None:
        """Wait for no image any more."""
        self.waiting.clear()
        self.waiting_changed.emit()

    def close(self) -> None:
        """Let go of the window."""
        self._queue.clear()
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    def _on_loaded(self, folder: Path, loaded: Loaded) -> None:
        self._controller.session.restore(loaded.session, loaded.segmenter)
        if loaded.history:
            self._controller.history.load(loaded.history, loaded.now)
        self._controller.history.note()
        self._queue = list(loaded.images)
        self._next(partial(self._finish, folder))
        if loaded.missing:
            text = ", ".join(dict.fromkeys(loaded.missing))
            messages.alert(
                f"{folder.name} is damaged and was opened as far as it can be; missing "
                f"or not as saved: {text}."
            )

    def _next(self, done: Callable[[], None]) -> None:
        """Bring back one image, then let the window breathe."""
        if not self._queue:
            done()
            return
        saved = self._queue.pop(0)
        image = bring_image(self._viewer, saved)
        if image is None or not self._lay(image, saved):
            self.waiting.append(saved)
        QTimer.singleShot(EVENT_LOOP_PAUSE_MS, partial(self._next, done))

    def _finish(self, folder: Path) -> None:
        self.waiting_changed.emit()
        self._controller.message.emit(
            self.question() or "The project is open: go on where you stopped."
        )
        self._controller.drawn.emit()
        self.restored.emit(folder)

    def question(self) -> str:
        """Ask for the first image that is waited for; empty if there is none."""
        if not self.waiting:
            return ""
        entry = self.waiting[0].entry
        size = " x ".join(str(n) for n in entry.shape)
        where = f", last at {entry.path}" if entry.path else ""
        return f"Open the image {entry.name} ({size}{where}) to get its marks back."

    def _lay(self, image: Image, saved: SavedImage) -> bool:
        """Put mask and marks on their image; False if it cannot be segmented."""
        try:
            session, history = self._controller.session, self._controller.history
            probe = history.present if session.is_fitted else UNKNOWN
            self._controller.annotations.restore(image, saved.mask, saved.marks, probe)
        except SegDINOError as error:
            self._controller.report(error)
            return False
        self._controller.history.rename(saved.entry.number, image.unique_id)
        if self._controller.session.is_fitted and saved.entry.learned:
            checksums = dict(saved.entry.learned)
            self._controller.session.note_learned(image.unique_id, checksums)
        return True

    def _on_inserted(self, event: Any) -> None:
        """Look whether a new layer is an image that is waited for."""
        if self.waiting and not self._queue and isinstance(event.value, Image):
            QTimer.singleShot(EVENT_LOOP_PAUSE_MS, self._lay_waiting)

    def _lay_waiting(self) -> None:
        for saved in list(self.waiting):
            image = find_image(self._viewer, saved.entry)
            if image is not None and self._lay(image, saved):
                self.waiting.remove(saved)
                self._controller.message.emit(f"The marks of {image.name} are back.")
                self._controller.drawn.emit()
        self.waiting_changed.emit()


class RecoveryBar(QFrame):  # type: ignore[misc]
    """One sentence, Restore and Discard; hidden while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.restore = QPushButton("Restore")
        self.discard = QPushButton("Discard")
        self.restore.setToolTip("Bring back images, masks, marks and the probe")
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
        """Show a sentence; hide the bar if it is empty."""
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
    try:
        project = read_project(folder)
    except ProjectError:
        return "Work of an earlier window was left, but it cannot be read."
    names = [image.name for image in project.images] or ["no image"]
    when = datetime.fromisoformat(project.saved)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"Unsaved work on {names[0]}{more} was kept, {when:%d %B, %H:%M}."
