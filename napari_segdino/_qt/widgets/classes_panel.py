"""The classes: what they are called, their colours, and which one is painted."""

from __future__ import annotations

from itertools import pairwise

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QButtonGroup,
    QColorDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.keys import CLASS, native
from napari_segdino._qt.layers.made_layers import BACKGROUND_COLOR
from napari_segdino._qt.widgets.panels import heading, hint
from napari_segdino.session.classes import LabelClass
from napari_segdino.session.session import Session

ROW_HEIGHT = 28
ROWS_SHOWN = 5
KEYS_SHOWN = 10
"""Labels 0 to 9 have a key."""


class ClassRow(QWidget):  # type: ignore[misc]
    """One class: pick it, recolour it, rename it, remove it.

    Parameters
    ----------
    item : LabelClass
        The class; label 0 is background, which only can be picked.
    """

    picked = Signal(int)
    renamed = Signal(int, str)
    recolored = Signal(int, str)
    removed = Signal(int)

    def __init__(self, item: LabelClass, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.item = item
        self.radio = QRadioButton()
        self.swatch = QPushButton()
        self.name: QLineEdit | QLabel = (
            QLineEdit(item.name) if item.label else QLabel(item.name)
        )
        self.remove = QToolButton()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        label = self.item.label
        key = native(CLASS.format(label)) if label < KEYS_SHOWN else ""
        self.radio.setToolTip(f"Paint {self.item.name}" + (f" ({key})" if key else ""))
        self.swatch.setFixedSize(18, 18)
        self.name.setMinimumWidth(80)
        self.swatch.setStyleSheet(
            f"background: {self.item.color}; border-radius: 3px; padding: 0;"
        )
        self.swatch.setToolTip("Change the colour" if label else "Marks of background")
        self.name.setToolTip("Type a name" if label else "What is no class")
        self.remove.setText("\u00d7")
        self.remove.setToolTip("Remove this class and its marks")
        self.remove.setVisible(bool(label))
        if not label:
            self.swatch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        shortcut = hint(key)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2, 1, 2, 1)
        layout.setSpacing(6)
        for widget in (self.radio, self.swatch, self.name, shortcut, self.remove):
            layout.addWidget(widget, 1 if widget is self.name else 0)
        self.setFixedHeight(ROW_HEIGHT)

    @property
    def stops(self) -> tuple[QWidget, ...]:
        """Return the widgets that the Tab key visits."""
        editable = self.swatch, self.name, self.remove
        return (self.radio, *(editable if self.item.label else ()))

    def _connect(self) -> None:
        label = self.item.label
        self.radio.clicked.connect(lambda: self.picked.emit(label))
        if isinstance(self.name, QLineEdit):
            name = self.name
            name.editingFinished.connect(lambda: self.renamed.emit(label, name.text()))
            self.swatch.clicked.connect(self._ask_color)
            self.remove.clicked.connect(lambda: self.removed.emit(label))

    def _ask_color(self) -> None:
        color = QColorDialog.getColor(QColor(self.item.color), self, "Colour")
        if color.isValid():
            self.recolored.emit(self.item.label, color.name())


class ClassesPanel(QWidget):  # type: ignore[misc]
    """Shows and changes the classes of a session.

    Parameters
    ----------
    session : Session
        Whose classes.
    """

    picked = Signal(int)
    """The user wants to paint this label."""
    removed = Signal(int)
    """The user wants this class gone, marks and all."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._value = 1
        self.rows: list[ClassRow] = []
        self.add = QPushButton("+ Add class")
        self.add.setToolTip("One more class to tell apart")
        self.add.clicked.connect(self._add)
        self._list = QWidget()
        self._rows = QVBoxLayout(self._list)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(0)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(self._list)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        top = QHBoxLayout()
        top.addWidget(heading("Classes"), 1)
        top.addWidget(self.add)
        layout.addLayout(top)
        layout.addWidget(self._scroll)
        session.classes_changed.connect(self._rebuild)
        self._rebuild()

    def value(self) -> int:
        """Return the label that is painted."""
        return self._value

    def setValue(self, label: int) -> None:
        """Pick the label to paint.

        Parameters
        ----------
        label : int
            0 is background; of a class that is no more, the last row is picked.
        """
        known = {row.item.label for row in self.rows}
        self._value = label if label in known else self.rows[-1].item.label
        for row in self.rows:
            row.radio.setChecked(row.item.label == self._value)

    def release(self) -> None:
        """Let go of the session."""
        self._session.classes_changed.disconnect(self._rebuild)

    def _rebuild(self) -> None:
        for row in self.rows:
            self._rows.removeWidget(row)
            row.hide()
            # Not at once: its own signal may have brought us here.
            row.deleteLater()
        background = LabelClass(0, "Background", BACKGROUND_COLOR)
        self.rows = [ClassRow(c) for c in (background, *self._session.classes)]
        # Radio buttons exclude each other within one parent only, and each row is one.
        group = QButtonGroup(self._list)
        for row in self.rows:
            group.addButton(row.radio)
            self._rows.addWidget(row)
            row.picked.connect(self.pick)
            row.removed.connect(self.removed)
            row.renamed.connect(self._rename)
            row.recolored.connect(self._recolor)
        # New rows would come last for the Tab key.
        stops = [self.add, *(one for row in self.rows for one in row.stops)]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)
        self.rows[-1].remove.setEnabled(len(self._session.classes) > 1)
        shown = min(len(self.rows), ROWS_SHOWN)
        self._scroll.setFixedHeight(shown * ROW_HEIGHT + 2)
        self.setValue(self._value)

    def pick(self, label: int) -> None:
        """Pick a label as a click on its row does; others are ignored.

        Parameters
        ----------
        label : int
            0 is background.
        """
        if label in {row.item.label for row in self.rows}:
            self.setValue(label)
            self.picked.emit(label)

    def _add(self) -> None:
        self.pick(self._session.add_class().label)

    def _rename(self, label: int, name: str) -> None:
        # The row that says this is about to be replaced.
        self._session.change_class(label, name=name.strip())

    def _recolor(self, label: int, color: str) -> None:
        self._session.change_class(label, color=color)
