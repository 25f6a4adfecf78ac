"""A list of the encoders, saying which are on this machine."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QWidget

from napari_segdino.encoders import EncoderStatus, list_encoders

FILES = "Checkpoints (*.pth *.pt *.bin *.safetensors);;All files (*)"
_ASK = "\0file"


class EncoderCombo(QComboBox):  # type: ignore[misc]
    """Lets the user pick an encoder by name, or a file with weights.

    Parameters
    ----------
    value : str
        The encoder to begin with.
    """

    valueChanged = Signal(str)

    def __init__(self, value: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        for status in list_encoders():
            self.addItem("", status.spec.name)
            row = self.count() - 1
            self.setItemData(row, _tooltip(status), Qt.ItemDataRole.ToolTipRole)
        self._say_what_is_here()
        self.insertSeparator(self.count())
        self.addItem("A file...", _ASK)
        self._value = value
        self.setValue(value)
        self.activated.connect(self._on_activated)

    def value(self) -> str:
        """Return the encoder: a name, or the path of a file."""
        return self._value

    def setValue(self, encoder: str) -> None:
        """Show an encoder; a path that is not in the list is added to it."""
        row = self.findData(encoder)
        if row < 0:
            row = self.count() - 2
            self.insertItem(row, Path(encoder).name, encoder)
            self.setItemData(row, encoder, Qt.ItemDataRole.ToolTipRole)
        self._value = encoder
        self.setCurrentIndex(row)

    def showPopup(self) -> None:
        """Open the list, saying what is on this machine by now."""
        self._say_what_is_here()
        super().showPopup()

    def _say_what_is_here(self) -> None:
        for status in list_encoders():
            self.setItemText(self.findData(status.spec.name), item_text(status))

    def _on_activated(self, row: int) -> None:
        chosen = self.itemData(row)
        if chosen == _ASK:
            chosen, _ = QFileDialog.getOpenFileName(self, "Weights", "", FILES)
        if chosen and chosen != self._value:
            self.setValue(chosen)
            self.valueChanged.emit(chosen)
        else:
            self.setValue(self._value)


def item_text(status: EncoderStatus) -> str:
    """Return what the list says of an encoder."""
    name = status.spec.name
    if status.here:
        return name
    if status.download_bytes:
        return f"{name} (download, {_size(status.download_bytes)})"
    return f"{name} (needs a file)"


def _size(count: int) -> str:
    megabytes = count / 1e6
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _tooltip(status: EncoderStatus) -> str:
    licence = f"\nLicence: {status.licence}" if status.licence else ""
    return f"{status.spec.title}{licence}"
