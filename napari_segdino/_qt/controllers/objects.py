"""Joins the Objects tab with the worker, the layers and the camera."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_segdino._qt.controllers.start import is_click
from napari_segdino._qt.layers.image_layers import spacing_in
from napari_segdino._qt.layers.made_layers import (
    find_layer,
    is_ours,
    make_layer,
    read_plane,
)
from napari_segdino._qt.layers.screen import go_to
from napari_segdino._qt.widgets.dialogs import ask_export_table
from napari_segdino._qt.widgets.objects_panel import NONE_YET, ObjectsPanel
from napari_segdino._qt.worker.runner import Job
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.session import checksum

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino.inference.measure import Table
    from napari_segdino.session.object_tasks import Found

REST = 150
"""Milliseconds without drawing before the mask is compared."""

NONE_FOUND = "There are no objects yet: press Find objects first."

CONTOUR = 2
"""Pixels of an outline; it lies below the mask, which stays to be seen."""


class ObjectsController(QObject):  # type: ignore[misc]
    """Finds objects and goes to the one that is chosen.

    Parameters
    ----------
    panel : ObjectsPanel
        The tab.
    controller : SessionController
        Of the window.
    image : callable
        Returns the image layer that is picked, if any.
    """

    def __init__(
        self,
        panel: ObjectsPanel,
        controller: SessionController,
        image: Callable[[], Image | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._controller, self._image = panel, controller, image
        self._layer: Labels | None = None
        self._annotation: Annotation | None = None
        self._region: tuple[int, ...] = ()
        self._checksums: dict[int, int] = {}
        # Planes drawn in since the objects shown, or asked for, were found.
        self._touched: set[tuple[Any, int]] = set()
        self._meanwhile: set[tuple[Any, int]] = set()
        self._rest = QTimer(self, singleShot=True, timeout=self._compare)
        panel.find.clicked.connect(self.find)
        panel.export.clicked.connect(self._ask_export)
        panel.table.chosen.connect(self.go_to)
        panel.only.toggled.connect(self._show_only)
        controller.busy_changed.connect(lambda busy: panel.find.setEnabled(not busy))
        controller.viewer.layers.events.removed.connect(self._on_removed)
        controller.annotations.mask_changed.connect(self._on_mask)

    def close(self) -> None:
        """Let go of the layers."""
        self._controller.viewer.layers.events.removed.disconnect(self._on_removed)
        self._rest.stop()
        self._let_go()

    def show_image(self, image: Image | None) -> None:
        """Say in which unit the sizes of an image's objects are.

        Parameters
        ----------
        image : napari.layers.Image, optional
            The one that is picked; None says nothing.
        """
        annotation = None if image is None else self._controller.annotations.get(image)
        if annotation is None:
            return
        spacing, unit = spacing_and_unit(annotation.mask, len(self._axes(annotation)))
        power = "²" if len(spacing) == 2 else "³"
        self._panel.show_unit(f"{unit or 'px'}{power}")

    def find(self) -> None:
        """Find the objects of the mask in the worker."""
        image = self._image()
        annotation = self._controller.annotations.drawn(image)
        if annotation is None:
            self._controller.refuse(self._controller.annotations.lacking())
            return
        self.show_image(image)
        self._meanwhile = set()
        from napari_segdino.session.object_tasks import Asked, iter_objects

        session, panel = self._controller.session, self._panel
        spacing, unit = spacing_and_unit(annotation.mask, len(self._axes(annotation)))
        asked = Asked(
            annotation.planes,
            annotation.mask.data,
            self._asked_region(annotation),
            spacing,
            unit,
            {c.label: c.name for c in session.classes},
            panel.value(),
            session.segmenter if panel.uncertainty.isChecked() else None,
        )
        self._controller.runner.start(
            Job(
                "Find objects",
                partial(iter_objects, asked),
                on_done=partial(self._show, annotation, asked.region),
                on_error=self._controller.report,
            )
        )

    def _axes(self, annotation: Annotation) -> str:
        """Return the axes of what is looked at: a volume, or the slice shown."""
        axes = annotation.planes.spatial_axes
        whole = self._controller.session.settings.whole_volume
        return axes[-3:] if whole and axes[:-2].endswith("Z") else axes[-2:]

    def _asked_region(self, annotation: Annotation) -> tuple[int, ...]:
        lead = annotation.planes.index(annotation.shown())
        return lead[: annotation.mask.ndim - len(self._axes(annotation))]

    def _show(
        self, annotation: Annotation, region: tuple[int, ...], found: Found
    ) -> None:
        self._let_go()
        viewer = self._controller.viewer
        shape = tuple(annotation.mask.data.shape)
        layer = find_layer(viewer, annotation.image, "objects", shape)
        if layer is None or not is_ours(layer):
            # napari selects what is added, and the brush would paint there.
            active = viewer.layers.selection.active
            layer = make_layer(
                viewer,
                annotation.image,
                "objects",
                shape,
                found.labels,
                CONTOUR,
                annotation.mask,
            )
            viewer.layers.selection.active = active
        else:
            # The layer that is there stays where the user has put it.
            layer.data = found.labels
        self._layer, self._annotation, self._region = layer, annotation, region
        self._checksums, self._touched = found.checksums, self._meanwhile
        self._compare()
        layer.events.selected_label.connect(self._on_label)
        layer.mouse_drag_callbacks.append(self._on_press)
        self._show_only(self._panel.only.isChecked())
        self._panel.table.setTable(found.table)
        self._panel.summary.setText(summary(found.table))
        self._controller.message.emit(
            f"{summary(found.table)} Click a row to go there."
        )

    def _on_mask(self, annotation: Annotation, plane: int) -> None:
        for planes in (self._touched, self._meanwhile):
            planes.add((annotation.key, plane))
        self._rest.start(REST)

    def _compare(self) -> None:
        """Say whether the mask is another than that of the objects shown."""
        annotation = (
            None
            if self._annotation is None
            else self._controller.annotations.get(self._annotation.image)
        )
        if annotation is None or not annotation.mask_sync.intact:
            return
        planes = (p for key, p in self._touched if key == annotation.key)
        stale = self._layer is not None and any(
            checksum(read_plane(annotation.mask, annotation.planes.index(p)))
            != self._checksums[p]
            for p in planes
            if p in self._checksums
        )
        self._panel.stale.setVisible(stale)

    # -- choosing ----------------------------------------------------------

    def go_to(self, label: int) -> None:
        """Show an object in the middle of the canvas, as large as it is now.

        Parameters
        ----------
        label : int
            Value of the object in the layer of objects.
        """
        layer, annotation = self._layer, self._annotation
        if layer is None or annotation is None:
            return
        here = [*map(float, self._region), *self._panel.table.items.centre(label)]
        index = tuple(round(c) for c in here[:-2])
        plane = (
            int(np.ravel_multi_index(index, annotation.planes.lead_shape))
            if index
            else 0
        )
        go_to(annotation.viewer, annotation, plane, (here[-2], here[-1]))
        layer.selected_label = label

    def _on_label(self, event: Any = None) -> None:
        """Follow the label that is picked in the layer."""
        if self._layer is not None:
            self._panel.table.setValue(int(self._layer.selected_label))

    def _on_press(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        """Choose the object that is clicked, not the one the view is dragged by."""
        # napari runs a callback up to its next yield with each event: at the press, at
        # every move, and once more when the button is let go.
        begun = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if not is_click(begun, event.pos) or layer.mode != "pan_zoom":
            return
        # In 3D it is what the ray from the cursor meets first.
        label = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        if label:
            layer.selected_label = int(label)

    def _show_only(self, on: bool) -> None:
        if on and self._layer is None:
            self._panel.only.setChecked(False)
            self._controller.refuse(self._controller.annotations.lacking(NONE_FOUND))
            return
        # napari draws the whole layer again, also where nothing changes.
        if self._layer is not None and self._layer.show_selected_label != on:
            self._layer.show_selected_label = on

    # -- files and endings -------------------------------------------------

    def _ask_export(self) -> None:
        if self._annotation is None or not self._panel.table.items.rowCount():
            self._controller.refuse(self._controller.annotations.lacking(NONE_FOUND))
            return
        name = f"{self._annotation.image.name}-objects"
        path = ask_export_table(self._panel, name)
        if path is not None:
            self.export(path)

    def export(self, path: str | Path) -> None:
        """Write the table as CSV.

        Parameters
        ----------
        path : path
            Where to; written in the worker.
        """
        table = self._panel.table.items.table

        def steps() -> Steps[Path]:
            from napari_segdino.inference.measure import write_table

            yield Progress(0, 0, "Saving the table")
            return write_table(path, table)

        def done(written: Path) -> None:
            self._controller.message.emit(f"The table was saved to {written}.")

        self._controller.runner.start(
            Job("Export table", steps, on_done=done, on_error=self._controller.alarm)
        )

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._let_go()
            self._panel.table.setTable({})
            self._panel.summary.setText(NONE_YET)
            self._panel.stale.hide()

    def _let_go(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            layer.events.selected_label.disconnect(self._on_label)
            layer.mouse_drag_callbacks.remove(self._on_press)


def spacing_and_unit(layer: Labels, ndim: int) -> tuple[tuple[float, ...], str]:
    """Return the distance of pixels along the last axes, and their unit.

    Parameters
    ----------
    layer : napari.layers.Labels
        The mask.
    ndim : int
        Axes wanted, 2 or 3.

    Returns
    -------
    spacing : tuple of float
        In one unit, that of the last axis.
    unit : str
        Such as ``"mm"``; empty for plain pixels, ``"units"`` where the layer
        has a scale of no known unit.
    """
    unit = layer.units[-1]
    if (steps := spacing_in(unit, layer, ndim)) is not None:
        return steps, f"{unit:~}"
    scale = tuple(abs(float(s)) for s in layer.scale[-ndim:])
    return scale, "" if np.allclose(scale, 1) else "units"


def summary(table: Table) -> str:
    """Say how many objects of which class there are.

    Parameters
    ----------
    table : Table
        One row an object, with the columns ``label`` and ``name``.
    """
    count = len(table["label"])
    if not count:
        return "No objects of this size."
    names, counts = np.unique(table["name"], return_counts=True)
    parts = ", ".join(f"{n} {name}" for name, n in zip(names, counts, strict=True))
    return f"1 object: {names[0]}." if count == 1 else f"{count} objects: {parts}."
