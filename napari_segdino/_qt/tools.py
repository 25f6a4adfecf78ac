"""What the user paints with: the brush, its label, and classes that go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segdino._qt.layers import read_plane, set_pixels

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_segdino._qt.annotation import Annotation
    from napari_segdino._qt.annotations import Annotations
    from napari_segdino.session.session import Session


def take_brush(
    viewer: Viewer, annotation: Annotation, label: int, before: Layer | None = None
) -> None:
    """Select the mask, ready to paint, unless the user is at something else.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    annotation : Work
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
    elif annotation.mask.mode != "pan_zoom":
        return
    pick_label(viewer, annotation, label)


def pick_label(
    viewer: Viewer, annotation: Annotation, label: int, take: bool = True
) -> None:
    """Paint a label from now on, in the mask and in the marks.

    The brush is taken as well, unless `take` says that another tool is in hand.
    """
    annotation.mask.selected_label = label
    annotation.marks.selected_label = label + 1
    active = viewer.layers.selection.active
    if active not in (annotation.mask, annotation.marks):
        viewer.layers.selection.active = active = annotation.mask
    if not take or viewer.dims.ndisplay != 2:
        return
    if active.mode in ("pan_zoom", "erase", "transform"):
        active.mode = "paint"


def remove_class(session: Session, annotations: Annotations, label: int) -> None:
    """Remove a class and its marks; the mask keeps its pixels until it is drawn.

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
