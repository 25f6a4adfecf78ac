"""What comes next: the sentence of a new image, and the button in colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_segdino._qt.layers.given_marks import came_with
from napari_segdino._qt.layers.made_layers import read_plane
from napari_segdino._qt.messages import welcome

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.widgets.panels import ActionPanel


class NextStep(QObject):  # type: ignore[misc]
    """Shows which of Segment and Retrain comes next, and says what to do first.

    Parameters
    ----------
    actions : ActionPanel
        The two buttons.
    controller : SessionController
        Of the window.
    image : callable
        Returns the image that is picked, if any.
    """

    def __init__(
        self,
        actions: ActionPanel,
        controller: SessionController,
        image: Callable[[], Image | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._actions, self._controller, self._image = actions, controller, image
        for signal in (controller.prepared, controller.drawn):
            signal.connect(self.refresh)
        controller.annotations.marked.connect(self.refresh)

    def refresh(self, *_: object) -> None:
        """Show the button that comes next in colour."""
        actions, (drawn, marked) = self._actions, self._there()
        actions.show_next(actions.retrain if drawn or marked else actions.segment)

    def sentence(self) -> str:
        """Return what to do first with the image that is picked."""
        return welcome(
            self._image() is not None, *self._there(), self._controller.session
        )

    def _there(self) -> tuple[bool, bool]:
        """Return whether there is a mask, and whether what is on screen has marks."""
        image, annotations = self._image(), self._controller.annotations
        annotation = None if image is None else annotations.get(image)
        if annotation is None:
            layers = self._controller.viewer.layers
            return False, image is not None and any(came_with(x, image) for x in layers)
        # Not all of the marks: a volume takes its time to be looked through.
        shown = annotation.planes.index(annotation.shown())
        marked = bool(read_plane(annotation.marks, shown).any())
        return annotations.drawn(image) is not None, marked
