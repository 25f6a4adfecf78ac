"""What stands in the place of an image while there is none."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QWidget

from napari_segdino._qt.widgets.panels import QUIET, beside


class NoImage(QFrame):  # type: ignore[misc]
    """Takes files that are dropped, and has a button for a sample."""

    dropped = Signal(list)
    """Paths of files or folders."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self.label = QLabel("Drop an image here, or open a sample:")
        self.label.setWordWrap(True)
        self.try_it = QPushButton("Try it")
        self.label.setToolTip("Or take File > Open in the menu of the window")
        self.try_it.setToolTip("Open a small picture of coins to play with")
        row = beside(self.label, self.try_it)
        row.setContentsMargins(10, 10, 10, 10)
        self.setLayout(row)
        self.setStyleSheet(
            f"NoImage {{ border: 1px dashed {QUIET}; border-radius: 4px; }}"
        )

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take what is a file."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Tell of the files."""
        event.acceptProposedAction()
        self.dropped.emit([Path(u.toLocalFile()) for u in event.mimeData().urls()])
