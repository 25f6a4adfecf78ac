"""Image layers that are the channels of one image, with one mask for all."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.layers import Image

from napari_segdino._qt.layers.files import origin
from napari_segdino._qt.layers.given_marks import came_with
from napari_segdino._qt.layers.image_layers import (
    channel_axis,
    channels_on,
    choose_channels,
    full_resolution,
    image_planes,
    planes_like,
    set_title,
    title,
)
from napari_segdino._qt.layers.made_layers import is_ours, made_for, owner_of
from napari_segdino.images.channel_stack import ChannelStack, Part
from napari_segdino.images.planes import Planes

if TYPE_CHECKING:
    from napari.viewer import Viewer

_NOTE = "segdino_channel"
"""In a layer's metadata: what was decided once holds, whatever is done to blending
and order."""


@dataclass(frozen=True)
class Channel:
    """A channel that an image has, or can have.

    Parameters
    ----------
    layer : napari.layers.Image
        Where it lies.
    place : int
        On the layer's axis of channels; 0 if it has none.
    name : str
        For people.
    used : bool
        Whether it is segmented on.
    """

    layer: Image
    place: int
    name: str
    used: bool


def images_of(viewer: Viewer) -> list[list[Image]]:
    """Return the images of a window, each as the layers that are its channels.

    These are the layers of one file, or layers that are shown as a sum (additive
    blending), of one shape and place; and those that the user chose.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.

    Returns
    -------
    list of list of napari.layers.Image
        Used or not; the one that stands for the image comes first.
    """
    layers = [x for x in viewer.layers if isinstance(x, Image) and not is_ours(x)]
    named = {x.unique_id: x for x in layers}
    together: dict[Any, list[Image]] = {}
    sums: dict[tuple[int, ...], Any] = {}
    free = [x for x in layers if _noted_lead(named, x) is None]
    of_file = Counter(_file_of(x) for x in free)
    for layer in layers:
        lead, file = _noted_lead(named, layer), _file_of(layer)
        key: Any = layer.unique_id
        if lead is not None:
            # What was decided once comes before what file and blending suggest.
            key = lead.unique_id
        elif file and of_file[file] > 1:
            key = file
        elif not layer.rgb:
            key = _sum_of(layer, sums)
        together.setdefault(key, []).append(layer)
    images = [one for found in together.values() for one in _of_one_place(found)]
    order = {x.unique_id: i for i, x in enumerate(layers)}
    images.sort(key=lambda one: order[one[0].unique_id])
    return [_lead_first(viewer, one) for one in images]


def name_of(layers: Sequence[Image]) -> str:
    """Return what an image of these layers is called in a list."""
    named = title(layers[0])
    if len(layers) == 1:
        return named
    named = _shared_name(layers) if named == layers[0].name else named
    return f"{named} ({len(layers)} channels)"


def members_of(viewer: Viewer, image: Image) -> list[Image]:
    """Return the layers that are one image with this one; its lead comes first.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        Any channel of the image.

    Returns
    -------
    list of napari.layers.Image
        Used or not; only the layer itself where it is an image alone.
    """
    return next((one for one in images_of(viewer) if image in one), [image])


def lead_of(viewer: Viewer, image: Image) -> Image:
    """Return the layer that stands for the image of which this is a channel."""
    return members_of(viewer, image)[0]


def image_of(viewer: Viewer, layer: Any) -> Image | None:
    """Return the image that a layer means: its own, or what it was made for."""
    key = owner_of(layer) or layer.unique_id
    for one in images_of(viewer):
        if any(x.unique_id == key or came_with(layer, x) for x in one):
            return one[0]
    return None


def planes_of(viewer: Viewer, image: Image) -> Planes:
    """Read the channels of an image that are used as planes; nothing is copied.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        Any channel of the image.

    Raises
    ------
    InputError
        If it cannot be segmented.
    """
    members = members_of(viewer, image)
    # Those that were used may have been removed since.
    return stacked([x for x in members if is_used(x)] or members[:1])


def stacked(used: Sequence[Image]) -> Planes:
    """Read layers of one place as the channels of one image.

    Parameters
    ----------
    used : sequence of napari.layers.Image
        Of one shape, in the order of the channels; the first names the axes.

    Raises
    ------
    InputError
        If it cannot be segmented.
    """
    if len(used) == 1:
        return image_planes(used[0])
    stack = ChannelStack([Part(full_resolution(x)) for x in used])
    return planes_like(used[0], stack, channels=True)


def channels_of(viewer: Viewer, image: Image) -> list[Channel]:
    """Return the channels of an image, and layers that can be made such.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        The layer that stands for the image.

    Returns
    -------
    list of Channel
        In the order of the layers; empty where there is nothing to choose.
    """
    axis = channel_axis(image)
    if axis is not None:
        on, count = channels_on(image), full_resolution(image).shape[axis]
        return [
            Channel(image, i, f"channel {i + 1}", i in on) for i in range(int(count))
        ]
    images = images_of(viewer)
    members = next((one for one in images if image in one), [image])
    alone = [one[0] for one in images if len(one) == 1]
    others = [x for x in alone if x != image and _same_place(x, image)]
    wanted = {x.unique_id for x in (*members, *others)}
    found = [
        Channel(x, 0, x.name, x in members and is_used(x))
        for x in viewer.layers
        if x.unique_id in wanted
    ]
    return found if len(found) > 1 else []


def bind(viewer: Viewer, image: Image) -> None:
    """Hold on to what belongs to an image now."""
    members = members_of(viewer, image)
    for place, layer in enumerate(members):
        note = _noted(layer)
        _note(layer, members[0], place, note.used, note.by_hand)
    if len(members) > 1 and title(members[0]) == members[0].name:
        set_title(members[0], _shared_name(members))


def use(viewer: Viewer, image: Image, chosen: Sequence[Channel]) -> None:
    """Segment an image on these of its channels from now on, one at least.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        The layer that stands for the image.
    chosen : sequence of Channel
        Of those that :func:`channels_of` lists.
    """
    if channel_axis(image) is not None:
        choose_channels(image, [channel.place for channel in chosen])
        return
    bind(viewer, image)
    used = [channel.layer for channel in chosen]
    members = members_of(viewer, image)
    listed = [channel.layer for channel in channels_of(viewer, image)]
    others = [layer for layer in listed if layer not in members]
    for place, layer in enumerate([*members, *others]):
        by_hand = layer in others or _noted(layer).by_hand
        if layer in used or not by_hand:
            _note(layer, image, place, layer in used, by_hand)
        else:
            # An image of its own, or again one.
            # Otherwise it would stay a channel, if an unused one.
            layer.metadata.pop(_NOTE, None)


def part(image: Image) -> None:
    """Make a layer an image of its own, whatever it would belong to.

    Parameters
    ----------
    image : napari.layers.Image
        Neither its file nor its blending counts any more.
    """
    _note(image, image, 0, used=True, by_hand=False)


def join(layers: Sequence[Image], used: Sequence[bool]) -> Image:
    """Make layers the channels of one image; return the one that stands for it.

    Parameters
    ----------
    layers : sequence of napari.layers.Image
        Of one shape and place; the first stands for all.
    used : sequence of bool
        By layer, whether the image is segmented on it.
    """
    home = _file_of(layers[0])
    for place, (layer, one) in enumerate(zip(layers, used, strict=True)):
        _note(layer, layers[0], place, one, by_hand=_file_of(layer) != home)
    return layers[0]


def used_key(layers: Sequence[Image]) -> tuple[Any, ...]:
    """Return what changes when an image of layers is segmented on other channels.

    Parameters
    ----------
    layers : sequence of napari.layers.Image
        All channels of one image.

    Returns
    -------
    tuple
        To be compared only: of each used layer its id and the places on its axis of
        channels.
    """
    return tuple((x.unique_id, channels_on(x)) for x in layers if is_used(x))


def _file_of(layer: Image) -> tuple[Any, ...]:
    """Return what channels of one file have in common; empty if there is no file."""
    came = origin(layer)
    return (came, _shape(layer)) if came.path and not layer.rgb else ()


def _sum_of(layer: Image, sums: dict[tuple[int, ...], Any]) -> Any:
    """Return the key of the sum that a layer is part of, as napari shows channels.

    Additive layers lie on one another, or on a layer in colour: of the channels of an
    array, the lowest is not additive. `sums` has the last one of each shape.
    """
    key, shape = layer.unique_id, _shape(layer)
    if layer.blending == "additive":
        return sums.setdefault(shape, key)
    sums.pop(shape, None)
    if layer.colormap.name not in ("gray", "grays"):
        sums[shape] = key
    return key


def _shape(layer: Image) -> tuple[int, ...]:
    return tuple(int(n) for n in full_resolution(layer).shape)


class _Note(NamedTuple):
    """What was decided about a layer: its image, and if it is a channel in use."""

    layer: Any = None
    lead: Any = None
    place: int = 0
    used: bool = True
    by_hand: bool = False


def _note(layer: Image, lead: Image, place: int, used: bool, by_hand: bool) -> None:
    note = _Note(layer.unique_id, lead.unique_id, place, used, by_hand)
    layer.metadata[_NOTE] = note


def _noted(layer: Image) -> _Note:
    """Return what was noted in a layer, and not in one that it is a copy of."""
    note = _Note(*layer.metadata.get(_NOTE, ()))
    return note if note.layer == layer.unique_id else _Note()


def _noted_lead(named: Mapping[Any, Image], layer: Image) -> Image | None:
    """Return the layer whose channel this one was noted to be, if it still fits."""
    lead = named.get(_noted(layer).lead)
    return lead if lead is layer or (lead and _same_place(lead, layer)) else None


def is_used(layer: Image) -> bool:
    """Whether a channel is among those on which its image is segmented."""
    return _noted(layer).used


def _of_one_place(layers: Sequence[Image]) -> list[list[Image]]:
    """Split layers of one shape by where they lie."""
    found: list[list[Image]] = []
    for layer in layers:
        here = next((one for one in found if _same_place(one[0], layer)), None)
        if here is None:
            found.append([layer])
        else:
            here.append(layer)
    return found


def _lead_first(viewer: Viewer, layers: list[Image]) -> list[Image]:
    """Return layers with the one first that was noted, or has a mask, if any."""
    noted = {_noted(x).lead for x in layers}
    lead = next((x for x in layers if x.unique_id in noted), None)
    if lead is None and len(layers) > 1:
        # A mask is found by the id of its image, which goes on being this layer's.
        lead = next((x for x in layers if made_for(viewer, x)), None)
    return sorted(layers, key=lambda x: (x is not lead, _noted(x).place))


def _same_place(one: Image, other: Image) -> bool:
    """Whether two layers have grey pixels of one shape in the same place."""
    shape = tuple(full_resolution(one).shape)
    if one.rgb or other.rgb or shape != tuple(full_resolution(other).shape):
        return False
    if channel_axis(one) is not None:
        return False
    # Two affine maps that agree on the origin and on a point of each axis are the same.
    corners = [np.zeros(one.ndim), *np.diag(shape)]
    return all(
        np.allclose(one.data_to_world(c), other.data_to_world(c)) for c in corners
    )


def _shared_name(members: Sequence[Image]) -> str:
    """Return what the names of channels begin with, or that of the first."""
    names = [str(layer.name) for layer in members]
    start = os.path.commonprefix(names)
    if start not in names:
        # Back to a whole word: of cell_dapi and cell_draq5 that is cell, not cell_d.
        start = re.sub(r"[^\s\-_:|.(\[]*$", "", start).rstrip(" -_:|.([")
    return start or names[0]
