"""What the tour shows: a small window with a step, and a frame around a control."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QPoint, QRect, Qt, Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

FRAME = "#ffb000"
"""Stands out from the dock in the dark and in the light theme."""

GAP = 16
"""Pixels between the dock and the window of the tour."""

WIDTH = 300


class Highlight(QFrame):  # type: ignore[misc]
    """A frame around a widget, which goes where it goes and lets the mouse through.

    Parameters
    ----------
    target : QWidget
        In a column that scrolls: it is scrolled into view.
    """

    MARGIN = 4

    def __init__(self, target: QWidget) -> None:
        area = target.parentWidget()
        while not isinstance(area, QScrollArea):
            area = area.parentWidget()
        # Not over the widget's own parent, whose edge would cut the frame off.
        super().__init__(area.widget())
        self._target = target
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(
            f"Highlight {{ border: 2px solid {FRAME}; border-radius: 5px; "
            "background: transparent; }"
        )
        self._watched = [target]
        while (above := self._watched[-1].parentWidget()) is not area.widget():
            self._watched.append(above)
        for widget in self._watched:
            widget.installEventFilter(self)
        self._follow()
        area.ensureWidgetVisible(target)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move, grow, show and hide with the widget."""
        kinds = QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide
        if event.type() in kinds:
            self._follow()
        return False

    def remove(self) -> None:
        """Take the frame away."""
        for widget in self._watched:
            widget.removeEventFilter(self)
        self.hide()
        self.deleteLater()

    def _follow(self) -> None:
        corner = self._target.mapTo(self.parentWidget(), QPoint(0, 0))
        place, more = QRect(corner, self._target.size()), self.MARGIN
        self.setGeometry(place.adjusted(-more, -more, more, more))
        self.setVisible(self._target.isVisibleTo(self.parentWidget()))
        self.raise_()


class TourPanel(QDialog):  # type: ignore[misc]
    """A window that names one step, beside the dock; it holds up nothing else."""

    moved = Signal(int)
    """To the next step (1) or back (-1)."""
    tried = Signal()
    """The button of the step itself was pressed."""
    closed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self.setWindowTitle("Tour")
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.title, self.text = QLabel(), QLabel()
        self.title.setStyleSheet("font-size: 11pt; font-weight: bold;")
        for label in (self.title, self.text):
            label.setWordWrap(True)
        self.try_it = QPushButton()
        self.back, self.next = QPushButton("Back"), QPushButton("Next")
        self.close_button = QPushButton("Close")
        self.back.clicked.connect(lambda _: self.moved.emit(-1))
        self.next.clicked.connect(lambda _: self.moved.emit(1))
        self.try_it.clicked.connect(lambda _: self.tried.emit())
        self.close_button.clicked.connect(lambda _: self.close())
        row = QHBoxLayout()
        row.addWidget(self.close_button)
        row.addStretch(1)
        row.addWidget(self.back)
        row.addWidget(self.next)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        for widget in (self.title, self.text, self.try_it):
            column.addWidget(widget)
        column.addLayout(row)
        self.setFixedWidth(WIDTH)

    def show_step(
        self, number: int, count: int, title: str, text: str, act: str
    ) -> None:
        """Show a step.

        Parameters
        ----------
        number, count : int
            From 1, and of how many.
        title, text : str
            What it is about, and what to do.
        act : str
            On the step's own button; empty for none.
        """
        self.title.setText(f"{number} of {count}: {title}")
        self.text.setText(text)
        self.try_it.setText(act)
        self.try_it.setVisible(bool(act))
        self.back.setEnabled(number > 1)
        last = number == count
        self.next.setVisible(not last)
        self.close_button.setText("Done" if last else "Close")
        for label in (self.title, self.text):
            # Its font is that of napari's style from now on.
            label.ensurePolished()
        self.setFixedHeight(self.layout().totalHeightForWidth(WIDTH))

    def place_beside(self, dock: QWidget, target: QWidget) -> None:
        """Go to the left of the dock, at the height of a control of it.

        Parameters
        ----------
        dock, target : QWidget
            On screen.
        """
        corner = dock.mapToGlobal(QPoint(0, 0))
        room: QRect = dock.screen().availableGeometry()
        x = corner.x() - WIDTH - GAP
        if x < room.left():
            x = corner.x() + dock.width() + GAP
        y = target.mapToGlobal(QPoint(0, 0)).y()
        lowest = room.bottom() - self.height()
        self.move(x, max(room.top(), min(y, lowest)))

    def hideEvent(self, event: QHideEvent) -> None:
        """Tell that it is closed, by its button, its title or Escape."""
        super().hideEvent(event)
        # The system hides windows too: minimised, or on another desktop.
        if not event.spontaneous():
            self.closed.emit()
