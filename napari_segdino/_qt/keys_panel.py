"""The keys of the dock, listed where they are used."""

from __future__ import annotations

from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_segdino._qt.collapsible import Fold
from napari_segdino._qt.keys import CLASS, TEXTS, follow_keys, key_of

NAPARI = {
    "1 2 3 4": "Erase, paint, polygon, fill",
    "[ ]": "Smaller, larger brush",
    "Ctrl-Z": "Undo; Ctrl-Shift-Z redo",
    "Space": "Move the view while held",
}
"""Keys that napari gives to a Labels layer."""


class KeysPanel(Fold):
    """Lists every key; folded at first."""

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
        listed += [(QLabel(key), text) for key, text in (classes | NAPARI).items()]
        for row, (key, text) in enumerate(listed):
            grid.addWidget(key, row, 0)
            label = QLabel(text)
            label.setWordWrap(True)
            grid.addWidget(label, row, 1)
        self.fill(inside)
        follow_keys(self, self._show_keys)

    def _show_keys(self) -> None:
        for name, label in self._keys.items():
            label.setText(key_of(name))
