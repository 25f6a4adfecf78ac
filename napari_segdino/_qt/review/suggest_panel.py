"""Where to look next: buttons, a ranked list, the uncertainty layer's switch."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from napari_segdino._qt import keys

PLACES, SLICES, IMAGES = "Places", "Slices", "Images"
ROWS = 4


class SuggestPanel(QWidget):  # type: ignore[misc]
    """Two buttons, what is ranked, and the ranking."""

    listed = Signal(str)
    """The user wants this list: places, slices or images."""
    picked = Signal(object)
    """The user picked what stands behind this row."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.next_place = QPushButton("Next place")
        self.next_slice = QPushButton("Next slice")
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
        """Mark the row of a thing."""
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
        self.next_place.setToolTip(
            f"Go to the place where the probe is most uncertain ({place}): "
            "one stroke there teaches it most"
        )
        self.next_slice.setToolTip(
            f"Go to the slice where the probe is most uncertain ({plane})"
        )

    def _lay_out(self) -> None:
        self.kind.setToolTip("What is listed, most uncertain first")
        self.uncertainty.setToolTip(
            "A layer that is bright where the probe is uncertain; it follows Retrain"
        )
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setFixedHeight((ROWS + 1) * self.fontMetrics().lineSpacing() + 12)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.next_place, 0, 0)
        grid.addWidget(self.next_slice, 0, 1)
        grid.addWidget(self.kind, 1, 0)
        grid.addWidget(self.uncertainty, 1, 1)
        grid.addWidget(self.list, 2, 0, 1, 2)
