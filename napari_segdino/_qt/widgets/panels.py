"""The parts of the dock: steps, buttons with keys, the status line."""

from __future__ import annotations

import time
from collections.abc import Callable

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_segdino._qt import keys
from napari_segdino._qt.keys import native
from napari_segdino._qt.widgets.pages import ACCENT, QUIET
from napari_segdino.progress import Progress
from napari_segdino.session.eta import Pace

_PLAIN = "QPushButton { text-align: left; padding: 5px 8px; }"
_PRIMARY = (
    f"QPushButton {{ background: {ACCENT}; color: white; font-weight: bold; "
    "text-align: left; padding: 5px 8px; border-radius: 3px; }"
    "QPushButton:hover { background: #4380e8; }"
)


def heading(text: str) -> QLabel:
    """Return a small heading.

    Parameters
    ----------
    text : str
        Shown in bold.
    """
    label = QLabel(text)
    label.setStyleSheet(f"font-weight: bold; color: {QUIET};")
    return label


def hint(text: str = "") -> QLabel:
    """Return a label that stands back, such as that of a key.

    Parameters
    ----------
    text : str
        What it shows.
    """
    label = QLabel(text)
    label.setStyleSheet(f"color: {QUIET};")
    return label


class KeyButton(QPushButton):  # type: ignore[misc]
    """A button with its key at the right.

    Parameters
    ----------
    text : str
        What it does.

    Attributes
    ----------
    key : str
        The one that is shown.
    primary : bool
        Whether it is in the accent colour: this is what to press next.
    """

    GAP = 8
    """Pixels at the right of the key, and at least as many before it."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.key = ""
        self.set_primary(False)

    def set_key(self, key: str) -> None:
        """Show this key.

        Parameters
        ----------
        key : str
            As napari writes it, such as ``"Shift-S"``.
        """
        self.key = key
        self.updateGeometry()
        self.update()

    def set_primary(self, on: bool) -> None:
        """Show whether this is what to press next.

        Parameters
        ----------
        on : bool
            In the accent colour.
        """
        self.primary = on
        self.setStyleSheet(_PRIMARY if on else _PLAIN)

    def sizeHint(self) -> QSize:
        """Leave room for text and key."""
        hint = super().sizeHint()
        return QSize(hint.width() + self._key_width(), hint.height())

    def minimumSizeHint(self) -> QSize:
        """Neither is ever cut off."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the key on top of the button."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setOpacity(0.65 if self.isEnabled() else 0.35)
        painter.setPen(self.palette().buttonText().color())
        painter.setFont(self._small())
        place = self.rect().adjusted(0, 0, -self.GAP, 0)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(place, middle, self.key)

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(0.85 * font.pointSizeF())
        font.setBold(False)
        return font

    def _key_width(self) -> int:
        if not self.key:
            return 0
        return int(QFontMetrics(self._small()).horizontalAdvance(self.key)) + self.GAP


def make_narrow(combo: QComboBox, letters: int = 8) -> None:
    """Let a combo be as narrow as so many letters, whatever it lists.

    Parameters
    ----------
    combo : QComboBox
        Still grows where there is room.
    letters : int
        Of the widget's font.
    """
    # Else it is as wide as its longest entry, and the dock with it.
    combo.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    combo.setMinimumContentsLength(letters)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


class ActionPanel(QWidget):  # type: ignore[misc]
    """Segment, Retrain, and Retrain by itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.segment = KeyButton("Segment")
        self.retrain = KeyButton("Retrain")
        self.live = QCheckBox("Live: retrain while I paint")
        self._live_key = hint()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self.segment, 0, 0)
        grid.addWidget(self.retrain, 0, 1)
        grid.addLayout(in_a_row(self.live, self._live_key), 1, 0, 1, 2)
        self.show_next(self.segment)
        keys.follow_keys(self, self._explain)

    def show_next(self, button: KeyButton) -> None:
        """Show which of the two buttons comes next.

        Parameters
        ----------
        button : KeyButton
            Segment or Retrain.
        """
        for one in (self.segment, self.retrain):
            one.set_primary(one is button)

    def show_live(self, on: bool) -> None:
        """Show whether it retrains by itself; emits nothing.

        Parameters
        ----------
        on : bool
            As the session's settings have it.
        """
        with signals_blocked(self.live):
            self.live.setChecked(on)

    def _explain(self) -> None:
        names = (keys.SEGMENT, keys.RETRAIN, keys.LIVE)
        segment, retrain, live = (keys.key_of(name) for name in names)
        self.segment.set_key(segment)
        self.retrain.set_key(retrain)
        self._live_key.setText(live)
        self.segment.setToolTip(
            f"Draw the mask ({segment}). With nothing learned yet, a first mask is "
            "made from the image alone. Retrain counts it as one stroke of each "
            "group, less with every stroke of yours and no more after six; the "
            "marks layer does not show it."
        )
        self.retrain.setToolTip(
            f"Learn from your corrections and draw the mask again ({retrain}). "
            "What you painted stays."
        )
        self.live.setToolTip(f"Retrain by itself when the brush rests ({live})")


def in_a_row(first: QWidget, *others: QWidget) -> QHBoxLayout:
    """Return a row of widgets, of which the first takes what width is left.

    Parameters
    ----------
    first : QWidget
        At the left.
    *others : QWidget
        As wide as they need.
    """
    row = QHBoxLayout()
    row.setSpacing(6)
    row.addWidget(first, 1)
    for other in others:
        row.addWidget(other)
    return row


class FilePanel(QWidget):  # type: ignore[misc]
    """Save and load what was learned, or begin anew."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.save = QPushButton("Save model...")
        self.load = QPushButton("Load model...")
        self.new = QPushButton("New model")
        self.save.setToolTip("Keep what was learned, for other images and machines")
        self.load.setToolTip("Go on with a model that was saved before")
        self.new.setToolTip(
            "Start anew; masks and marks stay, and Go back in the Review tab brings "
            "the old model"
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for column, button in enumerate((self.save, self.load, self.new)):
            grid.addWidget(button, 0, column)


MARGIN = 6
"""Pixels above and below the sentence."""
FAILED = "#d9534f"


class StatusPanel(QFrame):  # type: ignore[misc]
    """What happened and what to do next; how far a job is, and Cancel.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        parent: QWidget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.way_out = QPushButton()
        self.bar = QProgressBar()
        self.time = hint()
        self.cancel = QPushButton("Cancel")
        self._clock, self._pace, self._busy = clock, Pace(clock), False
        # The first sentence after a job is about it, and so is how long that took.
        self._ended = False
        self._act: Callable[[], None] = lambda: None
        # Looked up with every click: each offer puts another function there.
        self.way_out.clicked.connect(lambda: self._act())
        self._tick = QTimer(self, interval=1000, timeout=self._show_time)
        self._lay_out()
        self.say("")

    def showEvent(self, event: QShowEvent) -> None:
        """Keep room for four lines; font and padding come with napari's style."""
        super().showEvent(event)
        shown, width = self.label.text(), self.label.width()
        self.label.setText("\n".join("1234"))
        # Of the panel: progress takes the place of lines that a job does not need.
        self.setMinimumHeight(self.label.heightForWidth(width) + 2 * MARGIN)
        self.label.setText(shown)

    def say(self, text: str, failed: bool = False) -> None:
        """Show a sentence.

        Parameters
        ----------
        text : str
            The sentence.
        failed : bool
            In red: the user has to do something else.
        """
        self.way_out.hide()
        self.label.setText(native(text))
        if not self._busy and not self._ended:
            self.time.setText("")
        self._ended = False
        color, tint = (FAILED, "217, 83, 79") if failed else (ACCENT, "127, 127, 127")
        self.setStyleSheet(
            f"StatusPanel {{ border-left: 3px solid {color}; "
            f"background: rgba({tint}, 30); }}"
        )

    def offer(self, text: str, act: Callable[[], None]) -> None:
        """Show a button below the sentence, until there is another one.

        Parameters
        ----------
        text : str
            On the button.
        act : callable
            What it does; it takes nothing.
        """
        self._act = act
        self.way_out.setText(text)
        self.way_out.show()

    def set_busy(self, busy: bool) -> None:
        """Show progress and Cancel, or how long it took.

        Parameters
        ----------
        busy : bool
            A job that somebody waits for is at work.
        """
        if not busy and not self._busy:
            return
        self._busy, self._ended = busy, not busy
        if busy:
            self._pace = Pace(self._clock)
            self._tick.start()
        else:
            self._tick.stop()
        # Without a range the bar runs to and fro until the first step says how many.
        self.bar.setRange(0, 0 if busy else 1)
        self.bar.setFormat("")
        for one in (self.bar, self.cancel):
            one.setEnabled(busy)
            one.setVisible(busy)
        self._show_time()

    def show_progress(self, step: Progress) -> None:
        """Show how far the job has come.

        Parameters
        ----------
        step : Progress
            A total of 0 is not known: the bar runs to and fro.
        """
        self._pace.take(step)
        # Qt counts in 32 bits; downloads are counted in bytes.
        scale = max(1, step.total >> 20)
        self.bar.setRange(0, step.total // scale)
        self.bar.setValue(step.done // scale)
        self.bar.setFormat(f"{step.text} %p%" if step.total else step.text)
        self.bar.setToolTip(step.text)
        self._show_time()

    def _show_time(self) -> None:
        self.time.setText(self._pace.text(self._busy))

    def _lay_out(self) -> None:
        self.label.setToolTip("What happened, and what to do next")
        self.way_out.setToolTip("Do what the sentence above proposes")
        self.bar.setToolTip("How far it is")
        self.time.setToolTip("How long it has taken, and how long it will")
        self.cancel.setToolTip("Stop; what has been drawn stays")
        for one in (self.bar, self.cancel, self.way_out):
            one.hide()
        self.cancel.setEnabled(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, MARGIN, 8, MARGIN)
        column.setSpacing(4)
        column.addWidget(self.label, 1)
        column.addWidget(self.way_out)
        column.addWidget(self.bar)
        column.addLayout(in_a_row(self.time, self.cancel))
