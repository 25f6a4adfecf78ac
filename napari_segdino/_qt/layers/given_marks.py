"""Marks that a sample comes with, before anybody has worked on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_segdino._qt.layers.image_layers import move_sliders
from napari_segdino.io.sample_marks import GIVEN

if TYPE_CHECKING:
    from napari.viewer import Viewer


def came_with(layer: Layer | None, image: Image) -> bool:
    """Whether a layer holds the marks of a sample that nobody has worked on yet.

    Parameters
    ----------
    layer : napari.layers.Layer, optional
        Any layer of the window.
    image : napari.layers.Image
        The sample.
    """
    given = layer.metadata.get(GIVEN) if isinstance(layer, Labels) else None
    return given is not None and given == image.metadata.get(GIVEN)


def take_up(viewer: Viewer, image: Image) -> None:
    """Select a sample instead of the marks that came with it, on their plane.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window; napari selects what was added last.
    image : napari.layers.Image
        Any image: where its given marks are not selected, nothing is done.
    """
    marks = viewer.layers.selection.active
    if not came_with(marks, image):
        return
    viewer.layers.selection.active = image
    marked = np.argwhere(np.asarray(marks.data).any(axis=(-2, -1)))
    move_sliders(viewer, image, tuple(int(n) for n in marked[0]))
