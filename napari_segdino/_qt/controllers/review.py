"""The Review tab: where to look, what changed, how good it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_segdino._qt.controllers.change_review import ChangeReview
from napari_segdino._qt.controllers.score_review import ScoreReview
from napari_segdino._qt.controllers.suggester import Suggester
from napari_segdino._qt.layers.image_layers import title
from napari_segdino._qt.widgets.dialogs import ask_export_table
from napari_segdino._qt.widgets.panels import heading
from napari_segdino._qt.worker.idle import IdleTask

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation


NO_SCORES = "There are no scores yet: pick a reference, or Retrain and wait."


class ReviewPanel(QWidget):  # type: ignore[misc]
    """The tab with its three parts.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, or None.
    pick : callable
        Picks an image.
    """

    def __init__(
        self,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        pick: Callable[[Image], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.idle = IdleTask(controller, self)
        self.suggest = Suggester(controller, self.idle, current, pick, self)
        self.change = ChangeReview(controller, self.idle, current, self)
        self.score = ScoreReview(controller, self.idle, current, self)
        self._controller, self._current = controller, current
        self._lay_out()
        self.score.panel.export.clicked.connect(self._export)
        controller.trained.connect(self.refresh)
        controller.prepared.connect(self.refresh)
        controller.session.probe_changed.connect(self._on_probe)
        controller.busy_changed.connect(self._on_busy)

    def release(self) -> None:
        """Stop and let go of the window."""
        self._controller.session.probe_changed.disconnect(self._on_probe)
        self._controller.trained.disconnect(self.refresh)
        self._controller.prepared.disconnect(self.refresh)
        self.idle.close()
        self.suggest.release()
        self.change.release()
        self.score.release()

    def refresh(self, _: object = None) -> None:
        """Follow another image, another probe, or being shown."""
        self.suggest.refresh()
        self.change.refresh()
        self.score.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what happened while the tab was hidden."""
        super().showEvent(event)
        self.refresh()

    def _on_probe(self) -> None:
        if not self._controller.busy:
            self.refresh()

    def _on_busy(self, busy: bool) -> None:
        self.score.panel.export.setEnabled(not busy)
        self.change.panel.set_busy(busy)
        if not busy:
            self.change.refresh()

    def _export(self) -> None:
        rows = self.score.rows()
        if not rows:
            self._controller.refuse(self._controller.annotations.lacking(NO_SCORES))
            return
        annotation = self._current()
        path = ask_export_table(
            self, f"{title(annotation.image)}-scores" if annotation else "scores"
        )
        if path is not None:
            self._controller.export_scores(rows, path)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(6)
        changed = QHBoxLayout()
        changed.addWidget(heading("What changed"), 1)
        changed.addWidget(self.change.panel.overlay)
        column.addWidget(heading("Where to look"))
        column.addWidget(self.suggest.panel)
        column.addLayout(changed)
        column.addWidget(self.change.panel)
        column.addWidget(heading("How good"))
        column.addWidget(self.score.panel)
        column.addStretch(1)
