"""The parts of the Review tab: where to look, what changed, how good it is."""

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
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt import keys
from napari_segdino._qt.layers.layer_combo import LayerCombo
from napari_segdino._qt.widgets.pages import Collapsible, stacked
from napari_segdino._qt.widgets.panels import KeyButton, make_narrow

if TYPE_CHECKING:
    from napari.viewer import Viewer

PLACES, SLICES, IMAGES = "Places", "Slices", "Images"

UNCERTAIN_ROWS = 4


class SuggestPanel(QWidget):  # type: ignore[misc]
    """Two buttons, what is ranked, and the ranking."""

    listed = Signal(str)
    """The user wants this list: places, slices or images."""
    picked = Signal(object)
    """The user picked what stands behind this row."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.next_place = KeyButton("Next place")
        self.next_slice = KeyButton("Next slice")
        self.kind = QComboBox()
        self.kind.addItems((PLACES, SLICES, IMAGES))
        self.uncertainty = QCheckBox("Show uncertainty")
        self.list = QListWidget()
        self._lay_out()
        keys.follow_keys(self, self._explain)
        self.kind.textActivated.connect(self.listed)
        self.list.itemClicked.connect(self._on_clicked)

    def setValue(self, rows: Sequence[tuple[str, object]], hint: str = "") -> None:
        """Show a ranking.

        Parameters
        ----------
        rows : sequence of (str, object)
            What to read, and what `picked` brings.
        hint : str
            Shown instead when there are no rows.
        """
        self.list.clear()
        for text, thing in rows:
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, thing)
            self.list.addItem(item)
        if not rows and hint:
            item = QListWidgetItem(hint)
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)

    def show_current(self, thing: object) -> None:
        """Mark the row of a thing.

        Parameters
        ----------
        thing : object
            What stands behind a row; without such a row none is marked.
        """
        for row in range(self.list.count()):
            if self.list.item(row).data(Qt.ItemDataRole.UserRole) == thing:
                self.list.setCurrentRow(row)
                return
        self.list.clearSelection()

    def _on_clicked(self, item: QListWidgetItem) -> None:
        thing = item.data(Qt.ItemDataRole.UserRole)
        if thing is not None:
            self.picked.emit(thing)

    def _explain(self) -> None:
        names = (keys.NEXT_PLACE, keys.NEXT_SLICE)
        place, plane = (keys.key_of(name) for name in names)
        self.next_place.set_key(place)
        self.next_slice.set_key(plane)
        self.next_place.setToolTip(
            f"Go to the place where the model is most uncertain ({place}): "
            "one stroke there teaches it most"
        )
        self.next_slice.setToolTip(
            "Go to the slice that is worth marking whole: the model is uncertain on it "
            f"and on its neighbours, which learn from it ({plane})"
        )

    def _lay_out(self) -> None:
        self.kind.setToolTip("What is listed, what is worth most first")
        self.uncertainty.setToolTip(
            "A layer that is bright where the model is uncertain; it follows Retrain"
        )
        self.list.setToolTip("Click a row to go there")
        # Else Qt measures each row, of which a volume may have a thousand.
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        # Nothing below jumps when the list fills.
        self.list.setFixedHeight(
            (UNCERTAIN_ROWS + 1) * self.fontMetrics().lineSpacing() + 12
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.next_place, 0, 0)
        grid.addWidget(self.next_slice, 0, 1)
        grid.addWidget(self.kind, 1, 0)
        grid.addWidget(self.uncertainty, 1, 1)
        grid.addWidget(self.list, 2, 0, 1, 2)


NOTHING_YET = "Counted after Retrain."

OK, REGRESSED = "#4c9a57", "#d9534f"


class ChangePanel(QWidget):  # type: ignore[misc]
    """Shows what a Retrain changed and leads back before it.

    Attributes
    ----------
    overlay : QCheckBox
        Colours the changes in; laid out by the tab beside the heading.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.counts = QLabel()
        self.overlay = QCheckBox("Show changes")
        self.verdict = QLabel()
        self.back = QPushButton("Go back")
        self.place = QLabel()
        self.forth = QPushButton("Go forward")
        self._busy, self._steps = False, (False, False)
        self._lay_out()
        self.show_counts([])
        self.show_verdict("")
        self.show_place(0, 0)

    def show_counts(self, rows: Sequence[tuple[str, str, str, int, int]]) -> None:
        """Show what each class gained and lost.

        Parameters
        ----------
        rows : sequence of (name, gained colour, lost colour, gained, lost)
            One a class.
        """
        if not rows:
            self.counts.setText(NOTHING_YET)
            return
        cells = "".join(
            f"<tr><td>{name}&nbsp;&nbsp;</td>"
            f"<td align=right>{_square(more)}&nbsp;+{gained:,}&nbsp;&nbsp;</td>"
            f"<td align=right>{_square(less)}&nbsp;−{lost:,}&nbsp;px</td></tr>"
            for name, more, less, gained, lost in rows
        )
        self.counts.setText(f"<table cellspacing=0>{cells}</table>")

    def show_verdict(self, text: str, regressed: bool = False) -> None:
        """Say whether earlier corrections still hold.

        Parameters
        ----------
        text : str
            One sentence; empty where there is nothing to say.
        regressed : bool
            Some hold no more: in red.
        """
        self.verdict.setText(text)
        color = REGRESSED if regressed else OK if text else "transparent"
        self.verdict.setStyleSheet(
            f"border-left: 3px solid {color}; padding-left: 5px;"
        )

    def show_place(self, place: int, count: int) -> None:
        """Show where in the history of probes we are.

        Parameters
        ----------
        place : int
            Of the present probe, from 1.
        count : int
            Probes there are; 0 shows nothing.
        """
        self.place.setText(f"Model {place} of {count}" if count else "")
        self._steps = place > 1, place < count
        self.set_busy(self._busy)

    def set_busy(self, busy: bool) -> None:
        """Offer the way back and forth only while no job is at work.

        Parameters
        ----------
        busy : bool
            A job that somebody waits for is at work.
        """
        self._busy = busy
        back, forth = self._steps
        self.back.setEnabled(back and not busy)
        self.forth.setEnabled(forth and not busy)

    def _lay_out(self) -> None:
        self.counts.setTextFormat(Qt.TextFormat.RichText)
        self.counts.setWordWrap(True)
        self.overlay.setToolTip("A layer with what the last Retrain gained and lost")
        self.verdict.setWordWrap(True)
        self.place.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.back.setToolTip(
            "The model of before the last Retrain and the mask it drew; what you "
            "painted since stays"
        )
        self.forth.setToolTip("The model and the mask after it again")
        row = QHBoxLayout()
        row.addWidget(self.back)
        row.addWidget(self.place, 1)
        row.addWidget(self.forth)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.counts)
        column.addWidget(self.verdict)
        column.addLayout(row)


def _square(color: str) -> str:
    return f"<font color='{color}'>■</font>"


CURVE = QSize(270, 130)

COLUMNS = {
    "Slice": "Which slice; all is the whole image. The worst slices come first",
    "Class": "Number of the class in the mask",
    "Overlap\n(Dice)": "How much of the mask and the reference is common to both: "
    "1 is all of it, 0 nothing",
    "Distance\n(HD95)": "How far the outlines of the two are apart at their worst "
    "places; the worst 5 % of the points are left out",
}
"""Of the table of scores, with what they mean."""

SCORE_ROWS = 5
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
        self.curve_fold = Collapsible(
            "Curve", "Overlap (Dice) after each Retrain, as it was measured"
        )
        self.reference = LayerCombo(viewer, Labels, nothing="no reference")
        self.table = QTableWidget(0, len(COLUMNS))
        self.export = QPushButton("Export...")
        self._planes: list[int] = []
        self._lay_out()
        self.table.cellClicked.connect(self._on_clicked)
        self.show_rows([])

    def show_curve(self, picture: NDArray[np.uint8] | str) -> None:
        """Show the learning curve, or a sentence in its place.

        Parameters
        ----------
        picture : numpy.ndarray, shape (Y, X, 4), uint8, or str
            RGBA at the resolution of the screen; a sentence stands in its
            place.
        """
        if isinstance(picture, str):
            self.curve.setText(picture)
            return
        height, width, _ = picture.shape
        image = QImage(
            picture.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888
        )
        # A copy: the image only borrows its bytes.
        shown = QPixmap.fromImage(image)
        # It was drawn at the resolution of the screen.
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
        head = self.table.horizontalHeader().height()
        self.table.setFixedHeight(min(len(rows), SCORE_ROWS) * line + head + 4)

    def _on_clicked(self, row: int, column: int) -> None:
        if self._planes[row] >= 0:
            self.picked.emit(self._planes[row])

    def _lay_out(self) -> None:
        self.held_out.setWordWrap(True)
        self.held_out.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.held_out.setToolTip(
            "The model is trained without some strokes and asked about them. Overlap "
            "(Dice) is 1 where it says what you painted; distance (HD95) is how far "
            "outlines are apart at their worst places. Strokes lie where the mask was "
            "wrong: the whole mask is better than this."
        )
        self.idle.setChecked(True)
        self.idle.setToolTip("After each Retrain, once you do nothing else")
        self.curve.setFixedHeight(CURVE.height())
        # A label is never narrower than its picture, unless it is told.
        self.curve.setMinimumWidth(1)
        self.curve.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.curve.setWordWrap(True)
        self.reference.setToolTip("A Labels layer that is right: the mask is scored")
        make_narrow(self.reference)
        self.table.setToolTip("Click a row to go to its slice")
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
        for place, (name, meaning) in enumerate(COLUMNS.items()):
            item = QTableWidgetItem(name)
            item.setToolTip(meaning)
            table.setHorizontalHeaderItem(place, item)
        table.verticalHeader().hide()
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        line = self.fontMetrics().lineSpacing() + 6
        table.verticalHeader().setDefaultSectionSize(line)
        table.horizontalHeader().setFixedHeight(line + self.fontMetrics().lineSpacing())
        table.setMinimumWidth(1)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
