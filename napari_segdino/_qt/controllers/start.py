"""How a mask starts: an object clicked, a box around it, or a mask of another tool."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components.overlays import ZoomOverlay
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from napari_segdino._qt.keys import native
from napari_segdino._qt.layers.channels import bind
from napari_segdino._qt.layers.image_layers import title
from napari_segdino._qt.layers.layer_combo import LayerCombo

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QAbstractButton

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation

RUBBER_BAND = "segdino_box"
"""Name of the overlay that shows a box while it is dragged."""

SHAKE = 3
"""Pixels of the canvas that a click may move."""

CLICK_TEXT = (
    "Click on an object: what looks alike is drawn. Pick Background and click where it "
    "is too much."
)

BOX_TEXT = (
    "Drag a box around an object of the picked class, so that all of it lies inside. "
    "Scroll to zoom; click Box again to put the tool away."
)


def is_click(begun: Any, ended: Any) -> bool:
    """Whether the mouse stayed where it was pressed.

    Parameters
    ----------
    begun, ended : sequence of float
        Positions in pixels of the canvas.
    """
    return bool(np.abs(np.asarray(ended) - np.asarray(begun)).max() <= SHAKE)


class StartTools(QObject):  # type: ignore[misc]
    """Two modes of the mask: a click draws what looks alike, a drag what is in a box.

    With the first the view can still be dragged. Taking another tool ends either.

    Parameters
    ----------
    click, box : QAbstractButton
        Checked while their tool is in the hand; at most one is.
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, if any.
    label : callable
        Returns the class that is picked.
    """

    refused = Signal(str)
    """Why the tool cannot be taken."""

    def __init__(
        self,
        click: QAbstractButton,
        box: QAbstractButton,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        label: Callable[[], int],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._click, self._box, self._controller = click, box, controller
        self._current, self._label = current, label
        self._annotation: Annotation | None = None
        click.toggled.connect(partial(self._toggle, click))
        box.toggled.connect(partial(self._toggle, box))
        controller.annotations.lost.connect(self.put_down)

    @property
    def in_hand(self) -> bool:
        """Whether one of them is taken."""
        return bool(self._click.isChecked() or self._box.isChecked())

    def put_down(self) -> None:
        """End it; safe to call at any time."""
        self._click.setChecked(False)
        self._box.setChecked(False)

    def _toggle(self, button: QAbstractButton, on: bool) -> None:
        if self._annotation is not None:
            self._let_go(self._annotation)
        if not on:
            return
        (self._box if button is self._click else self._click).setChecked(False)
        annotation = self._current()
        if annotation is None or not annotation.mask_sync.intact:
            self.put_down()
            self.refused.emit(self._controller.annotations.lacking())
            return
        self._annotation = annotation
        annotation.viewer.layers.selection.active = annotation.mask
        annotation.mask.mode = "pan_zoom"
        # Else napari would drag the view along with the corner of the box.
        annotation.mask.mouse_pan = button is self._click
        annotation.mask.mouse_drag_callbacks.append(self._on_press)
        annotation.mask.events.mode.connect(self._on_mode)
        text = CLICK_TEXT if button is self._click else BOX_TEXT
        self._controller.message.emit(text)

    def _let_go(self, annotation: Annotation) -> None:
        self._annotation = None
        annotation.mask.events.mode.disconnect(self._on_mode)
        annotation.mask.mouse_drag_callbacks.remove(self._on_press)
        if annotation.mask.mode == "pan_zoom":
            annotation.mask.mouse_pan = True
            if annotation.viewer.dims.ndisplay == 2:
                annotation.mask.mode = "paint"

    def _on_mode(self, event: Any = None) -> None:
        """The user took another tool."""
        self.put_down()

    def _on_press(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        annotation = self._annotation
        if annotation is None:
            return
        begun, corner = np.array(event.pos), self._pixel(layer, event)
        boxed = self._box.isChecked()
        rubber_band = _RubberBand(annotation.viewer)
        yield
        while event.type == "mouse_move":
            if boxed:
                rubber_band.show(begun, event.pos)
            yield
        rubber_band.hide()
        # A box is no click, and a click no box.
        if event.button != 1 or is_click(begun, event.pos) == boxed:
            return
        at = self._pixel(layer, event)
        act = partial(self._draw_box, annotation, (*corner, *at))
        if not boxed:
            height, width = annotation.planes.plane_shape
            if not (-0.5 <= at[0] < height - 0.5 and -0.5 <= at[1] < width - 0.5):
                return
            act = partial(self._mark, annotation, at)
        # A job lets the window handle events: not within this one.
        QTimer.singleShot(0, act)

    @staticmethod
    def _pixel(layer: Labels, event: Any) -> tuple[float, float]:
        """Where the mouse is, in pixels of the plane; their centres are whole."""
        y, x = (float(c) for c in layer.world_to_data(event.position)[-2:])
        return y, x

    def _mark(self, annotation: Annotation, point: tuple[float, float]) -> None:
        if annotation is self._annotation and annotation.mask_sync.intact:
            annotation.mask_sync.dot(point, self._label())
            self._controller.start(annotation.image)

    def _draw_box(self, annotation: Annotation, edges: tuple[float, ...]) -> None:
        label = self._label()
        if annotation is not self._annotation or not annotation.mask_sync.intact:
            return
        if label < 1:
            self.refused.emit("Pick a class first: a box is drawn around an object.")
            return
        axes = annotation.viewer.dims.displayed[-2:]
        if axes != tuple(range(annotation.viewer.dims.ndim))[-2:]:
            self.refused.emit(
                "A box is drawn on a slice: roll the axes back with Ctrl-E first."
            )
            return
        from napari_segdino.images.boxes import Box
        from napari_segdino.session.tasks import iter_start_box

        # A box counts from the corner of the first pixel, a layer from its centre.
        y0, x0, y1, x1 = (edge + 0.5 for edge in edges)
        box = Box(annotation.shown(), y0, x0, y1, x1, label)
        controller, mask = self._controller, annotation.mask.data
        learned = controller.session.learned.get(annotation.key, {})
        bind(annotation.viewer, annotation.image)
        marked = annotation.marked(learned)
        how = controller.session.segmenter, marked, mask, box
        controller.draw(annotation, "Box", partial(iter_start_box, *how))


class _RubberBand:
    """The rectangle under the mouse while a box is dragged."""

    def __init__(self, viewer: Viewer) -> None:
        overlays = viewer.canvas.overlays
        if RUBBER_BAND not in overlays:
            overlays[RUBBER_BAND] = ZoomOverlay()
        self._box = overlays[RUBBER_BAND]

    def show(self, begun: Any, now: Any) -> None:
        """Span it between two positions (y, x) in pixels of the canvas."""
        self._box.position = tuple(begun[::-1]), tuple(now[::-1])
        self._box.visible = True

    def hide(self) -> None:
        """Take it away."""
        self._box.visible = False


class GivenMask(QWidget):  # type: ignore[misc]
    """Lets the user pick a Labels layer and use it as the mask of the image.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, if any.
    """

    def __init__(
        self,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller, self._current = controller, current
        self.layer = LayerCombo(controller.viewer, Labels, nothing="no Labels layer")
        self.use = QPushButton("Use as mask")
        self.layer.setToolTip("A Labels layer: opened from a file, or of another tool")
        self.use.setToolTip(
            "Draw this layer as the mask and learn from it; your strokes soon outweigh "
            f"it, and {native('Ctrl-Z')} takes it back"
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self.layer, 0, 0)
        grid.addWidget(self.use, 0, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        self.use.clicked.connect(lambda _: self._use())

    def release(self) -> None:
        """Stop following the layer list."""
        self.layer.release()

    def _use(self) -> None:
        annotation, layer = self._current(), self.layer.value()
        controller = self._controller
        if annotation is None or not annotation.mask_sync.intact:
            controller.refuse(controller.annotations.lacking())
        elif layer is None:
            controller.refuse("Pick a Labels layer first: open one, or add one.")
        elif tuple(layer.data.shape) != annotation.planes.spatial_shape:
            controller.refuse(
                f"{layer.name} has another shape than {title(annotation.image)}: it "
                "cannot be its mask."
            )
        else:
            from napari_segdino.session.tasks import iter_adopt_mask

            bind(annotation.viewer, annotation.image)
            marked = annotation.marked()
            mask = annotation.mask.data
            session, label = controller.session, int(annotation.mask.selected_label)
            classes = [c.label for c in session.classes]
            label = label if label in classes else classes[0]
            how = session.segmenter, marked, mask, layer.data, classes, label
            controller.draw(annotation, "Mask", partial(iter_adopt_mask, *how))
