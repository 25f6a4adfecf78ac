"""A Labels layer as mask: what another tool made is drawn, and learned weakly."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from napari_segdino._qt.keys import native
from napari_segdino._qt.layers.channels import bind
from napari_segdino._qt.layers.image_layers import title
from napari_segdino._qt.layers.layer_combo import LayerCombo
from napari_segdino.session.tasks import iter_adopt_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation


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
            bind(annotation.viewer, annotation.image)
            marked = controller.marked(annotation, {})
            mask = annotation.mask.data
            session, label = controller.session, int(annotation.mask.selected_label)
            classes = [c.label for c in session.classes]
            label = label if label in classes else classes[0]
            how = session.segmenter, marked, mask, layer.data, classes, label
            controller.draw(annotation, "Mask", partial(iter_adopt_mask, *how))
