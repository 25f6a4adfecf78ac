"""Brings a saved project back into the window, image by image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.origin import origin
from napari_segdino._qt.project_state import (
    Loaded,
    SavedImage,
    bring_image,
    find_image,
    iter_load,
)
from napari_segdino._qt.worker import Job
from napari_segdino.errors import SegDINOError
from napari_segdino.session.probe_state import UNKNOWN

if TYPE_CHECKING:
    from napari_segdino._qt.engine import Engine

EVENT_LOOP_PAUSE_MS = 20
"""Milliseconds for the window between two images."""


class Restorer(QObject):  # type: ignore[misc]
    """Opens a project; images that cannot be found are waited for.

    Parameters
    ----------
    engine : Engine
        Of the window.
    """

    restored = Signal(object)
    """The folder of a project whose images were brought back, or are waited for."""
    waiting_changed = Signal()

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine, self._viewer = engine, engine.viewer
        self.waiting: list[SavedImage] = []
        self._queue: list[SavedImage] = []
        self._viewer.layers.events.inserted.connect(self._on_inserted)

    def open(self, folder: Path) -> None:
        """Bring back all that a project holds."""
        images = (x for x in self._viewer.layers if isinstance(x, Image))
        here = {(came.path, came.series) for came in map(origin, images) if came.path}
        session = self._engine.session
        self._engine.message.emit("Opening the project...")
        self._engine.runner.start(
            Job(
                "Open project",
                partial(iter_load, folder, session, here),
                on_done=partial(self._on_loaded, folder),
                on_error=self._engine.report,
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
        self._engine.session.restore(loaded.session, loaded.segmenter)
        if loaded.history:
            self._engine.history.load(loaded.history, loaded.now)
        self._engine.history.note()
        self._queue = list(loaded.images)
        self._next(partial(self._finish, folder))

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
        self._engine.message.emit(
            self.question() or "The project is open: go on where you stopped."
        )
        self._engine.drawn.emit()
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
            session, history = self._engine.session, self._engine.history
            probe = history.present if session.is_fitted else UNKNOWN
            self._engine.annotations.restore(image, saved.mask, saved.marks, probe)
        except SegDINOError as error:
            self._engine.report(error)
            return False
        self._engine.history.rename(saved.entry.number, image.unique_id)
        if self._engine.session.is_fitted and saved.entry.learned:
            checksums = dict(saved.entry.learned)
            self._engine.session.note_learned(image.unique_id, checksums)
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
                self._engine.message.emit(f"The marks of {image.name} are back.")
                self._engine.drawn.emit()
        self.waiting_changed.emit()
