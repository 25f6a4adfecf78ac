"""Tools to correct with, how the mask is shown, and the list of keys."""

from __future__ import annotations

from napari.utils.notifications import show_info
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_segdino._qt import keys
from napari_segdino._qt.keys import CLASS, TEXTS, follow_keys, key_of, native
from napari_segdino._qt.widgets.pages import Collapsible
from napari_segdino._qt.widgets.panels import KeyButton, hint
from napari_segdino.session.report import report


class ToolsPanel(QWidget):  # type: ignore[misc]
    """Buttons for clicks, boxes and slices; opacity and outline of the mask."""

    opacity_changed = Signal(float)
    """The user wants this opacity, 0 to 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.accept = KeyButton("Slice is right")
        self.copy = KeyButton("Copy to next")
        self.copy_in_time = KeyButton("Copy to next time point")
        # Only series of volumes have a next time point.
        self.copy_in_time.hide()
        self.accept_to_here = KeyButton("Accept to here")
        self.interpolate = KeyButton("Interpolate")
        self.from_clicks = KeyButton("Click to start")
        self.box = KeyButton("Box to start")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.outline = QCheckBox("Outline")
        self.whole = Collapsible(
            "Whole slices", "Say of a whole slice that it is right, or copy its mask"
        )
        self._mask_key, self._outline_key = hint(), hint()
        self.from_clicks.setCheckable(True)
        self.box.setCheckable(True)
        self._lay_out()
        keys.follow_keys(self, self._explain)
        self.opacity.valueChanged.connect(
            lambda percent: self.opacity_changed.emit(percent / 100)
        )

    def show_mask(self, opacity: float, outline: bool) -> None:
        """Show how the mask is shown; emits nothing.

        Parameters
        ----------
        opacity : float
            0 to 1.
        outline : bool
            Only its outline is shown.
        """
        with signals_blocked(self.opacity), signals_blocked(self.outline):
            self.opacity.setValue(round(100 * opacity))
            self.outline.setChecked(outline)

    def _lay_out(self) -> None:
        start, slices, inside = QGridLayout(), QGridLayout(), QWidget()
        inside.setLayout(slices)
        listed = self.accept, self.accept_to_here, self.copy, self.interpolate
        for grid, buttons in (start, (self.from_clicks, self.box)), (slices, listed):
            grid.setContentsMargins(0, 0, 0, 0)
            grid.setSpacing(4)
            for place, button in enumerate(buttons):
                grid.addWidget(button, place // 2, place % 2)
        slices.addWidget(self.copy_in_time, 2, 0, 1, 2)
        self.whole.fill(inside)
        shown = QHBoxLayout()
        shown.setSpacing(6)
        shown.addWidget(QLabel("Mask"))
        shown.addWidget(self._mask_key)
        shown.addWidget(self.opacity, 1)
        shown.addWidget(self.outline)
        shown.addWidget(self._outline_key)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(start)
        column.addLayout(shown)
        column.addWidget(self.whole)

    def _explain(self) -> None:
        key = keys.key_of
        for button, name in (
            (self.accept, keys.ACCEPT),
            (self.copy, keys.COPY),
            (self.copy_in_time, keys.COPY_IN_TIME),
            (self.accept_to_here, keys.ACCEPT_TO_HERE),
            (self.interpolate, keys.INTERPOLATE),
            (self.from_clicks, keys.FROM_CLICKS),
            (self.box, keys.BOX),
        ):
            button.set_key(key(name))
        self._mask_key.setText(key(keys.SHOW))
        self._outline_key.setText(key(keys.OUTLINE))
        self.accept.setToolTip(
            f"This slice is right ({key(keys.ACCEPT)}): all of its mask becomes "
            f"marks, background too. {native('Ctrl-Z')} takes it back."
        )
        self.copy.setToolTip(
            f"Copy the mask to the next slice and go there ({key(keys.COPY)}). It is "
            "a proposal: only what you change, or accept, counts as marks."
        )
        self.copy_in_time.setToolTip(
            "Copy the masks of all slices to the next time point and go there "
            f"({key(keys.COPY_IN_TIME)}). They are proposals, as with Copy to next."
        )
        self.accept_to_here.setToolTip(
            "Accept all drawn slices from the nearest accepted one to this one "
            f"({key(keys.ACCEPT_TO_HERE)})."
        )
        self.interpolate.setToolTip(
            f"Draw the slices between two accepted ones ({key(keys.INTERPOLATE)}): by "
            "their shapes, and at the borders by the image."
        )
        self.from_clicks.setToolTip(
            f"Click an object ({key(keys.FROM_CLICKS)}): the click is a mark of the "
            "class that is picked, and what looks alike is drawn."
        )
        self.box.setToolTip(
            f"Drag a box around an object ({key(keys.BOX)}): it is drawn in the class "
            "that is picked, and the model learns from it."
        )
        self.opacity.setToolTip(
            f"Opacity of the mask; {key(keys.SHOW)} turns it off and on"
        )
        self.outline.setToolTip(f"Show only the mask's outline ({key(keys.OUTLINE)})")


NAPARI = {
    "1 2 3 4": "Erase, paint, polygon, fill",
    "[ ]": "Smaller, larger brush",
    "Ctrl-Z": "Undo; Ctrl-Shift-Z redo",
    "Space": "Move the view while held",
}

"""Keys that napari gives to a Labels layer."""


class KeysPanel(Collapsible):
    """Lists every key, and copies a report; folded at first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Keys", "Change them in Preferences > napari-segdino", parent)
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(4, 0, 0, 4)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        classes = {
            f"{CLASS.format(0)} ... {CLASS.format(9)}": "Background, class 1 to 9"
        }
        self._keys = {name: QLabel() for name in TEXTS}
        listed = [(self._keys[name], text) for name, text in TEXTS.items()]
        fixed = (map(native, one) for one in (classes | NAPARI).items())
        listed += [(QLabel(key), text) for key, text in fixed]
        for row, (key, text) in enumerate(listed):
            grid.addWidget(key, row, 0)
            label = QLabel(text)
            label.setWordWrap(True)
            grid.addWidget(label, row, 1)
        self.report = QPushButton("Copy report")
        self.report.setToolTip(
            "Put versions, device and log on the clipboard, for a report of a fault: "
            "no pixels, no names of files"
        )
        self.report.clicked.connect(lambda _: copy_report())
        grid.addWidget(self.report, len(listed), 0, 1, 2)
        self.fill(inside)
        follow_keys(self, self._show_keys)

    def _show_keys(self) -> None:
        for name, label in self._keys.items():
            label.setText(key_of(name))


def copy_report() -> None:
    """Copy versions, device and log to the clipboard: no pixels, no names of files."""
    QApplication.clipboard().setText(report())
    show_info("The report is on the clipboard.")
