"""Tools to correct with: whole slices, and how the mask is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_segdino._qt.layers import MASK_OPACITY, read_plane
from napari_segdino._qt.review.travel import go_to
from napari_segdino._qt.tools_panel import ToolsPanel
from napari_segdino._qt.writer import Piece

if TYPE_CHECKING:
    from napari_segdino._qt.annotation import Annotation
    from napari_segdino._qt.engine import Engine

OUTLINE = 2
"""Pixels of an outline."""

BUSY = "Wait for the mask to be drawn, or press Cancel first."


class Corrector(QObject):  # type: ignore[misc]
    """Does what the tools ask for with the mask that is worked on.

    Parameters
    ----------
    panel : ToolsPanel
        The tools.
    engine : Engine
        Of the window.
    current : callable
        Returns the Work on the image that is picked, if any.
    """

    refused = Signal(str)
    """Why nothing was done."""

    def __init__(
        self,
        panel: ToolsPanel,
        engine: Engine,
        current: Callable[[], Annotation | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._engine, self._current = panel, engine, current
        panel.accept.clicked.connect(self.accept)
        panel.copy.clicked.connect(self.copy)
        panel.opacity_changed.connect(self._set_opacity)
        panel.outline.toggled.connect(self._set_outline)

    def refresh(self) -> None:
        """Show how the mask of the image that is picked is shown."""
        annotation = self._current()
        if annotation is None:
            self._panel.show_mask(MASK_OPACITY, False)
        else:
            self._panel.show_mask(annotation.mask.opacity, annotation.mask.contour > 0)

    # -- slices ------------------------------------------------------------

    def accept(self) -> None:
        """Make the mask of the slice that is shown marks, as one step."""
        annotation = self._ready()
        if annotation is None:
            return
        new = annotation.watch.accept(annotation.shown())
        if new:
            text = f"{new:,} pixels of this slice are marks now; Ctrl-Z takes it back."
        else:
            text = "This slice was accepted before."
        self._engine.message.emit(text)

    def copy(self) -> None:
        """Draw the mask of the slice that is shown in the next one, and go there.

        It is drawn as a prediction is: one step, and no mark of its own.
        """
        annotation = self._ready()
        if annotation is None:
            return
        plane = annotation.shown()
        lead = annotation.planes.index(plane)
        if not lead or lead[-1] + 1 >= annotation.planes.lead_shape[-1]:
            self.refused.emit("There is no next slice.")
            return
        annotation.watch.look(plane)
        annotation.writer.add(
            Piece(plane + 1, np.array(read_plane(annotation.mask, lead)))
        )
        annotation.writer.finish()
        go_to(annotation.viewer, annotation, plane + 1)
        self._engine.message.emit(
            "Copied as a proposal: correct it, then say that the slice is right."
        )

    def _ready(self) -> Annotation | None:
        """Return the mask to work on, None while it cannot be."""
        annotation = self._current()
        if annotation is None or annotation.watch.blank or not annotation.watch.intact:
            self.refused.emit(self._engine.annotations.lacking())
            return None
        if self._engine.busy:
            self.refused.emit(BUSY)
            return None
        return annotation

    # -- how the mask is shown ---------------------------------------------

    def toggle_mask(self) -> None:
        """Turn the mask off, or on again."""
        annotation = self._followed()
        if annotation is not None:
            annotation.mask.visible = not annotation.mask.visible

    def toggle_outline(self) -> None:
        """Show the outline of the mask, or fill it again."""
        self._panel.outline.toggle()

    def _set_opacity(self, opacity: float) -> None:
        annotation = self._followed()
        if annotation is not None:
            annotation.mask.opacity = opacity

    def _set_outline(self, on: bool) -> None:
        annotation = self._followed()
        if annotation is not None:
            annotation.mask.contour = OUTLINE if on else 0

    def _followed(self) -> Annotation | None:
        """Return the mask whose look is wanted; without one nothing stays set."""
        annotation = self._current()
        if annotation is None:
            self.refresh()
            self.refused.emit(self._engine.annotations.lacking())
        return annotation
