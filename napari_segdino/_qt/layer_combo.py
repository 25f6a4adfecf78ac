"""A list of the image layers of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer


class LayerCombo(QComboBox):  # type: ignore[misc]
    """Lets the user pick an image layer; follows the layer list.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    """

    valueChanged = Signal(object)

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: list[Image] = []
        self._value: Image | None = None
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.connect(self._refresh)
        self.activated.connect(self._on_activated)
        self._refresh()

    def value(self) -> Image | None:
        """Return the layer that is picked."""
        return self._value

    def setValue(self, layer: Image | None) -> None:
        """Pick a layer of the list."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))
            self._pick(layer)

    def release(self) -> None:
        """Stop following the layer list."""
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.disconnect(self._refresh)
        for layer in self._layers:
            layer.events.name.disconnect(self._refresh)

    def _refresh(self, event: Any = None) -> None:
        for layer in self._layers:
            layer.events.name.disconnect(self._refresh)
        self._layers = [x for x in self._viewer.layers if isinstance(x, Image)]
        for layer in self._layers:
            layer.events.name.connect(self._refresh)
        self.clear()
        self.addItems([layer.name for layer in self._layers])
        keep = self._value if self._value in self._layers else None
        if keep is None and self._layers:
            keep = self._layers[-1]
        if keep is not None:
            self.setCurrentIndex(self._layers.index(keep))
        self._pick(keep)

    def _on_activated(self, index: int) -> None:
        self._pick(self._layers[index])

    def _pick(self, layer: Image | None) -> None:
        if layer is not self._value:
            self._value = layer
            self.valueChanged.emit(layer)
