"""Which channels an image of a project has, and their layers found again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_segdino._qt.layers.channels import (
    channels_of,
    images_of,
    is_used,
    join,
    members_of,
    stacked,
)
from napari_segdino._qt.layers.files import origin
from napari_segdino._qt.layers.image_layers import (
    channel_axis,
    choose_channels,
    image_planes,
)
from napari_segdino.errors import InputError
from napari_segdino.session.project.about import ChannelEntry, ImageEntry, image_print

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino._qt.layers.annotation import Annotation


def channel_entries(annotation: Annotation) -> tuple[ChannelEntry, ...]:
    """Return what a project keeps of the channels of an image."""
    image, viewer = annotation.image, annotation.viewer
    if channel_axis(image) is not None:
        found = channels_of(viewer, image)
        return tuple(ChannelEntry(c.name, c.used, place=c.place) for c in found)
    members = members_of(viewer, image)
    if len(members) == 1:
        return ()
    home = origin(image).path
    entries = []
    for layer in members:
        came = origin(layer)
        own = ("", "") if came.path == home else (came.path, came.reader)
        entries.append(ChannelEntry(layer.name, is_used(layer), *own))
    return tuple(entries)


def find_channels(viewer: Viewer, entry: ImageEntry) -> Image | None:
    """Find open layers that are the channels of a saved image; make them so.

    Returns
    -------
    napari.layers.Image or None
        The layer that stands for the image.
    """
    if entry.channels[0].place >= 0:
        return _find_axis(viewer, entry)
    found = [x for x in _candidates(viewer, entry) if _fits(x, entry)]
    same = (x for x in found if _is_same(x, entry))
    named = (
        x for x in found if [y.name for y in x] == [c.name for c in entry.channels]
    )
    layers = next(same, None) or next(named, None)
    return join(layers, [c.used for c in entry.channels]) if layers else None


def found_beside(path: str, home: str) -> Path | None:
    """Find a file where it was, or in the folder of another one that moved with it."""
    if not path:
        return None
    places = Path(path), Path(home).parent / Path(path).name
    return next((place for place in places if place.exists()), None)


def _candidates(viewer: Viewer, entry: ImageEntry) -> Iterator[list[Image]]:
    """Yield layers that may be the channels, in their order."""
    for members in images_of(viewer):
        if len(members) == len(entry.channels):
            yield members
    by_name = {x.name: x for x in viewer.layers if isinstance(x, Image)}
    named = [by_name[c.name] for c in entry.channels if c.name in by_name]
    if len(named) == len(entry.channels):
        yield named


def _used(layers: Sequence[Image], entry: ImageEntry) -> list[Image]:
    return [x for x, c in zip(layers, entry.channels, strict=True) if c.used]


def _fits(layers: Sequence[Image], entry: ImageEntry) -> bool:
    try:
        shapes = {image_planes(x).spatial_shape for x in layers}
    except InputError:
        return False
    return shapes == {entry.shape}


def _is_same(layers: Sequence[Image], entry: ImageEntry) -> bool:
    return (
        bool(entry.print) and image_print(stacked(_used(layers, entry))) == entry.print
    )


def _find_axis(viewer: Viewer, entry: ImageEntry) -> Image | None:
    """Find an open layer with an axis of channels."""
    on = [c.place for c in entry.channels if c.used]
    for layer in viewer.layers:
        if not isinstance(layer, Image) or channel_axis(layer) is None:
            continue
        if len(channels_of(viewer, layer)) != len(entry.channels):
            continue
        before = layer.metadata.copy()
        choose_channels(layer, on)
        planes = image_planes(layer)
        known = entry.print and image_print(planes) == entry.print
        if planes.spatial_shape == entry.shape and (known or layer.name == entry.name):
            return layer
        layer.metadata.clear()
        layer.metadata.update(before)
    return None
