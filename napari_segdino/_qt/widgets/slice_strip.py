"""A strip with one cell for each slice of a volume."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from qtpy.QtCore import QEvent, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

State = Literal["empty", "drawn", "stale", "marked", "accepted"]

# Of Okabe and Ito's palette, which colour-blind eyes tell apart.
COLORS: dict[State, str] = {
    "empty": "#3a3f4a",
    "drawn": "#9aa0aa",
    "stale": "#e69f00",
    "marked": "#56b4e9",
    "accepted": "#009e73",
}
TEXTS: dict[State, str] = {
    "empty": "not drawn yet",
    "drawn": "drawn",
    "stale": "drawn with an earlier model",
    "marked": "corrected",
    "accepted": "accepted",
}
UNCERTAIN = "#f0e442"

HEIGHT = 16


class SliceStrip(QWidget):  # type: ignore[misc]
    """Cells side by side, the slice on screen framed; a click goes to a slice."""

    picked = Signal(int)
    """The user wants to see this cell's slice."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.states: list[State] = []
        self.current = 0
        self.uncertain: Collection[int] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Slices of the volume")
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def setValue(
        self, states: Sequence[State], current: int, uncertain: Collection[int] = ()
    ) -> None:
        """Show these slices.

        Parameters
        ----------
        states : sequence of str
            One a slice.
        current : int
            Which of them is on screen.
        uncertain : collection of int
            Those with a dot.
        """
        self.states, self.current = list(states), current
        self.uncertain = uncertain
        self.setVisible(len(self.states) > 1)
        self.update()

    def sizeHint(self) -> QSize:
        """Return a small width, which the layout stretches, and the height."""
        return QSize(120, HEIGHT)

    def cell(self, x: float) -> int | None:
        """Return the cell at a position, in pixels from the left.

        Parameters
        ----------
        x : float
            In pixels from the left border of the strip.
        """
        if not self.states or not 0 <= x < self.width():
            return None
        return int(x * len(self.states) / self.width())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the cells."""
        painter = QPainter(self)
        count = max(1, len(self.states))
        width, height = self.width() / count, self.height()
        # Of a thousand slices a cell is narrower than a gap.
        gap = 1.0 if width >= 4 else 0.0
        for number, state in enumerate(self.states):
            cell = QRectF(number * width, 2, max(1.0, width - gap), height - 4)
            painter.fillRect(cell, QColor(COLORS[state]))
        for number in self.uncertain:
            middle = (number + 0.5) * width
            painter.fillRect(QRectF(middle - 1.5, 0, 3, 5), QColor(UNCERTAIN))
        # Three pixels at least, to be seen where a cell is narrower than one.
        frame = QRectF(self.current * width, 0.5, max(3.0, width - gap), height - 1)
        painter.setPen(self.palette().windowText().color())
        painter.drawRect(frame)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the slice that is clicked."""
        self._pick(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go along while a button is held."""
        self._pick(event)

    def event(self, event: QEvent) -> bool:
        """Tell of the cell under the mouse."""
        # Qt has no method to override for tool tips.
        if isinstance(event, QHelpEvent):
            number = self.cell(event.pos().x())
            if number is not None:
                QToolTip.showText(event.globalPos(), self.describe(number), self)
                return True
        return bool(super().event(event))

    def describe(self, number: int) -> str:
        """Return what there is to say of a slice.

        Parameters
        ----------
        number : int
            Of the cell, from 0.
        """
        text = f"Slice {number}: {TEXTS[self.states[number]]}"
        return f"{text}; among the most uncertain" if number in self.uncertain else text

    def _pick(self, event: QMouseEvent) -> None:
        # Qt 6 and Qt 5.
        position = event.position() if hasattr(event, "position") else event.localPos()
        number = self.cell(position.x())
        if number is not None:
            self.picked.emit(number)
