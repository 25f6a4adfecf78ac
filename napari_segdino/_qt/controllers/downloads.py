"""Asks before weights are downloaded, and says what a probe file needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_segdino._qt.worker.runner import DownloadQuestion
from napari_segdino.encoders.consent import question
from napari_segdino.encoders.load import missing_source
from napari_segdino.errors import SegDINOError

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController

YES, NO = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No


class Downloads(QObject):  # type: ignore[misc]
    """Shows the questions of jobs that need weights from the network.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    def __init__(self, controller: SessionController) -> None:
        super().__init__(controller)
        self._controller = controller
        controller.runner.asked.connect(self._ask)

    def after_loading(self, path: str | Path, encoder: str) -> str:
        """Say what to do with a probe that was loaded, and what it needs."""
        name = Path(path).name
        try:
            source = missing_source(encoder)
        except SegDINOError as error:
            return f"{name} is loaded. {error}"
        if source is None:
            return f"{name} is loaded: press Segment to use it."
        return (
            f"{name} is loaded. It needs {source.title}, which is not on this machine: "
            "Segment asks before it is downloaded."
        )

    def _ask(self, asked: DownloadQuestion) -> None:
        parent = self._controller.parent()
        box = QMessageBox(
            QMessageBox.Icon.Question,
            "Download weights",
            question(asked.source),
            YES | NO,
            parent if isinstance(parent, QWidget) else None,
        )
        box.setDefaultButton(NO)
        # Cancel takes the question away; the job does not wait for it any more.
        self._controller.busy_changed.connect(box.reject)
        box.finished.connect(partial(self._answer, asked, box))
        box.open()

    def _answer(self, asked: DownloadQuestion, box: QMessageBox, chosen: int) -> None:
        self._controller.busy_changed.disconnect(box.reject)
        asked.answer.set_result(chosen == YES)
        box.deleteLater()
