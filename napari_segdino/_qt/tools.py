"""What the user paints with: the brush, its label, and classes that go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segdino._qt.layers import read_plane, set_pixels

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_segdino._qt.work import Work
    from napari_segdino._qt.works import Works
    from napari_segdino.session.session import Session


def take_brush(
    viewer: Viewer, work: Work, label: int, before: Layer | None = None
) -> None:
    """Select the mask, ready to paint, unless the user is at something else.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    work : Work
        Whose mask.
    label : int
        What to paint.
    before : napari.layers.Layer, optional
        What was selected when the mask was asked for. Where it still is, the brush
        is wanted next, except by those who paint in the marks.
    """
    active = viewer.layers.selection.active
    # napari hands plugins proxies of layers: they are equal, not the same.
    at_ease = active is None or active in work.layers
    waiting = active == before and active != work.marks
    if not (at_ease or waiting):
        return
    if active != work.mask:
        viewer.layers.selection.active = work.mask
        side = min(work.planes.plane_shape)
        work.mask.brush_size = int(np.clip(side // 40, 3, 30))
    elif work.mask.mode != "pan_zoom":
        return
    pick_label(viewer, work, label)


def pick_label(viewer: Viewer, work: Work, label: int, take: bool = True) -> None:
    """Paint a label from now on, in the mask and in the marks.

    The brush is taken as well, unless `take` says that another tool is in hand.
    """
    work.mask.selected_label = label
    work.marks.selected_label = label + 1
    active = viewer.layers.selection.active
    if active not in (work.mask, work.marks):
        viewer.layers.selection.active = active = work.mask
    if not take or viewer.dims.ndisplay != 2:
        return
    if active.mode in ("pan_zoom", "erase", "transform"):
        active.mode = "paint"


def remove_class(session: Session, works: Works, label: int) -> None:
    """Remove a class and its marks; the mask keeps its pixels until it is drawn.

    Raises
    ------
    InputError
        If it is the only class.
    """
    session.remove_class(label)
    for work in works:
        for plane in range(len(work.planes)):
            index = work.planes.index(plane)
            at = np.flatnonzero(read_plane(work.marks, index) == label + 1)
            gone = np.zeros(at.shape, work.marks.data.dtype)
            set_pixels(work.marks, index, at, gone, plane == work.shown())
