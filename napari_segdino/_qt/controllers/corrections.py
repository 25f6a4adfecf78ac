"""Tools to correct with: the brush, whole slices, how the mask is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_segdino._qt.layers.annotation import is_accepted
from napari_segdino._qt.layers.image_layers import some_colors
from napari_segdino._qt.layers.made_layers import MASK_OPACITY, read_plane, set_pixels
from napari_segdino._qt.layers.mask_writer import Piece
from napari_segdino._qt.layers.screen import go_to
from napari_segdino._qt.widgets.tools_panel import ToolsPanel
from napari_segdino.images.reslice import depth_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino._qt.layers.annotations import Annotations
    from napari_segdino._qt.widgets.classes_panel import ClassesPanel
    from napari_segdino.session.session import Session


def take_brush(
    viewer: Viewer, annotation: Annotation, label: int, before: Layer | None = None
) -> None:
    """Select the mask, ready to paint, unless the user is at something else.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    annotation : Annotation
        Whose mask.
    label : int
        What to paint.
    before : napari.layers.Layer, optional
        What was selected when the mask was asked for. Where it still is, the brush
        is wanted next, except by those who paint in the marks.
    """
    active = viewer.layers.selection.active
    # napari hands plugins proxies of layers: they are equal, not the same.
    at_ease = active is None or active in annotation.layers
    waiting = active == before and active != annotation.marks
    if not (at_ease or waiting):
        return
    if active != annotation.mask:
        viewer.layers.selection.active = annotation.mask
        side = min(annotation.planes.plane_shape)
        annotation.mask.brush_size = int(np.clip(side // 40, 3, 30))
    # There is a tool in the hand, which stays.
    elif annotation.mask.mode != "pan_zoom":
        return
    pick_label(viewer, annotation, label)


def pick_label(
    viewer: Viewer, annotation: Annotation, label: int, take: bool = True
) -> None:
    """Paint a label from now on, in the mask and in the marks.

    The brush is taken as well, unless `take` says that another tool is in hand.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    annotation : Annotation
        Whose mask and marks.
    label : int
        0 is background; its mark is ``label + 1``.
    take : bool
        Take the brush too, unless a tool of its own is in the hand.
    """
    annotation.mask.selected_label = label
    annotation.marks.selected_label = label + 1
    # Whoever paints in the marks goes on there.
    active = viewer.layers.selection.active
    if active not in (annotation.mask, annotation.marks):
        viewer.layers.selection.active = active = annotation.mask
    if not take or viewer.dims.ndisplay != 2:
        return
    if active.mode in ("pan_zoom", "erase", "transform"):
        active.mode = "paint"


def paint_what_is_picked(annotation: Annotation | None, classes: ClassesPanel) -> None:
    """Have new layers of an image painted with the class that the dock shows.

    A label that is no class was picked in napari's own controls, and stays.

    Parameters
    ----------
    annotation : Annotation, optional
        Whose layers; None does nothing.
    classes : ClassesPanel
        Of the dock.
    """
    known = {row.item.label for row in classes.rows}
    if annotation is not None and annotation.mask.selected_label in known:
        annotation.mask.selected_label = classes.value()


def suit_color(session: Session, annotations: Annotations, image: Image | None) -> None:
    """Have classes stand out from the image, as far as their colour is not known yet.

    Parameters
    ----------
    session : Session
        Whose classes.
    annotations : Annotations
        Once there is one, the user has seen the first colour, and it stays.
    image : napari.layers.Image, optional
        The image that is picked.
    """
    if image is not None:
        session.suit_color(some_colors(image), seen=bool(list(annotations)))


def remove_class(session: Session, annotations: Annotations, label: int) -> None:
    """Remove a class and its marks; the mask keeps its pixels until it is drawn.

    Parameters
    ----------
    session : Session
        Whose class.
    annotations : Annotations
        All images of the window: none keeps a mark of it.
    label : int
        Its value in masks.

    Raises
    ------
    InputError
        If it is the only class.
    """
    session.remove_class(label)
    for annotation in annotations:
        for plane in range(len(annotation.planes)):
            index = annotation.planes.index(plane)
            at = np.flatnonzero(read_plane(annotation.marks, index) == label + 1)
            gone = np.zeros(at.shape, annotation.marks.data.dtype)
            set_pixels(annotation.marks, index, at, gone, plane == annotation.shown())


OUTLINE = 2
"""Pixels of an outline."""

INTERPOLATE = "Interpolate"

BUSY = "Wait for the mask to be drawn, or press Cancel first."


class Corrector(QObject):  # type: ignore[misc]
    """Does what the tools ask for with the mask that is worked on.

    Parameters
    ----------
    panel : ToolsPanel
        The tools.
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, if any.
    """

    refused = Signal(str)
    """Why nothing was done."""

    def __init__(
        self,
        panel: ToolsPanel,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._controller, self._current = panel, controller, current
        self._volume = False
        panel.accept.clicked.connect(self.accept)
        panel.copy.clicked.connect(self.copy)
        panel.copy_in_time.clicked.connect(self.copy_in_time)
        panel.accept_to_here.clicked.connect(self.accept_to_here)
        panel.interpolate.clicked.connect(self.interpolate)
        panel.opacity_changed.connect(self._set_opacity)
        panel.outline.toggled.connect(self._set_outline)

    def refresh(self) -> None:
        """Show how the mask of the image that is picked is shown."""
        annotation = self._current()
        series = annotation is not None and _is_series(annotation)
        self._panel.copy_in_time.setVisible(series)
        volume = annotation is not None and bool(annotation.planes.lead_shape)
        if volume != self._volume:
            # Once for each kind of image: who folds it again has it folded.
            self._volume = volume
            self._panel.whole.set_open(volume)
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
        new = annotation.mask_sync.accept(annotation.shown())
        if new:
            text = f"{new:,} pixels of this slice are marks now; Ctrl-Z takes it back."
        else:
            text = "This slice was accepted before."
        self._controller.message.emit(text)

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
        self._copy(annotation, [plane], 1)

    def copy_in_time(self) -> None:
        """Draw the masks of this time point in the next one, and go there."""
        annotation = self._ready()
        if annotation is None:
            return
        if not _is_series(annotation):
            self.refused.emit("This image is no series of volumes.")
            return
        depth, plane = depth_of(annotation.planes), annotation.shown()
        if plane + depth >= len(annotation.planes):
            self.refused.emit("There is no next time point.")
            return
        first = plane - plane % depth
        self._copy(annotation, range(first, first + depth), depth)

    def _copy(self, annotation: Annotation, planes: Sequence[int], step: int) -> None:
        """Draw masks of planes so many planes further on, as proposals."""
        shown = annotation.shown()
        for plane in planes:
            annotation.mask_sync.sync(plane)
            mask = read_plane(annotation.mask, annotation.planes.index(plane))
            # A copy: the slice may be painted in before its turn comes.
            annotation.writer.add(Piece(plane + step, np.array(mask)))
        annotation.writer.finish()
        go_to(annotation.viewer, annotation, shown + step)
        self._controller.message.emit(
            "Copied as a proposal: correct it, then say that the slice is right."
        )

    def accept_to_here(self) -> None:
        """Accept every drawn slice from the nearest accepted one to that on screen."""
        annotation = self._ready()
        if annotation is None:
            return
        here = annotation.shown()
        below, above = _accepted_around(annotation, here)
        if below is None and above is None:
            self.refused.emit(
                "Accept a slice first (Slice is right): from there to the slice on "
                "screen all will be accepted."
            )
            return
        near = [p for p in (below, above) if p is not None]
        start = min(near, key=lambda plane: abs(plane - here))
        wanted = range(min(start, here), max(start, here) + 1)
        taken = [p for p in wanted if _is_drawn(annotation, p)]
        changed = [p for p in taken if annotation.mask_sync.accept(p)]
        left = len(wanted) - len(taken)
        text = f"{len(changed)} slices are marks now; Ctrl-Z takes each back."
        if left:
            text += f" {left} without a mask were left out."
        self._controller.message.emit(text)

    def interpolate(self) -> None:
        """Draw the slices between the two accepted ones around that on screen."""
        annotation = self._ready()
        if annotation is None:
            return
        here = annotation.shown()
        below, above = _accepted_around(annotation, here)
        if is_accepted(annotation, here):
            if above is not None and above > here + 1:
                below = here
            else:
                above = here
        if below is None or above is None or above == below + 1:
            self.refused.emit(
                "Interpolate draws what lies between two accepted slices: accept one "
                "on either side first (Slice is right)."
            )
            return
        from napari_segdino.session.tasks import iter_interpolate

        steps = partial(
            iter_interpolate,
            self._controller.session.segmenter,
            annotation.marked(),
            below,
            above,
        )
        self._controller.draw(annotation, INTERPOLATE, steps)

    def _ready(self) -> Annotation | None:
        """Return the mask to work on, None while it cannot be."""
        annotation = self._current()
        if (
            annotation is None
            or annotation.mask_sync.blank
            or not annotation.mask_sync.intact
        ):
            self.refused.emit(self._controller.annotations.lacking())
            return None
        if self._controller.busy:
            self.refused.emit(BUSY)
            return None
        return annotation

    # -- how the mask is shown ---------------------------------------------

    def toggle_mask(self) -> None:
        """Turn the mask off, or on again."""
        annotation = self._followed()
        if annotation is not None:
            annotation.mask.visible = not annotation.mask.visible

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
            self.refused.emit(self._controller.annotations.lacking())
        return annotation


def _is_drawn(annotation: Annotation, plane: int) -> bool:
    """Whether there is a mask on a plane, be it an empty one that was predicted."""
    if annotation.mask_sync.drawn_with(plane) is not None:
        return True
    return bool(read_plane(annotation.mask, annotation.planes.index(plane)).any())


def _accepted_around(
    annotation: Annotation, plane: int
) -> tuple[int | None, int | None]:
    """Return the nearest accepted planes below and above one, in its volume."""
    lead = annotation.planes.lead_shape
    depth = lead[-1] if lead else 1
    start = plane - plane % depth
    lower = range(plane - 1, start - 1, -1)
    upper = range(plane + 1, start + depth)
    below = next((p for p in lower if is_accepted(annotation, p)), None)
    return below, next((p for p in upper if is_accepted(annotation, p)), None)


def _is_series(annotation: Annotation) -> bool:
    """Whether an image has volumes at several times."""
    return annotation.planes.spatial_axes == "TZYX"
