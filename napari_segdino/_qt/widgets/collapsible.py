"""A section of the dock that folds."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

STYLE = (
    "QPushButton { text-align: left; border: none; background: transparent; "
    "padding: 2px 0; font-size: 9pt; font-weight: bold; color: #8a93a5; }"
    "QPushButton:hover { color: white; }"
)
OPEN, CLOSED = "\u25be", "\u25b8"


class Collapsible(QCollapsible):  # type: ignore[misc]
    """Shows its widget only while it is open; folded at first.

    Parameters
    ----------
    title : str
        Its heading.
    tip : str
        What one finds there.
    """

    def __init__(self, title: str, tip: str, parent: QWidget | None = None) -> None:
        # Icons made of letters are black on any theme; the title holds the arrow.
        super().__init__("", parent, _no_icon(), _no_icon())
        self._title = title.upper()
        self.toggleButton().setIconSize(QSize(0, 0))
        self.toggleButton().setStyleSheet(STYLE)
        self.toggleButton().setToolTip(tip)
        self.setDuration(0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        self.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    def fill(self, widget: QWidget) -> None:
        """Show this widget when open."""
        self.setContent(widget)
        self.collapse(animate=False)
        self._on_toggled(False)

    def _on_toggled(self, on: bool) -> None:
        self.setText(f"{OPEN if on else CLOSED} {self._title}")
        # Folded, it has no height, but the Tab key would still go there.
        self.content().setEnabled(on)


def _no_icon() -> QIcon:
    """Return an icon of one clear pixel: a null one is false under PySide6."""
    pixmap = QPixmap(1, 1)
    pixmap.fill(Qt.GlobalColor.transparent)
    return QIcon(pixmap)
