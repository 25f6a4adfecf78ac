"""Show a place of an image: sliders and camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segdino._qt.layers import move_sliders

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino._qt.works import Work


def go_to(
    viewer: Viewer, work: Work, plane: int, at: tuple[float, float] | None = None
) -> None:
    """Move the sliders to a plane, and the camera to a pixel.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    work : Work
        Whose image.
    plane : int
        Flat index over the leading axes.
    at : tuple of float, optional
        Pixel (y, x) to come into the middle; None leaves the camera.
    """
    index = work.planes.index(plane)
    move_sliders(viewer, work.image, index)
    if at is not None and viewer.dims.ndisplay == 2:
        y, x = work.image.data_to_world((*index, *at))[-2:]
        viewer.scene.camera.center = (0.0, float(y), float(x))


def plane_name(work: Work, plane: int) -> str:
    """Return what the sliders say of a plane; empty where there are none."""
    index = work.planes.index(plane)
    return "slice " + ", ".join(str(int(i)) for i in index) if index else ""
