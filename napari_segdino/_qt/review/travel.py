"""Show a place of an image: sliders and camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segdino._qt.layers import move_sliders

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino._qt.annotation import Annotation


def go_to(
    viewer: Viewer,
    annotation: Annotation,
    plane: int,
    at: tuple[float, float] | None = None,
) -> None:
    """Move the sliders to a plane, and the camera to a pixel.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    annotation : Work
        Whose image.
    plane : int
        Flat index over the leading axes.
    at : tuple of float, optional
        Pixel (y, x) to come into the middle; None leaves the camera.
    """
    index = annotation.planes.index(plane)
    move_sliders(viewer, annotation.image, index)
    if at is not None and viewer.dims.ndisplay == 2:
        y, x = annotation.mask.data_to_world((*index, *at))[-2:]
        viewer.scene.camera.center = (0.0, float(y), float(x))


def in_sight(annotation: Annotation, at: tuple[float, float], margin: float) -> bool:
    """Return whether a pixel is on screen, not too near the border of the canvas.

    Parameters
    ----------
    annotation : Work
        Whose image.
    at : tuple of float
        Pixel (y, x).
    margin : float
        Pixels that are to be seen around it, where the image has them.
    """
    if annotation.viewer.dims.ndisplay != 2:
        return False
    # Those of an image with several resolutions are in pixels of one of them.
    low, high = annotation.mask.corner_pixels[:, -2:]
    last = np.array(annotation.planes.plane_shape) - 1
    near = np.clip(np.array(at) - margin, 0, last)
    far = np.clip(np.array(at) + margin, 0, last)
    return bool((near >= low).all() and (far <= high).all())


def plane_name(annotation: Annotation, plane: int) -> str:
    """Return what the sliders say of a plane; empty where there are none."""
    index = annotation.planes.index(plane)
    return "slice " + ", ".join(str(int(i)) for i in index) if index else ""
