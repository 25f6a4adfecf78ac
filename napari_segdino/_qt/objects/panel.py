"""The Objects tab: how objects are found, and the table of those found."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.objects.table import ObjectTable
from napari_segdino.inference.instances import ObjectSettings

MOST = 1e12
STALE = "#d9a441"
NONE_YET = "Objects of the mask, with their sizes and intensities."


class ObjectsPanel(QWidget):  # type: ignore[misc]
    """Settings, buttons and the table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.split = QCheckBox("Part those that touch")
        self.uncertainty = QCheckBox("where the probe is uncertain, too")
        self.depth = _spin(0.01, 0.99, 0.25, 0.05)
        self.min_size = _spin(0, MOST, 0, 1)
        self.max_size = _spin(0, MOST, 0, 1)
        self.max_hole = _spin(0, MOST, 0, 1)
        self.find = QPushButton("Find objects")
        self.export = QPushButton("Export table...")
        self.only = QCheckBox("Show only the chosen one")
        self.summary = QLabel(NONE_YET)
        self.stale = QLabel("The mask has changed: press Find objects again.")
        self.table = ObjectTable()
        self._lay_out()
        self._explain()
        self.split.setChecked(True)
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
        """Say in which unit sizes are counted, such as ``"mm³"``."""
        for field in (self.min_size, self.max_size, self.max_hole):
            field.setSuffix(f" {unit}")

    def _lay_out(self) -> None:
        self.min_size.setSpecialValueText("any")
        self.max_size.setSpecialValueText("any")
        self.max_hole.setSpecialValueText("none")
        form = QFormLayout()
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(self.split)
        form.addRow(self.uncertainty)
        form.addRow("Depth of a neck", self.depth)
        form.addRow("Smallest", self.min_size)
        form.addRow("Largest", self.max_size)
        form.addRow("Fill holes up to", self.max_hole)
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
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.summary)
        column.addWidget(self.stale)
        column.addWidget(self.table, 1)
        column.addWidget(self.only)

    def _explain(self) -> None:
        self.split.setToolTip(
            "Cut objects apart at their necks; else all that is connected is one"
        )
        self.uncertainty.setToolTip("Cut where the probe's probability is low as well")
        self.depth.setToolTip(
            "How much narrower a neck must be than the smaller of the two, as a "
            "share: less cuts more"
        )
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
