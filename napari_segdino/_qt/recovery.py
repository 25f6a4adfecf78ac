"""Offers the work that earlier windows left, in a bar of the dock."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_segdino.errors import ProjectError
from napari_segdino.session.project import find_left, read_project

if TYPE_CHECKING:
    from napari_segdino._qt.autosave import Autosaver
    from napari_segdino._qt.restore import Restorer
    from napari_segdino.session.project.autosave import Kept


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
        self._open: Kept | None = None
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
    names = [image.name for image in project.images]
    when = datetime.fromisoformat(project.saved)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"Unsaved work on {names[0]}{more} was kept, {when:%d %B, %H:%M}."
