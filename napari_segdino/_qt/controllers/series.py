"""Choosing among several images of one folder or file, such as DICOM series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_segdino._qt.layers.files import all_series, origin
from napari_segdino._qt.layers.image_layers import (
    image_planes,
    move_sliders,
    plane_shown,
)
from napari_segdino._qt.layers.made_layers import made_for
from napari_segdino._qt.worker.runner import Job

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.widgets.input_panel import SeriesCombo
    from napari_segdino.io.scan import Scan


@dataclass(frozen=True)
class View:
    """How an image was looked at when another one took its place.

    Parameters
    ----------
    layers : set
        Ids of those that were visible: the image, its mask, its marks ...
    active : object
        Id of the layer that was selected.
    plane : int
        That was shown.
    centre : tuple of float
        Of the camera.
    zoom : float
        Of the camera.
    """

    layers: set[Any]
    active: Any
    plane: int
    centre: tuple[float, ...]
    zoom: float


class SeriesController(QObject):  # type: ignore[misc]
    """Opens the series that is chosen; those that are open stay, out of sight.

    Parameters
    ----------
    combo : SeriesCombo
        Where it is chosen.
    controller : SessionController
        Of the window.
    image : callable
        Returns the image to segment.
    pick : callable
        Makes an image the one to segment.
    """

    def __init__(
        self,
        combo: SeriesCombo,
        controller: SessionController,
        image: Callable[[], Image | None],
        pick: Callable[[Image], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._combo, self._controller = combo, controller
        self._image, self._pick = image, pick
        self._viewer: Viewer = controller.viewer
        self._left: dict[Any, View] = {}
        combo.chosen.connect(self.choose)
        controller.busy_changed.connect(lambda busy: combo.setEnabled(not busy))

    def show_image(self, image: Image | None) -> None:
        """Show an image that was picked if it had made room for another series.

        Parameters
        ----------
        image : napari.layers.Image, optional
            That was picked; None does nothing.
        """
        if image is not None and not image.visible and image.unique_id in self._left:
            self._show(image)

    def choose(self, series: str) -> None:
        """Show one of the series; read it first if it is not open.

        Parameters
        ----------
        series : str
            As the reader names it; read in the worker.
        """
        image = self._image()
        if image is None or series == origin(image).series:
            return
        path, title = origin(image).path, all_series(image)[series]
        found = next((x for x in self._of(path) if origin(x).series == series), None)
        if found is not None:
            self._show(found)
            self._pick(found)
            self._controller.message.emit(f"Back at {title}.")
            return
        from napari_segdino.io.napari_plugin import wants_lazy
        from napari_segdino.io.read import iter_read_scan

        where = Path(path)
        self._controller.message.emit(f"Reading {title}...")
        self._controller.runner.start(
            Job(
                "Read series",
                partial(iter_read_scan, where, series=series, lazy=wants_lazy(where)),
                on_done=partial(self._on_read, path, title),
                on_error=self._controller.report,
                # Where reading fails the list must not say what is not shown.
                on_end=lambda _: self._combo.show_image(self._image()),
            )
        )

    def _on_read(self, path: str, title: str, scan: Scan) -> None:
        # The image's mask can be made only when the worker is done.
        self._controller.when_free(partial(self._add, path, title, scan))

    def _add(self, path: str, title: str, scan: Scan) -> None:
        # Before the new layer is the one that is selected.
        self._make_room(path, scan.series)
        data, kwargs, _ = scan.layer_data()
        added = self._viewer.add_image(data, **kwargs)
        # napari makes several layers of an array with an axis of channels.
        image = added[0] if isinstance(added, list) else added
        self._show(image)
        self._pick(image)
        self._controller.message.emit(" ".join((f"{title} is open.", *scan.warnings)))

    def _of(self, path: str) -> Iterator[Image]:
        """Images of the window that come from one folder or file."""
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and origin(layer).path == path:
                yield layer

    def _show(self, image: Image) -> None:
        """Show an image as it was left, or its middle slice."""
        came = origin(image)
        self._make_room(came.path, came.series)
        image.visible = True
        self._viewer.layers.selection.active = image
        left = self._left.pop(image.unique_id, None)
        if left is None:
            self._show_middle(image)
            return
        for layer in self._viewer.layers:
            if layer.unique_id in left.layers:
                layer.visible = True
            if layer.unique_id == left.active:
                self._viewer.layers.selection.active = layer
        move_sliders(self._viewer, image, image_planes(image).index(left.plane))
        camera = self._viewer.scene.camera
        camera.center, camera.zoom = left.centre, left.zoom

    def _make_room(self, path: str, series: str) -> None:
        """Hide the other series of a folder."""
        for other in list(self._of(path)):
            if other.visible and origin(other).series != series:
                self._leave(other)

    def _leave(self, image: Image) -> None:
        shown = [x for x in (image, *made_for(self._viewer, image)) if x.visible]
        plane = plane_shown(self._viewer, image, image_planes(image))
        active = getattr(self._viewer.layers.selection.active, "unique_id", None)
        names, camera = {x.unique_id for x in shown}, self._viewer.scene.camera
        view = View(names, active, plane, camera.center, camera.zoom)
        self._left[image.unique_id] = view
        for layer in shown:
            layer.visible = False

    def _show_middle(self, image: Image) -> None:
        """Show the middle slice as a whole."""
        viewer = self._viewer
        middle = tuple(n // 2 for n in image_planes(image).lead_shape)
        move_sliders(viewer, image, middle)
        # napari cannot fit the view to a plane while another layer has sliders.
        viewer.reset_view(reset_camera_angle=False)
        first = viewer.dims.ndim - image.ndim
        shown = np.array(viewer.dims.displayed)
        if len(shown) > 2 or (shown < first).any():
            return
        low, high = image.extent.world[:, shown - first]
        # From the middle of the first pixel to that of the last, and a pixel.
        size = high - low + image.extent.step[shown - first]
        room = np.ptp(viewer.layers.extent.world[:, shown], axis=0)
        viewer.scene.camera.center = (0.0, *((low + high) / 2))
        viewer.scene.camera.zoom *= float((room / size).min())
