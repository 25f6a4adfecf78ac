"""Show a place of an image: sliders and camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    y, x = at or (0, 0)
    index = (*work.planes.index(plane), y, x)
    world = work.image.data_to_world(index)
    first = viewer.dims.ndim - len(index)
    axes = range(first, first + len(index) - 2)
    if axes:
        viewer.dims.set_point(list(axes), [float(v) for v in world[:-2]])
    if at is not None:
        viewer.camera.center = (0.0, float(world[-2]), float(world[-1]))


def plane_name(work: Work, plane: int) -> str:
    """Return what the sliders say of a plane; empty where there are none."""
    index = work.planes.index(plane)
    return "slice " + ", ".join(str(int(i)) for i in index) if index else ""
