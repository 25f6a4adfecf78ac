"""A list of the layers of the window that the user can pick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_segdino._qt.layers import is_ours

if TYPE_CHECKING:
    from napari.viewer import Viewer


class LayerCombo(QComboBox):  # type: ignore[misc]
    """Lets the user pick a layer; follows the layer list.

    What the program made itself is not offered.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    kind : type
        Of the layers.
    nothing : str
        What stands for no layer, as the first of the list; without it some
        layer is always picked.
    """

    valueChanged = Signal(object)

    def __init__(
        self,
        viewer: Viewer,
        kind: type[Layer] = Image,
        nothing: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kind, self._nothing = viewer, kind, nothing
        self._layers: list[Any] = []
        self._value: Any = None
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.connect(self._refresh)
        self.activated.connect(self._on_activated)
        self._refresh()

    def value(self) -> Any:
        """Return the layer that is picked."""
        return self._value

    def setValue(self, layer: Layer | None) -> None:
        """Pick a layer of the list."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))
            self._pick(layer)

    def release(self) -> None:
        """Stop following the layer list."""
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.disconnect(self._refresh)
        self._leave()

    def _refresh(self, event: Any = None) -> None:
        self._leave()
        self._layers = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, self._kind) and not is_ours(layer)
        ]
        for layer in self._layers:
            layer.events.name.connect(self._refresh)
        if self._nothing:
            self._layers.insert(0, None)
        self.clear()
        self.addItems([x.name if x else self._nothing for x in self._layers])
        keep = self._value if self._value in self._layers else None
        if keep is None and self._layers:
            keep = self._layers[0 if self._nothing else -1]
        if keep in self._layers:
            self.setCurrentIndex(self._layers.index(keep))
        self._pick(keep)

    def _leave(self) -> None:
        for layer in self._layers:
            if layer is not None:
                layer.events.name.disconnect(self._refresh)

    def _on_activated(self, index: int) -> None:
        self._pick(self._layers[index])

    def _pick(self, layer: Layer | None) -> None:
        if layer is not self._value:
            self._value = layer
            self.valueChanged.emit(layer)
