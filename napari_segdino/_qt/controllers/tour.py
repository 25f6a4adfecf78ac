"""The tour: five steps from an image to a mask in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QEvent, QObject, QPoint, QRect, Qt, Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_segdino._qt.dock import SegmentDock


FRAME = "#ffb000"
"""Stands out from the dock in the dark and in the light theme."""

GAP = 16
"""Pixels between the dock and the window of the tour."""

WIDTH = 300


class TourStep(NamedTuple):
    """A step of the tour.

    Parameters
    ----------
    title, text : str
        What it is about, and what to do.
    target : QWidget
        The control that is meant.
    act : str
        On the button that does it for the user; empty for none.
    """

    title: str
    text: str
    target: QWidget
    act: str = ""


class Tour(QObject):  # type: ignore[misc]
    """Shows one step after the other beside the dock, whatever is done meanwhile.

    Parameters
    ----------
    dock : SegmentDock
        With its controls.
    """

    def __init__(self, dock: SegmentDock) -> None:
        super().__init__(dock)
        self._dock, self._steps = dock, _steps(dock)
        self._at = 0
        self.panel: TourPanel | None = None
        self.highlight: Highlight | None = None
        self.button = QToolButton()
        self.button.setText("? Tour")
        self.button.setToolTip("A tour in five steps, from an image to its mask")
        self.button.clicked.connect(lambda _: self.start())

    def start(self) -> None:
        """Show the first step; another tour that is open begins anew."""
        self._at = 0
        if self.panel is None:
            self.panel = TourPanel(self._dock.window())
            self.panel.moved.connect(self._go)
            self.panel.tried.connect(self._dock.inputs.empty.try_it.click)
            self.panel.closed.connect(self._on_closed)
        self._show()

    def close(self) -> None:
        """End the tour, if there is one."""
        if self.panel is not None:
            self.panel.close()

    def _go(self, by: int) -> None:
        self._at = min(max(self._at + by, 0), len(self._steps) - 1)
        self._show()

    def _show(self) -> None:
        assert self.panel is not None
        step = self._steps[self._at]
        self._unmark()
        self.highlight = Highlight(step.target)
        place = self._at + 1, len(self._steps)
        self.panel.show_step(*place, step.title, step.text, step.act)
        self.panel.place_beside(self._dock, step.target)
        self.panel.show()

    def _unmark(self) -> None:
        if self.highlight is not None:
            self.highlight.remove()
            self.highlight = None

    def _on_closed(self) -> None:
        self._unmark()
        if self.panel is not None:
            self.panel.deleteLater()
            self.panel = None


def _steps(dock: SegmentDock) -> list[TourStep]:
    return [
        TourStep(
            "Open an image",
            "Drop a file on the window. Or open a sample: it comes with a few strokes, "
            "and shows at once what they do.",
            dock.inputs,
            "Open a sample",
        ),
        TourStep(
            "Say what is what",
            "Pick a class and paint a short stroke inside an object; pick Background "
            "and paint beside it. Brush, eraser, fill and polygon are napari's own, at "
            "the top left. The sample has its strokes already.",
            dock.classes,
        ),
        TourStep(
            "Segment",
            "Segment draws the mask. It does so without any stroke as well: then it is "
            "what looks alike, and something to correct. On the next slice or image it "
            "draws what was learned before.",
            dock.actions.segment,
        ),
        TourStep(
            "Correct and Retrain",
            "Paint over what is wrong and press Retrain: the mask is drawn anew, and "
            "what you painted stays. On the sample, press it now. Go on until you like "
            "the mask; Ctrl-Z takes a step back.",
            dock.actions.retrain,
        ),
        TourStep(
            "Check and export",
            "The tab Review shows where to look next and what changed. Export mask "
            "saves the mask as a file, Copy as script as Python that makes it again.",
            dock.exports,
        ),
    ]


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
