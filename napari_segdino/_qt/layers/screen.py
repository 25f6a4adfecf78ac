"""Which image and place the canvas shows, and bringing others there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segdino._qt.layers.channels import images_of, members_of
from napari_segdino._qt.layers.image_layers import (
    image_planes,
    move_sliders,
    plane_shown,
)
from napari_segdino._qt.layers.made_layers import made_for

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_segdino._qt.layers.annotation import Annotation

COVERED = 0.1
"""Part of an image under another one from which on it is hidden by it."""

# With these, what lies below still shows.
SEE_THROUGH = ("additive", "minimum", "multiplicative")


class Screen:
    """Brings images to where they are seen; what hid them comes back with its image.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._hidden: dict[Any, set[Any]] = {}

    def shows(self, image: Image) -> bool:
        """Whether an image can be seen: visible, and under no other one.

        Parameters
        ----------
        image : napari.layers.Image
            Stands for all of its channels.
        """
        others = (layer for one in self._others(image) for layer in one)
        covered = any(self._covers(layer, image) for layer in others)
        return bool(self._seen(image)) and not covered

    def show(self, image: Image) -> None:
        """Make an image visible; others are hidden only where they cover it.

        Parameters
        ----------
        image : napari.layers.Image
            The layer that stands for the image.
        """
        members = members_of(self._viewer, image)
        ours = made_for(self._viewer, image)
        if not self._seen(image):
            for layer in members:
                layer.visible = True
        back = self._hidden.pop(image.unique_id, set())
        for layer in (*members, *ours):
            if layer.unique_id in back:
                layer.visible = True
        self._bring_near(image)
        for lead, layers in self._in_the_way(image):
            hidden = self._hidden.setdefault(lead.unique_id, set())
            for layer in layers:
                layer.visible = False
                hidden.add(layer.unique_id)

    def _seen(self, image: Image) -> list[Image]:
        members = members_of(self._viewer, image)
        return [x for x in members if x.visible and x.opacity > 0]

    def _in_the_way(self, image: Image) -> list[tuple[Image, list[Layer]]]:
        """Return other images with what of them is to be hidden to see this one.

        That is all of an image that covers it, and of others masks that lie on it.
        """
        found = []
        for members in self._others(image):
            ours = [x for x in made_for(self._viewer, members[0]) if x.visible]
            visible = [x for x in members if x.visible]
            if any(self._covers(x, image) for x in visible):
                found.append((members[0], [*visible, *ours]))
            else:
                over = [x for x in ours if self._lies_over(x, image)]
                found.append((members[0], over))
        return found

    def _others(self, image: Image) -> list[list[Image]]:
        return [one for one in images_of(self._viewer) if image not in one]

    def _covers(self, layer: Layer, image: Image) -> bool:
        opaque = layer.opacity == 1 and layer.blending not in SEE_THROUGH
        return bool(layer.visible and opaque and self._lies_over(layer, image))

    def _lies_over(self, upper: Layer, lower: Image) -> bool:
        """Whether a layer that is drawn now lies on most of another one."""
        order, seen = list(self._viewer.layers), self._seen(lower)
        # Later in the list is further up.
        if order.index(upper) < min(map(order.index, seen), default=0):
            return False
        (low, high), (first, last) = (self._extent(x) for x in (upper, lower))
        displayed = list(self._viewer.dims.displayed)
        rest = [i for i in range(len(low)) if i not in displayed]
        point = np.array(self._viewer.dims.point)
        if (point[rest] < low[rest]).any() or (point[rest] > high[rest]).any():
            return False
        shared = np.minimum(high, last) - np.maximum(low, first)
        size = np.maximum(last - first, 1e-9)
        return bool((shared[displayed].clip(0) / size[displayed]).prod() >= COVERED)

    def _extent(self, layer: Layer) -> tuple[Any, Any]:
        """Low and high corner in the window's axes; without end where it has none."""
        low, high = np.array(layer.extent.world)
        missing = self._viewer.dims.ndim - len(low)
        step = np.array(layer.extent.step) / 2
        # napari counts from the middle of the first pixel to that of the last.
        low, high = low - step, high + step
        return (
            np.concatenate([np.full(missing, -np.inf), low]),
            np.concatenate([np.full(missing, np.inf), high]),
        )

    def _bring_near(self, image: Image) -> None:
        """Move sliders and camera to an image that they have left behind."""
        viewer = self._viewer
        low, high = self._extent(image)
        displayed = list(viewer.dims.displayed)
        rest = [i for i in range(len(low)) if i not in displayed]
        point = np.array(viewer.dims.point)
        if (point[rest] < low[rest]).any() or (point[rest] > high[rest]).any():
            planes = image_planes(image)
            shown = plane_shown(viewer, image, planes)
            move_sliders(viewer, image, planes.index(shown))
        camera, shown_axes = viewer.scene.camera, displayed[-2:]
        centre = np.array(camera.center)
        at = centre[-2:]
        if (at < low[shown_axes]).any() or (at > high[shown_axes]).any():
            centre[-2:] = (low[shown_axes] + high[shown_axes]) / 2
            # (z, y, x), of which z does not count in 2D.
            camera.center = tuple(centre)


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
    annotation : Annotation
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
    annotation : Annotation
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
    """Return what the sliders say of a plane; empty where there are none.

    Parameters
    ----------
    annotation : Annotation
        Whose image.
    plane : int
        Flat index over the leading axes of the image.
    """
    index = annotation.planes.index(plane)
    return "slice " + ", ".join(str(int(i)) for i in index) if index else ""
