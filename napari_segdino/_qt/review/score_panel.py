"""How good the probe is: held-out strokes, a learning curve, a reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.collapsible import Fold
from napari_segdino._qt.layer_combo import LayerCombo
from napari_segdino._qt.panels import stacked

if TYPE_CHECKING:
    from napari.viewer import Viewer

CURVE = QSize(270, 130)
COLUMNS = ("Slice", "Class", "Dice", "HD95")
ROWS = 5
"""Seen at once; the rest is scrolled."""


class ScorePanel(QWidget):  # type: ignore[misc]
    """Shows scores as they come.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window, for the list of reference layers.
    """

    picked = Signal(int)
    """The user picked a row of this slice."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        from napari.layers import Labels

        self.held_out = QLabel()
        self.idle = QCheckBox("Score while I rest")
        self.curve = QLabel()
        self.curve_fold = Fold("Curve", "Dice by Retrain, as it was measured")
        self.reference = LayerCombo(viewer, Labels, nothing="no reference")
        self.table = QTableWidget(0, len(COLUMNS))
        self.export = QPushButton("Export...")
        self._planes: list[int] = []
        self._lay_out()
        self.table.cellClicked.connect(self._on_clicked)
        self.show_rows([])

    def show_held_out(self, text: str) -> None:
        """Say how held-out strokes are followed."""
        self.held_out.setText(text)

    def show_curve(self, picture: NDArray[np.uint8] | str) -> None:
        """Show the learning curve, or a sentence in its place."""
        if isinstance(picture, str):
            self.curve.setText(picture)
            return
        height, width, _ = picture.shape
        image = QImage(
            picture.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888
        )
        shown = QPixmap.fromImage(image)
        shown.setDevicePixelRatio(self.devicePixelRatioF())
        self.curve.setPixmap(shown)

    def show_rows(self, rows: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        """Show scores against the reference.

        Parameters
        ----------
        rows : sequence of (plane, texts)
            Texts of the columns; plane -1 is the whole image.
        """
        self._planes = [plane for plane, _ in rows]
        self.table.setRowCount(len(rows))
        for y, (_, texts) in enumerate(rows):
            for x, text in enumerate(texts):
                self.table.setItem(y, x, QTableWidgetItem(text))
        self.table.setVisible(bool(rows))
        line = self.table.verticalHeader().defaultSectionSize()
        self.table.setFixedHeight((min(len(rows), ROWS) + 1) * line + 4)

    def _on_clicked(self, row: int, column: int) -> None:
        if self._planes[row] >= 0:
            self.picked.emit(self._planes[row])

    def _lay_out(self) -> None:
        self.held_out.setWordWrap(True)
        self.held_out.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.held_out.setToolTip(
            "The probe is refitted without some strokes and asked about them. They "
            "lie where the mask was wrong: the whole mask is better than this."
        )
        self.idle.setChecked(True)
        self.idle.setToolTip("After each Retrain, once you do nothing else")
        self.curve.setFixedHeight(CURVE.height())
        self.curve.setMinimumWidth(1)
        self.curve.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.curve.setWordWrap(True)
        self.reference.setToolTip("A Labels layer that is right: the mask is scored")
        self.reference.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.reference.setMinimumContentsLength(8)
        self.reference.setSizePolicy(
            QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        )
        self.export.setToolTip("Write every score, by class and slice, as CSV")
        self._lay_out_table()
        against = QHBoxLayout()
        against.setSpacing(4)
        against.addWidget(QLabel("Reference"))
        against.addWidget(self.reference, 1)
        against.addWidget(self.export)
        self.curve_fold.fill(stacked(self.curve))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.held_out)
        column.addWidget(self.idle, alignment=Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.curve_fold)
        column.addLayout(against)
        column.addWidget(self.table)

    def _lay_out_table(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(COLUMNS)
        table.verticalHeader().hide()
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        line = self.fontMetrics().lineSpacing() + 6
        table.verticalHeader().setDefaultSectionSize(line)
        table.horizontalHeader().setFixedHeight(line)
        table.setMinimumWidth(1)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
