"""The Objects tab: buttons, filters and the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.widgets.pages import Collapsible
from napari_segdino.config import ObjectSettings

if TYPE_CHECKING:
    from napari_segdino.inference.measure import Table

ROW_HEIGHT = 22

RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter

SHOW, ALIGN = Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.TextAlignmentRole


class TableModel(QAbstractTableModel):  # type: ignore[misc]
    """Shows a table of arrays; only cells on screen are made into text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table: Table = {}
        self._names: list[str] = []
        self._order: NDArray[np.intp] = np.arange(0)

    def setTable(self, table: Table) -> None:
        """Show another table, in its own order.

        Parameters
        ----------
        table : Table
            Columns of one length by name, ``label`` among them; empty shows nothing.
        """
        self.beginResetModel()
        self.table, self._names = table, list(table)
        self._order = np.arange(len(table["label"]) if table else 0)
        self.endResetModel()

    def label(self, row: int) -> int:
        """Return the object of a row.

        Parameters
        ----------
        row : int
            As it is sorted now.
        """
        return int(self.table["label"][self._order[row]])

    def row(self, label: int) -> int | None:
        """Return the row of an object, None if it has none.

        Parameters
        ----------
        label : int
            Value of the object in its layer.
        """
        if not self.table:
            return None
        rows = np.flatnonzero(self.table["label"][self._order] == label)
        return int(rows[0]) if rows.size else None

    def centre(self, label: int) -> list[float]:
        """Return the centre of an object along the axes of its region, in pixels.

        Parameters
        ----------
        label : int
            The object, which must be in the table.
        """
        at = np.flatnonzero(self.table["label"] == label)[0]
        return [float(self.table[axis][at]) for axis in "zyx" if axis in self.table]

    # -- what Qt asks ------------------------------------------------------

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many objects there are."""
        return len(self._order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many columns there are."""
        return len(self._names)

    def data(self, index: QModelIndex, role: int = SHOW) -> Any:
        """Return the text of a cell, or where it stands."""
        values = self.table[self._names[index.column()]]
        if role == SHOW:
            value = values[self._order[index.row()]]
            return f"{value:.4g}" if values.dtype.kind == "f" else str(value)
        if role == ALIGN and values.dtype.kind != "U":
            return RIGHT
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = SHOW
    ) -> Any:
        """Return the name of a column."""
        if role == SHOW and orientation == Qt.Orientation.Horizontal:
            return self._names[section].replace("_", " ")
        return None

    def sort(
        self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder
    ) -> None:
        """Sort by a column; equal rows stay as they stand.

        Parameters
        ----------
        column : int
            Place of the column; one that is not there (-1) leaves the order.
        order : Qt.SortOrder
            Up, unless something else is asked for.
        """
        if not 0 <= column < len(self._names):
            return
        self.beginResetModel()
        values = self.table[self._names[column]][self._order]
        ranks = np.unique(values, return_inverse=True)[1]
        if order == Qt.SortOrder.DescendingOrder:
            # Turned round by rank: equal rows stay in their order this way too.
            ranks = -ranks
        # The arrays stay as they are: only the order in which rows read them changes.
        self._order = self._order[np.argsort(ranks, kind="stable")]
        self.endResetModel()


class ObjectTable(QTableView):  # type: ignore[misc]
    """Lets the user choose an object by its row."""

    chosen = Signal(int)
    """The user chose this object."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value = 0
        self._background = False
        self.items = TableModel(self)
        self.setModel(self.items)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSortingEnabled(True)
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        # Rows of one height: nothing is measured row by row.
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.verticalHeader().hide()
        self.horizontalHeader().setDefaultSectionSize(76)
        self.selectionModel().currentRowChanged.connect(self._on_row)
        self.items.modelReset.connect(self._select)

    def value(self) -> int:
        """Return the object that is chosen, 0 if none is."""
        return self._value

    def setValue(self, label: int) -> None:
        """Choose an object; emits nothing.

        Parameters
        ----------
        label : int
            Value of the object in its layer; 0, or one that is not listed, selects no
            row.
        """
        self._value = label
        self._select()

    def setTable(self, table: Table) -> None:
        """Show other objects; none is chosen.

        Parameters
        ----------
        table : Table
            As for :meth:`TableModel.setTable`.
        """
        self._value = 0
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.items.setTable(table)

    def _select(self) -> None:
        """Show the chosen object's row, wherever it has been sorted to."""
        row = self.items.row(self._value) if self._value else None
        self._background = True
        try:
            if row is None:
                self.clearSelection()
            else:
                # This emits what a click on the row does.
                self.setCurrentIndex(self.items.index(row, 0))
        finally:
            self._background = False

    def _on_row(self, now: QModelIndex, before: QModelIndex) -> None:
        if not self._background and now.isValid():
            self._value = self.items.label(now.row())
            self.chosen.emit(self._value)


MOST = 1e12

STALE = "#d9a441"

NONE_YET = "Press Find objects: each is numbered, measured and listed here."


class ObjectsPanel(QWidget):  # type: ignore[misc]
    """Settings, buttons and the table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.split = QCheckBox("Split touching objects")
        self.uncertainty = QCheckBox("also where the model is uncertain")
        self.depth = _spin(0.01, 0.99, ObjectSettings().depth, 0.05)
        self.min_size = _spin(0, MOST, 0, 1)
        self.max_size = _spin(0, MOST, 0, 1)
        self.max_hole = _spin(0, MOST, 0, 1)
        self.find = QPushButton("Find objects")
        self.export = QPushButton("Export table...")
        self.only = QCheckBox("Show only the selected one")
        self.summary = QLabel(NONE_YET)
        self.stale = QLabel("The mask has changed: press Find objects again.")
        self.table = ObjectTable()
        self._lay_out()
        self._explain()
        self.split.setChecked(ObjectSettings().split)
        self.uncertainty.setChecked(True)
        self.split.toggled.connect(self.uncertainty.setEnabled)
        self.split.toggled.connect(self.depth.setEnabled)

    def value(self) -> ObjectSettings:
        """Return how objects are to be found."""
        largest = self.max_size.value()
        return ObjectSettings(
            self.split.isChecked(),
            self.depth.value(),
            self.min_size.value(),
            largest if largest > 0 else float("inf"),
            self.max_hole.value(),
        )

    def show_unit(self, unit: str) -> None:
        """Say in which unit sizes are counted, such as ``"mm³"``.

        Parameters
        ----------
        unit : str
            Of an area or a volume; ``"px²"`` where the pixels have no size.
        """
        for field in (self.min_size, self.max_size, self.max_hole):
            field.setSuffix(f" {unit}")

    def _lay_out(self) -> None:
        self.min_size.setSpecialValueText("any")
        self.max_size.setSpecialValueText("any")
        self.max_hole.setSpecialValueText("none")
        inside = QWidget()
        form = QFormLayout(inside)
        form.setContentsMargins(0, 2, 0, 4)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(self.uncertainty)
        form.addRow("Depth of a neck", self.depth)
        form.addRow("Smallest", self.min_size)
        form.addRow("Largest", self.max_size)
        form.addRow("Fill holes up to", self.max_hole)
        self.advanced = Collapsible("Advanced", "What counts as an object")
        self.advanced.fill(inside)
        buttons = QGridLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.find, 0, 0)
        buttons.addWidget(self.export, 0, 1)
        for line in (self.summary, self.stale):
            line.setWordWrap(True)
        self.stale.setStyleSheet(f"border-left: 3px solid {STALE}; padding-left: 5px;")
        self.stale.hide()
        self.table.setMinimumSize(100, 180)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.split)
        column.addLayout(buttons)
        column.addWidget(self.advanced)
        column.addWidget(self.summary)
        column.addWidget(self.stale)
        column.addWidget(self.table, 1)
        column.addWidget(self.only)

    def _explain(self) -> None:
        self.split.setToolTip(
            "Cut objects apart at their necks; else all that is connected is one"
        )
        self.uncertainty.setToolTip("Cut where the model is unsure as well")
        self.depth.setToolTip(
            "How much narrower a neck must be than the smaller of the two, as a "
            "share: less cuts more"
        )
        self.min_size.setToolTip("Smaller objects are left out")
        self.max_size.setToolTip("Larger objects are left out")
        self.only.setToolTip("Hide the other objects in their layer")
        self.summary.setToolTip("How many objects there are, and how large")
        self.stale.setToolTip("The table is of the mask as it was before")
        self.max_hole.setToolTip("Background that an object encloses")
        self.find.setToolTip(
            "Make a layer and a table of the objects: of the slice shown, or of the "
            "volume, as Draw says"
        )
        self.export.setToolTip("Save the table as CSV")
        self.table.setToolTip("Click a row to go to its object, an object for its row")


def _spin(low: float, high: float, value: float, step: float) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(low, high)
    spin.setSingleStep(step)
    spin.setValue(value)
    spin.setMinimumWidth(60)
    spin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return spin
