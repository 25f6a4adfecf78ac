"""What was learned: saved to a file, loaded from one, or begun anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_segdino._qt.layers.annotations import UNTAUGHT
from napari_segdino._qt.widgets import dialogs

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.widgets.panels import FilePanel


class ModelFiles(QObject):  # type: ignore[misc]
    """Does what the buttons of the panel say.

    Parameters
    ----------
    panel : FilePanel
        The buttons.
    controller : SessionController
        Of the window.
    """

    renewed = Signal()
    """A new model was begun."""

    def __init__(
        self,
        panel: FilePanel,
        controller: SessionController,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._controller = panel, controller
        panel.save.clicked.connect(self._save)
        panel.load.clicked.connect(self._load)
        panel.new.clicked.connect(self._renew)
        controller.busy_changed.connect(lambda busy: panel.setEnabled(not busy))

    def _save(self) -> None:
        controller = self._controller
        if not controller.session.is_fitted:
            controller.refuse(controller.annotations.lacking(UNTAUGHT))
        elif (path := dialogs.ask_save_probe(self._panel)) is not None:
            controller.save_probe(path)

    def _load(self) -> None:
        if (path := dialogs.ask_load_probe(self._panel)) is not None:
            self._controller.load_probe(path)

    def _renew(self) -> None:
        controller = self._controller
        lacking = controller.annotations.lacking("")
        if lacking and not controller.session.is_fitted:
            controller.refuse(lacking)
            return
        controller.history.renew()
        self.renewed.emit()
        controller.message.emit(
            "A new model: Retrain learns from all marks that are there. Go back in "
            "the Review tab brings the old one."
        )
