"""Projects in the dock: save and open them, and keep what is in none."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QWidget

from napari_segdino._qt import messages
from napari_segdino._qt.controllers.autosave import Autosaver, Recovery
from napari_segdino._qt.controllers.restore import Restorer
from napari_segdino._qt.worker.runner import Job
from napari_segdino.session.project import PROJECT_FILE
from napari_segdino.session.project.autosave import autosave_root

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController

NAME = "project.segproject"


class ProjectPanel(QWidget):  # type: ignore[misc]
    """Two buttons."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.save = QPushButton("Save project...")
        self.open = QPushButton("Open project...")
        self.save.setToolTip(
            "Keep masks, marks, classes, settings and models in a folder; images are "
            "kept by their paths"
        )
        self.open.setToolTip("Go on with a project that was saved before")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self.save, 0, 0)
        grid.addWidget(self.open, 0, 1)


class Projects(QObject):  # type: ignore[misc]
    """All about projects of one window.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        root = autosave_root()
        self.panel = ProjectPanel()
        self.restorer = Restorer(controller, self)
        self.autosaver = Autosaver(controller, root, self)
        self.recovery = Recovery(root, self.restorer, self.autosaver, self)
        self._folder = Path.home() / NAME
        self.panel.save.clicked.connect(self._ask_save)
        self.panel.open.clicked.connect(self._ask_open)
        self.restorer.restored.connect(self._on_restored)
        self.autosaver.failed.connect(controller.refuse)
        self.autosaver.failed.connect(messages.alert)
        controller.busy_changed.connect(self._on_busy)

    def save(self, folder: Path) -> None:
        """Write a project.

        Parameters
        ----------
        folder : pathlib.Path
            Written in the worker; another project there is replaced in one step.
        """
        controller = self._controller
        if not self._worth_saving():
            controller.refuse(controller.annotations.lacking())
            return
        from napari_segdino._qt.controllers.project_state import take_state
        from napari_segdino.session.project import ProjectWriter

        state = take_state(
            controller.session, list(controller.annotations), controller.history
        )
        # Before it is written: later changes are not in it and go on being kept.
        asked = self.autosaver.asked
        self._controller.runner.start(
            Job(
                "Save project",
                partial(ProjectWriter(folder).iter_write, state),
                on_done=lambda _: self._on_saved(folder, asked),
                on_error=self._controller.alarm,
            )
        )

    def open(self, folder: Path) -> None:
        """Bring back all that a project holds.

        Parameters
        ----------
        folder : pathlib.Path
            The project, read in the worker.
        """
        self._folder = folder
        self.restorer.open(folder)

    def close(self) -> None:
        """Let go of the window."""
        self.autosaver.close()
        self.recovery.close()
        self.restorer.close()

    def _worth_saving(self) -> bool:
        """Whether there is an image, and something that the user made."""
        session, annotations = (
            self._controller.session,
            list(self._controller.annotations),
        )
        made = session.is_fitted or session.has_own_classes
        return bool(annotations) and (made or any(not w.empty for w in annotations))

    def _ask_save(self) -> None:
        if not self._worth_saving():
            self._controller.refuse(self._controller.annotations.lacking())
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self.panel,
            "Save project",
            str(self._folder),
            "Projects (*.segproject)",
            # A project is a folder that is saved into again.
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if chosen:
            path = Path(chosen)
            self.save(path if path.suffix else path.with_suffix(Path(NAME).suffix))

    def _ask_open(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self.panel, f"Open project: a folder with {PROJECT_FILE}", str(self._folder)
        )
        if chosen:
            self.open(Path(chosen))

    def _on_saved(self, folder: Path, asked: int) -> None:
        self._folder = folder
        self.autosaver.forget(asked)
        self._controller.message.emit(f"The project was saved to {folder}.")

    def _on_restored(self, folder: Path) -> None:
        """What was just read from a project need not be kept."""
        if folder == self._folder and not self.restorer.waiting:
            self.autosaver.forget(self.autosaver.asked)

    def _on_busy(self, busy: bool) -> None:
        self.panel.setEnabled(not busy)
        self.recovery.bar.setEnabled(not busy)
