"""Click to start: an object is clicked, and what looks alike is drawn."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari.layers import Labels
    from qtpy.QtWidgets import QAbstractButton

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation

SHAKE = 3
"""Pixels of the canvas that a click may move."""


def is_click(begun: Any, ended: Any) -> bool:
    """Whether the mouse stayed where it was pressed, in canvas pixels.

    Parameters
    ----------
    begun, ended : array-like of float, shape (2,)
        Where the button went down and up, in canvas pixels.
    """
    return bool(np.abs(np.asarray(ended) - np.asarray(begun)).max() <= SHAKE)


class ClickTool(QObject):  # type: ignore[misc]
    """A mode of the mask in which a click is a mark and draws what looks alike.

    The view can still be dragged. Taking another tool ends it.

    Parameters
    ----------
    button : QAbstractButton
        Checked while the tool is in the hand.
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
        button: QAbstractButton,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        label: Callable[[], int],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._button, self._controller = button, controller
        self._current, self._label = current, label
        self._annotation: Annotation | None = None
        button.toggled.connect(self._toggle)
        controller.annotations.lost.connect(self.put_down)

    def put_down(self) -> None:
        """End it; safe to call at any time."""
        self._button.setChecked(False)

    def _toggle(self, on: bool) -> None:
        if self._annotation is not None:
            self._let_go(self._annotation)
        if not on:
            return
        annotation = self._current()
        if annotation is None or not annotation.mask_sync.intact:
            self.put_down()
            self.refused.emit(self._controller.annotations.lacking())
            return
        self._annotation = annotation
        annotation.viewer.layers.selection.active = annotation.mask
        annotation.mask.mode = "pan_zoom"
        annotation.mask.mouse_drag_callbacks.append(self._on_press)
        # Connected last: setting the mode above is no other tool.
        annotation.mask.events.mode.connect(self._on_mode)
        self._controller.message.emit(
            "Click on an object: what looks alike is drawn. Pick Background and "
            "click where it is too much."
        )

    def _let_go(self, annotation: Annotation) -> None:
        self._annotation = None
        annotation.mask.events.mode.disconnect(self._on_mode)
        annotation.mask.mouse_drag_callbacks.remove(self._on_press)
        if annotation.mask.mode == "pan_zoom" and annotation.viewer.dims.ndisplay == 2:
            annotation.mask.mode = "paint"

    def _on_mode(self, event: Any = None) -> None:
        """The user took another tool."""
        self.put_down()

    def _on_press(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        begun = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        annotation = self._annotation
        if annotation is None or event.button != 1 or not is_click(begun, event.pos):
            return
        y, x = (float(c) for c in layer.world_to_data(event.position)[-2:])
        height, width = annotation.planes.plane_shape
        if -0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5:
            # A job lets the window handle events: not within this one.
            QTimer.singleShot(0, partial(self._mark, annotation, (y, x)))

    def _mark(self, annotation: Annotation, point: tuple[float, float]) -> None:
        if annotation is self._annotation and annotation.mask_sync.intact:
            annotation.mask_sync.dot(point, self._label())
            self._controller.start(annotation.image)
