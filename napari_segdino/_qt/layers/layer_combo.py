"""Lists of the layers and of the images of the window that the user can pick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_segdino._qt.layers.channels import image_of, images_of, lead_of, name_of
from napari_segdino._qt.layers.made_layers import is_ours

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
        self._followed: list[Layer] = []
        self._value: Any = None
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.connect(self._on_layers)
        # Only a hand activates: the list can be filled anew without a word.
        self.activated.connect(self._on_activated)
        self._refresh()

    def value(self) -> Any:
        """Return the layer that is picked."""
        return self._value

    def setValue(self, layer: Layer | None) -> None:
        """Pick a layer of the list.

        Parameters
        ----------
        layer : napari.layers.Layer, optional
            One that is not listed is ignored.
        """
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))
            self._pick(layer)

    def release(self) -> None:
        """Stop following the layer list."""
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.disconnect(self._on_layers)
        self._leave()

    def _on_layers(self, event: Any = None) -> None:
        self._refresh()

    def _on_name(self, event: Any = None) -> None:
        self._refresh()

    def _listed(self) -> list[tuple[Any, str]]:
        """Return the layers to list, and what they are called."""
        return [
            (layer, layer.name)
            for layer in self._viewer.layers
            if isinstance(layer, self._kind) and not is_ours(layer)
        ]

    def _refresh(self, wanted: Layer | None = None) -> None:
        self._leave()
        listed = self._listed()
        if self._nothing:
            listed.insert(0, (None, self._nothing))
        self._layers = [layer for layer, _ in listed]
        self._followed = [x for x in self._viewer.layers if isinstance(x, self._kind)]
        for layer in self._followed:
            layer.events.name.connect(self._on_name)
        self.clear()
        self.addItems([name for _, name in listed])
        wanted = wanted or self._value
        keep = wanted if wanted in self._layers else None
        if keep is None and self._layers:
            # The last layer is the uppermost one, which was opened last.
            keep = self._layers[0 if self._nothing else -1]
        if keep in self._layers:
            self.setCurrentIndex(self._layers.index(keep))
        self._pick(keep)

    def _leave(self) -> None:
        for layer in self._followed:
            layer.events.name.disconnect(self._on_name)

    def _on_activated(self, index: int) -> None:
        self._pick(self._layers[index])

    def _pick(self, layer: Layer | None) -> None:
        if layer is not self._value:
            self._value = layer
            self.valueChanged.emit(layer)


class ImageCombo(LayerCombo):
    """Lets the user pick an image; follows the layer that is selected in the window.

    Layers that are channels of one image are one entry. Which image a selection
    means is found out once the window comes to rest: the program itself adds layers
    that are selected for a moment.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    """

    picked = Signal(object)
    """The user picked this one in the list by hand."""
    listed = Signal()
    """The layers of the window, or their names, changed."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent=parent)
        self._selected: frozenset[Any] = frozenset()
        self._timer = QTimer(self, singleShot=True, timeout=self.refresh)
        viewer.layers.selection.events.changed.connect(self._on_layers)
        self.refresh()

    def value(self) -> Any:
        """Return the image that is picked: the first of its layers."""
        # Whoever asks before the window has come to rest gets what it will say then.
        if self._timer.isActive():
            self.refresh()
        return super().value()

    def setValue(self, layer: Layer | None) -> None:
        """Pick the image of a layer.

        Parameters
        ----------
        layer : napari.layers.Image, optional
            Any channel of the image; one that is not listed is ignored.
        """
        self.value()
        super().setValue(layer if layer is None else lead_of(self._viewer, layer))

    def release(self) -> None:
        """Stop following the window."""
        self._timer.stop()
        self._viewer.layers.selection.events.changed.disconnect(self._on_layers)
        super().release()

    def _on_layers(self, event: Any = None) -> None:
        self._timer.start(0)

    def _on_name(self, event: Any = None) -> None:
        self.refresh()

    def _listed(self) -> list[tuple[Any, str]]:
        return [(layers[0], name_of(layers)) for layers in images_of(self._viewer)]

    def refresh(self) -> None:
        """List the images there are, and pick the one that is newly selected."""
        self._timer.stop()
        selected = frozenset(self._viewer.layers.selection)
        meant = {image_of(self._viewer, layer) for layer in selected} - {None}
        if selected != self._selected and len(meant) == 1:
            wanted = meant.pop()
        else:
            # Another layer may stand for the same image now.
            wanted = self._value and image_of(self._viewer, self._value)
        self._selected = selected
        self._refresh(wanted)
        self.listed.emit()

    def _on_activated(self, index: int) -> None:
        super()._on_activated(index)
        self.picked.emit(self._value)
