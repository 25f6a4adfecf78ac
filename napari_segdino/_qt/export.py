"""Write a mask where the user wants it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segdino.io.formats import own_suffix
from napari_segdino.io.napari_plugin import layer_header, write_labels

if TYPE_CHECKING:
    from napari.layers import Image, Labels


def mask_writer(mask: Labels, path: str | Path) -> Callable[[], list[str]]:
    """Return what writes a mask as it is now, for the worker to call.

    Parameters
    ----------
    mask : napari.layers.Labels
        The mask; it lies in the geometry of its image.
    path : path
        Where to; the suffix decides the format.
    """
    data, meta = mask.data.copy(), placing(mask)
    return lambda: write_labels(str(path), data, meta)


def placing(layer: Image | Labels) -> dict[str, Any]:
    """Return what says where a layer lies, as napari hands it to writers."""
    return {
        "metadata": dict(layer.metadata),
        "axis_labels": tuple(layer.axis_labels),
        "scale": tuple(float(s) for s in layer.scale),
        "translate": tuple(float(t) for t in layer.translate),
        "units": tuple(str(u) for u in layer.units),
    }


def proposed_suffix(mask: Labels) -> str:
    """Return the suffix of the scan's own format, for the file dialog."""
    stored = isinstance(mask.metadata.get("segdino"), dict)
    return own_suffix(layer_header(mask.data, placing(mask)) if stored else None)
