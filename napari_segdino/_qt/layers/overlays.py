"""Layers that show something of the probe, and disturb nobody who paints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image, Labels, Layer, Points
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.layers.made_layers import (
    layer_name,
    mark_as_ours,
    placed_like,
    remove_layers,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation

Kind = Literal["uncertainty", "changes"]


class Overlay(QObject):  # type: ignore[misc]
    """A layer over each image: made when it is first shown, hidden when not.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    kind : {"uncertainty", "changes"}
        An image from 0 to 255, or labels.
    """

    gone = Signal()
    """The user removed the layer, or hid it."""

    def __init__(
        self, controller: SessionController, kind: Kind, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kind = controller.viewer, kind
        self._layers: dict[Any, Any] = {}
        self._own = False
        self._viewer.layers.events.removed.connect(self._on_removed)
        controller.annotations.lost.connect(self._on_lost)

    def release(self) -> None:
        """Take the layers away and let go of the window."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        layers, self._layers = self._layers, {}
        for layer in layers.values():
            self._viewer.layers.remove(layer)

    def show(self, annotation: Annotation) -> None:
        """Show the layer of an image, and no other.

        Parameters
        ----------
        annotation : Annotation
            Whose layer; it is made at the first time.
        """
        if annotation.key not in self._layers:
            self._layers[annotation.key] = self._make(annotation)
        self._set_visible(annotation.key)

    def hide(self) -> None:
        """Hide them all."""
        self._set_visible(None)

    def draw(self, annotation: Annotation, plane: int, values: NDArray[Any]) -> None:
        """Draw a plane, if the image has such a layer.

        Parameters
        ----------
        annotation : Annotation
            Whose mask and marks.
        plane : int
            Flat index over the leading axes of the image.
        values : numpy.ndarray, shape (Y, X), uint8
            Uncertainty from 0 to 255, or labels of changes.
        """
        layer = self._layers.get(annotation.key)
        if layer is not None:
            # Into the array itself: nobody undoes an overlay, and it needs no history.
            layer.data[annotation.planes.index(plane)] = values
            # napari reads the array again with every slice that comes on screen.
            if plane == annotation.shown():
                layer.refresh()

    def clear(self, annotation: Annotation) -> None:
        """Draw nothing any more.

        Parameters
        ----------
        annotation : Annotation
            An image without such a layer is left alone.
        """
        layer = self._layers.get(annotation.key)
        if layer is not None:
            layer.data[...] = 0
            layer.refresh()

    def color(self, annotation: Annotation, colors: dict[int | None, Any]) -> None:
        """Give labels their colours.

        Parameters
        ----------
        annotation : Annotation
            An image without such a layer is left alone.
        colors : dict of int to color
            By label; None is for all others.
        """
        layer = self._layers.get(annotation.key)
        if layer is not None:
            layer.colormap = DirectLabelColormap(color_dict=colors)

    def _make(self, annotation: Annotation) -> Layer:
        shape = annotation.planes.spatial_shape
        how: dict[str, Any] = placed_like(annotation.image, shape)
        how["name"] = layer_name(annotation.image, self._kind)
        blank = np.zeros(shape, np.uint8)
        if self._kind == "uncertainty":
            layer: Layer = Image(
                blank,
                colormap="inferno",
                contrast_limits=(0, 255),
                opacity=0.7,
                **how,
            )
            # Over every channel, under the mask that is painted on.
            below = max(annotation.layers, key=self._viewer.layers.index)
        else:
            layer, below = Labels(blank, opacity=0.8, **how), annotation.mask
        mark_as_ours(layer, self._kind, annotation.image)
        insert_unselected(self._viewer, layer, below)
        if isinstance(layer, Labels):
            layer.editable = False
        layer.events.visible.connect(self._on_visible)
        return layer

    def _set_visible(self, key: Any) -> None:
        # napari does not say whose hand hid a layer.
        self._own = True
        for mine, layer in self._layers.items():
            layer.visible = mine == key
        self._own = False

    def _on_visible(self, event: Any) -> None:
        if not self._own and not event.source.visible:
            self.gone.emit()

    def _on_lost(self, annotation: Annotation) -> None:
        """Take the layer away with the image."""
        layer = self._layers.pop(annotation.key, None)
        if layer is not None:
            # Not while napari is removing what was selected.
            QTimer.singleShot(0, partial(remove_layers, self._viewer, [layer]))

    def _on_removed(self, event: Any) -> None:
        for key, layer in list(self._layers.items()):
            if layer is event.value:
                del self._layers[key]
                if layer.visible:
                    self.gone.emit()


class Marker(QObject):  # type: ignore[misc]
    """A ring around the place to look at.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    COLOR = "#ffe14d"

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = controller.viewer
        controller.annotations.lost.connect(self._on_lost)
        self._layer: Any = None
        self._annotation: Annotation | None = None

    def show(
        self, annotation: Annotation, plane: int, at: tuple[int, int], radius: float
    ) -> None:
        """Put the ring around a pixel of a plane.

        Parameters
        ----------
        annotation : Annotation
            Whose image; the ring of another one goes.
        plane : int
            Flat index over the leading axes of the image.
        at : tuple of int
            Pixel (y, x) in its middle.
        radius : float
            Of the place, in pixels; the ring is half as large again.
        """
        center = np.array([[*annotation.planes.index(plane), *at]], float)
        if self._annotation is not annotation or self._layer not in self._viewer.layers:
            self.remove()
            self._make(annotation)
        self._layer.size = self._layer.current_size = 3 * radius
        self._layer.data = center
        self._layer.selected_data = set()

    def _on_lost(self, annotation: Annotation) -> None:
        if annotation is self._annotation:
            QTimer.singleShot(0, self.remove)

    def _make(self, annotation: Annotation) -> None:
        self._annotation = annotation
        self._layer = Points(
            ndim=len(annotation.planes.spatial_shape),
            name="next place",
            face_color="transparent",
            border_color=self.COLOR,
            border_width=0.08,
            **placed_like(annotation.image, annotation.planes.spatial_shape),
        )
        mark_as_ours(self._layer, "place", annotation.image)
        insert_unselected(self._viewer, self._layer, self._viewer.layers[-1])

    def remove(self) -> None:
        """Take the ring away."""
        if self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = self._annotation = None


def insert_unselected(viewer: Viewer, layer: Layer, below: Layer) -> None:
    """Add a layer on top of another one; what is selected stays selected.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    layer : napari.layers.Layer
        To be added.
    below : napari.layers.Layer
        Right under it.
    """
    # napari selects what is added, and the brush would paint there.
    active = viewer.layers.selection.active
    at = viewer.layers.index(below) + 1
    viewer.layers.insert(at, layer)
    viewer.layers.selection.active = active
