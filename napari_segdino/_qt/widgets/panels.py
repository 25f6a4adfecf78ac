"""The parts of the dock: the buttons, files, the status line."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
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
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_segdino._qt import keys
from napari_segdino.progress import Progress

PRIMARY = (
    "QPushButton { background: #2f6fde; color: white; font-weight: bold; "
    "padding: 6px; border-radius: 4px; }"
    "QPushButton:hover { background: #4380e8; }"
    "QPushButton:disabled { background: #47536b; color: #9aa4b5; }"
)


def heading(text: str) -> QLabel:
    """Return a small heading.

    Parameters
    ----------
    text : str
        Shown in capitals.
    """
    label = QLabel(text.upper())
    label.setStyleSheet("font-size: 9pt; font-weight: bold; color: #8a93a5;")
    return label


def stacked(*widgets: QWidget) -> QWidget:
    """Return a page with widgets one below the other.

    Parameters
    ----------
    *widgets : QWidget
        From top to bottom; what height is left goes below them.
    """
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 6, 0, 0)
    column.setSpacing(4)
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch(1)
    return page


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
    """Segment, Retrain, live; progress and Cancel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.segment = QPushButton("Segment")
        self.retrain = QPushButton("Retrain")
        self.live = QCheckBox("Live: retrain while I paint")
        self.bar = QProgressBar()
        self.cancel = QPushButton("Cancel")
        self._segment_key, self._retrain_key = QLabel(), QLabel()
        self._lay_out()
        self.set_busy(False)
        keys.follow_keys(self, self._explain)

    def set_busy(self, busy: bool) -> None:
        """Show or hide progress and Cancel.

        Parameters
        ----------
        busy : bool
            A job that somebody waits for is at work.
        """
        # Without a range the bar runs to and fro until the first step says how many.
        self.bar.setRange(0, 0 if busy else 1)
        self.bar.setFormat("")
        self.bar.setEnabled(busy)
        self.cancel.setEnabled(busy)
        # Nothing below jumps when they come and go.
        self._under.setCurrentIndex(int(busy))

    def show_live(self, on: bool) -> None:
        """Show whether it retrains by itself; emits nothing.

        Parameters
        ----------
        on : bool
            As the session's settings have it.
        """
        with signals_blocked(self.live):
            self.live.setChecked(on)

    def show_progress(self, step: Progress) -> None:
        """Show how far the job has come.

        Parameters
        ----------
        step : Progress
            A total of 0 is not known: the bar runs to and fro.
        """
        # Qt counts in 32 bits; downloads are counted in bytes.
        scale = max(1, step.total >> 20)
        self.bar.setRange(0, step.total // scale)
        self.bar.setValue(step.done // scale)
        self.bar.setFormat(f"{step.text} %p%" if step.total else step.text)

    def _explain(self) -> None:
        names = (keys.SEGMENT, keys.RETRAIN, keys.LIVE)
        segment, retrain, live = (keys.key_of(name) for name in names)
        self._segment_key.setText(segment)
        self._retrain_key.setText(retrain)
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

    def _lay_out(self) -> None:
        self.segment.setStyleSheet(PRIMARY)
        self.retrain.setStyleSheet(PRIMARY)
        self.cancel.setToolTip("Stop; what has been drawn stays")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        hints, progress = QWidget(), QWidget()
        for page in (hints, progress):
            QHBoxLayout(page).setContentsMargins(0, 0, 0, 0)
        for column, (button, hint) in enumerate(
            ((self.segment, self._segment_key), (self.retrain, self._retrain_key))
        ):
            grid.addWidget(button, 0, column)
            hint.setEnabled(False)
            hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
            hints.layout().addWidget(hint)
        progress.layout().addWidget(self.bar, 1)
        progress.layout().addWidget(self.cancel)
        self._under = QStackedLayout()
        self._under.addWidget(hints)
        self._under.addWidget(progress)
        grid.addLayout(self._under, 1, 0, 1, 2)
        grid.addWidget(self.live, 2, 0, 1, 2)


class FilePanel(QWidget):  # type: ignore[misc]
    """Save and load the probe, export the mask."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.save = QPushButton("Save probe...")
        self.load = QPushButton("Load probe...")
        self.export = QPushButton("Export mask...")
        self.new = QPushButton("New probe")
        self.save.setToolTip("Keep what was learned, for other images and machines")
        self.load.setToolTip("Go on with a probe that was saved before")
        self.export.setToolTip("Save the mask: TIFF, or the scan's own format")
        self.new.setToolTip(
            "Start anew; masks and marks stay, and Go back in the Review tab brings "
            "the old probe"
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for i, button in enumerate((self.save, self.load, self.export, self.new)):
            grid.addWidget(button, i // 2, i % 2)


class StatusPanel(QFrame):  # type: ignore[misc]
    """One sentence: what happened and what to do next."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.way_out = QPushButton()
        self._act: Callable[[], None] = lambda: None
        # Looked up with every click: each offer puts another function there.
        self.way_out.clicked.connect(lambda: self._act())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.label)
        layout.addWidget(self.way_out)
        self.say("")

    def showEvent(self, event: QShowEvent) -> None:
        """Keep room for four lines; font and padding come with napari's style."""
        super().showEvent(event)
        shown, width = self.label.text(), self.label.width()
        self.label.setText("\n".join("1234"))
        self.label.setMinimumHeight(self.label.heightForWidth(width))
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
        self.label.setText(text)
        color = "#d9534f" if failed else "#2f6fde"
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
