"""The status line: what happened, what to do next, how far a job is."""

from __future__ import annotations

import time
from collections.abc import Callable

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QFrame,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.keys import native
from napari_segdino._qt.widgets.panels import ACCENT, beside, hint
from napari_segdino.progress import Progress
from napari_segdino.session.eta import Pace

MARGIN = 6
"""Pixels above and below the sentence."""


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
        color = "#d9534f" if failed else ACCENT
        self.setStyleSheet(
            f"StatusPanel {{ border-left: 3px solid {color}; "
            "background: rgba(127, 127, 127, 30); }"
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
        self._busy = busy
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
        column.addLayout(beside(self.time, self.cancel))
