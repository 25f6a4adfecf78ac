"""Layers of an image lie where it lies and are called after it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segdino._qt.layers import (
    PLACE,
    kind_of,
    layer_name,
    made_for,
    placed_like,
    title,
)

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer


class Attached:
    """Moves and renames the layers that were made for an image along with it.

    A layer that the user gave another name keeps it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        Is followed until :meth:`release`.
    """

    def __init__(self, viewer: Viewer, image: Image) -> None:
        self._viewer, self._image = viewer, image
        self._name = title(image)
        for name in PLACE:
            getattr(image.events, name).connect(self._place)
        image.events.name.connect(self._rename)

    def release(self) -> None:
        """Let go of the image."""
        for name in PLACE:
            getattr(self._image.events, name).disconnect(self._place)
        self._image.events.name.disconnect(self._rename)

    def _place(self, event: Any = None) -> None:
        for layer in made_for(self._viewer, self._image):
            _put(layer, placed_like(self._image, (1,) * layer.ndim))

    def _rename(self, event: Any = None) -> None:
        before, self._name = self._name, title(self._image)
        for layer in made_for(self._viewer, self._image):
            kind = kind_of(layer)
            # napari numbers layers of one name.
            given = rf"{re.escape(before)} {re.escape(kind)}( \[\d+\])?"
            if re.fullmatch(given, layer.name):
                layer.name = layer_name(self._image, kind)


def _put(layer: Layer, place: dict[str, Any]) -> None:
    for name, wanted in place.items():
        if not _same(getattr(layer, name), wanted):
            setattr(layer, name, wanted)


def _same(one: Any, other: Any) -> bool:
    one, other = (getattr(x, "affine_matrix", x) for x in (one, other))
    return np.array_equal(np.asarray(one, object), np.asarray(other, object))
