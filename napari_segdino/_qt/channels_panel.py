"""The channels of the image, to be checked."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_segdino._qt.channels import Channel

ROWS_SHOWN = 4


class ChannelsPanel(QListWidget):  # type: ignore[misc]
    """Lists the channels of an image; one of them stays checked."""

    changed = Signal(list)
    """The channels that are checked now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._channels: list[Channel] = []
        self.setToolTip(
            "What the image is segmented on; other channels need a new probe"
        )
        self.setVerticalScrollMode(self.ScrollMode.ScrollPerPixel)
        self.itemChanged.connect(self._on_item)

    def value(self) -> list[Channel]:
        """Return the channels that are checked."""
        checked = Qt.CheckState.Checked
        rows = enumerate(self._channels)
        return [c for i, c in rows if self.item(i).checkState() == checked]

    def setValue(self, channels: Sequence[Channel]) -> None:
        """List channels."""
        if list(channels) == self._channels:
            return
        self._channels = list(channels)
        self.blockSignals(True)
        self.clear()
        for channel in channels:
            item = QListWidgetItem(channel.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            self.addItem(item)
        self._check()
        self.blockSignals(False)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """As many rows as there are, up to four."""
        row = self.sizeHintForRow(0) if self.count() else 0
        height = row * min(ROWS_SHOWN, self.count()) + 2 * self.frameWidth()
        return QSize(super().sizeHint().width(), height)

    def minimumSizeHint(self) -> QSize:
        """Do not grow for a long name."""
        return QSize(60, self.sizeHint().height())

    def _check(self) -> None:
        for i, channel in enumerate(self._channels):
            used = Qt.CheckState.Checked if channel.used else Qt.CheckState.Unchecked
            self.item(i).setCheckState(used)

    def _on_item(self, item: QListWidgetItem) -> None:
        chosen = self.value()
        if chosen:
            self.changed.emit(chosen)
            return
        self.blockSignals(True)
        item.setCheckState(Qt.CheckState.Checked)
        self.blockSignals(False)
