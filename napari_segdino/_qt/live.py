"""Live mode: retrain by itself while the user paints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.annotation import Annotation
    from napari_segdino._qt.engine import Engine

DELAY = 350
"""Milliseconds without painting before it retrains."""


class LiveRetrain(QObject):  # type: ignore[misc]
    """Retrains when the hand rests; while a job runs, when that ends.

    Parameters
    ----------
    engine : Engine
        Of the window.
    """

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._image: Image | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._retrain)
        engine.annotations.marks_changed.connect(self._on_marks_changed)
        engine.runner.idle.connect(self._on_idle)

    def close(self) -> None:
        """Stop."""
        self._image = None
        self._timer.stop()

    def _on_marks_changed(self, annotation: Annotation) -> None:
        if self._engine.session.settings.live:
            self._image = annotation.image
            self._timer.start(DELAY)

    def _on_idle(self) -> None:
        if self._image is not None:
            self._timer.start(DELAY)

    def _retrain(self) -> None:
        engine, image = self._engine, self._image
        if image is None or engine.runner.busy:
            return
        annotation = engine.annotations.get(image)
        if annotation is not None and annotation.watch.stroking:
            self._timer.start(DELAY)
            return
        self._image = None
        if annotation is not None and engine.session.settings.live:
            engine.retrain(image)
