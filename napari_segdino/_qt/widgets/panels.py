"""The parts of the dock: steps, buttons with keys, files."""

from __future__ import annotations

from napari.settings import get_settings
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_segdino._qt import keys

ACCENT = "#2f6fde"
QUIET = "#8a93a5"
"""Legible on napari's dark and light theme."""

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


class Step(QWidget):  # type: ignore[misc]
    """A numbered heading and what belongs to it.

    Parameters
    ----------
    number : int
        From 1.
    title : str
        What is done here.
    *parts : QWidget
        From top to bottom.
    """

    SIDE = 20
    """Of the circle with the number."""

    def __init__(self, number: int, title: str, *parts: QWidget) -> None:
        super().__init__()
        self.title = QLabel(title)
        # napari's letters are larger on a Mac, and where the user has chosen so.
        size = get_settings().appearance.font_size + 2
        self.title.setStyleSheet(f"font-size: {size}pt; font-weight: bold;")
        badge = QLabel(str(number))
        badge.setFixedSize(self.SIDE, self.SIDE)
        badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
        badge.setStyleSheet(
            f"background: {ACCENT}; color: white; font-weight: bold; "
            f"border-radius: {self.SIDE // 2}px;"
        )
        self.header = QHBoxLayout()
        self.header.setSpacing(8)
        self.header.addWidget(badge)
        self.header.addWidget(self.title, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 10)
        column.setSpacing(6)
        column.addLayout(self.header)
        for part in parts:
            column.addWidget(part)


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
        grid.addLayout(beside(self.live, self._live_key), 1, 0, 1, 2)
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


def beside(first: QWidget, *others: QWidget) -> QHBoxLayout:
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
        for i, button in enumerate((self.save, self.load, self.new)):
            grid.addWidget(button, i // 2, i % 2)
