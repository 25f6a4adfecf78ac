"""The layers that are made for an image: its mask, its marks, its objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_segdino._qt.layers.given_marks import came_with
from napari_segdino._qt.layers.image_layers import (
    channel_axis,
    full_resolution,
    image_planes,
    title,
)
from napari_segdino.io.sample_marks import GIVEN
from napari_segdino.marks import type_for
from napari_segdino.session.classes import BACKGROUND_MARK, LabelClass
from napari_segdino.session.project.about import image_print

if TYPE_CHECKING:
    from napari.viewer import Viewer

Role = Literal["mask", "marks", "objects"]

BACKGROUND_COLOR = "#5b8cff"
"""Colour of background marks."""

MASK_OPACITY = 0.45

PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
# In a layer's metadata, which goes where the layer goes; its name is the user's.
_KEY = "segdino_layer"
_LEFT = "segdino_left"


def find_layer(
    viewer: Viewer, image: Image, role: Role, shape: tuple[int, ...]
) -> Labels | None:
    """Find the layer of an image that has this role.

    The layer that was made for it comes first, whatever it is called now; then
    one that an image with the same pixels left behind; then marks that came with
    it; then one of the right name that is of no other image. It must fit the image's
    shape.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        The layer that stands for the image.
    role : {"mask", "marks", "objects"}
        What the layer is for.
    shape : tuple of int
        Of the image without its channels.
    """
    labels = [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels)
        # napari cannot paint on several resolutions.
        and not layer.multiscale
        and tuple(layer.data.shape) == shape
    ]
    for layer in labels:
        if layer.metadata.get(_KEY) == (role, image.unique_id):
            return layer
    there = {layer.unique_id for layer in viewer.layers}
    # What was made for an image that is gone may be had by another one.
    free = [x for x in labels if owner_of(x) not in there]
    left = [x for x in free if _LEFT in x.metadata]
    # Reading an image takes its time: only where there is something to compare it with.
    if left:
        mine = image_print(image_planes(image))
        for layer in left:
            if layer.metadata[_LEFT] == (role, mine):
                return layer
    given = [x for x in free if role == "marks" and came_with(x, image)]
    name = layer_name(image, role)
    named = [x for x in free if x.name == name and x not in left]
    return next(iter([*given, *named]), None)


def leave_behind(layer: Labels, role: Role, image: Image) -> None:
    """Note in a layer which image it is of, for when that is opened again.

    Parameters
    ----------
    layer : napari.layers.Labels
        Stays in the window without its image.
    role : {"mask", "marks", "objects"}
        What the layer is for.
    image : napari.layers.Image
        Its pixels are remembered by a checksum.
    """
    layer.metadata[_LEFT] = (role, image_print(image_planes(image)))


def is_left(layer: Layer) -> bool:
    """Whether the image that a layer was made for was removed.

    Parameters
    ----------
    layer : napari.layers.Layer
        Any layer of the window.
    """
    return _LEFT in layer.metadata


def claim(layer: Labels, role: Role, image: Image) -> None:
    """Make a layer that was found one of an image.

    Parameters
    ----------
    layer : napari.layers.Labels
        Left behind before, or of the user's own making.
    role : {"mask", "marks", "objects"}
        What the layer is for from now on.
    image : napari.layers.Image
        The layer that stands for the image.
    """
    layer.metadata.pop(_LEFT, None)
    layer.metadata.pop(GIVEN, None)
    mark_as_ours(layer, role, image)


def make_layer(
    viewer: Viewer,
    image: Image,
    role: Role,
    shape: tuple[int, ...],
    data: NDArray[Any] | None = None,
    contour: int = 0,
    below: Layer | None = None,
) -> Labels:
    """Add a layer that lies on its image, empty without `data`.

    An outline of `contour` pixels is set before the layer is drawn at all. The
    layer comes on top, or right below another one.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window; napari selects the new layer.
    image : napari.layers.Image
        The layer that stands for the image.
    role : {"mask", "marks", "objects"}
        What the layer is for.
    shape : tuple of int
        Of the image without its channels.
    data : numpy.ndarray of int, optional
        Of this shape, taken as it is; None begins with zeros of 8 bits.
    contour : int
        Pixels of the outline; 0 fills.
    below : napari.layers.Layer, optional
        Comes right above the new one; None puts that on top of all.
    """
    mask = role == "mask"
    # The header that a scan's reader left: writers put the mask in its geometry.
    header = {k: v for k, v in image.metadata.items() if k == "segdino"}
    layer = Labels(
        np.zeros(shape, np.uint8) if data is None else data,
        name=layer_name(image, role),
        opacity=MASK_OPACITY if mask else 0.9,
        metadata={**header, _KEY: (role, image.unique_id)},
        **placed_like(image, shape),
    )
    layer.contour = contour
    layers = viewer.layers
    if mask and below is None:
        below = find_layer(viewer, image, "marks", shape)
    layers.insert(len(layers) if below is None else layers.index(below), layer)
    return layer


def placed_like(image: Image, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what makes a layer of this shape lie on an image.

    Parameters
    ----------
    image : napari.layers.Image
        With or without an axis of channels.
    shape : tuple of int
        Of the layer; it may lack the axis of channels.

    Returns
    -------
    dict
        Keywords of a layer; empty where the axes do not fit, so that it lies at the
        origin.
    """
    axis = channel_axis(image)
    if axis is None or image.ndim - len(shape) not in (0, 1):
        same = image.ndim == len(shape)
        return {name: getattr(image, name) for name in PLACE} if same else {}
    if image.ndim > len(shape):
        kept = list(range(1, image.ndim))
        return {
            "scale": image.scale[1:],
            "translate": image.translate[1:],
            "rotate": np.asarray(image.rotate)[1:, 1:],
            "affine": image.affine.set_slice(kept),
            "units": image.units[1:],
            "axis_labels": image.axis_labels[1:],
        }
    # One place that reaches over all channels: the mask lies on each of them.
    place = {name: getattr(image, name) for name in PLACE}
    count, scale = full_resolution(image).shape[axis], np.array(image.scale)
    translate = np.array(image.translate)
    translate[axis] += scale[axis] * (count - 1) / 2
    scale[axis] *= count
    return place | {"scale": scale, "translate": translate}


def mark_as_ours(layer: Layer, kind: str, image: Image) -> None:
    """Note in a layer that the program made it for an image.

    Parameters
    ----------
    layer : napari.layers.Layer
        Of any kind.
    kind : str
        What it shows: a role, or the name of an overlay.
    image : napari.layers.Image
        The layer that stands for the image.
    """
    layer.metadata[_KEY] = (kind, image.unique_id)


def made_for(viewer: Viewer, image: Image) -> list[Layer]:
    """Return the layers that the program made for an image.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        The layer that stands for the image.
    """
    return [x for x in viewer.layers if owner_of(x) == image.unique_id]


def kind_of(layer: Layer) -> str:
    """Return what a layer was made to show, such as ``"mask"``.

    Parameters
    ----------
    layer : napari.layers.Layer
        One that the program made.
    """
    return str(layer.metadata[_KEY][0])


def remove_layers(viewer: Viewer, layers: Sequence[Layer]) -> None:
    """Remove those of some layers that are still there.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    layers : sequence of napari.layers.Layer
        Those that are gone are passed over.
    """
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)


def owner_of(layer: Layer) -> Any:
    """Return the id of the image that the program made a layer for, if it did.

    Parameters
    ----------
    layer : napari.layers.Layer
        Any layer of the window.

    Returns
    -------
    object
        The image's ``unique_id``, None for a layer of the user's.
    """
    return (layer.metadata.get(_KEY) or (None,))[-1]


def is_ours(layer: Layer) -> bool:
    """Whether the program made a layer: it is no image to segment.

    Parameters
    ----------
    layer : napari.layers.Layer
        Any layer of the window.
    """
    return _KEY in layer.metadata


def layer_name(image: Image, kind: str) -> str:
    """Return the name of a layer that is made for an image.

    Parameters
    ----------
    image : napari.layers.Image
        The layer that stands for the image.
    kind : str
        What the layer shows.
    """
    return f"{title(image)} {kind}"


def color_layer(layer: Labels, role: Role, classes: tuple[LabelClass, ...]) -> None:
    """Give a layer the colours of the classes.

    Parameters
    ----------
    layer : napari.layers.Labels
        Values without a class are transparent.
    role : {"mask", "marks"}
        A mark is the label of its class and one.
    classes : tuple of LabelClass
        Those of the session.
    """
    offset = 0 if role == "mask" else 1
    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    if role == "marks":
        colors[BACKGROUND_MARK] = BACKGROUND_COLOR
    colors.update({c.label + offset: c.color for c in classes})
    layer.colormap = DirectLabelColormap(color_dict=colors)


def read_plane(layer: Labels, index: tuple[int | slice, ...]) -> NDArray[Any]:
    """Return one plane of a layer or rows of it, a view where that is possible.

    Parameters
    ----------
    layer : napari.layers.Labels
        Mask or marks.
    index : tuple of int or slice
        Over the leading axes, then rows and columns if not all are wanted.

    Returns
    -------
    numpy.ndarray of int, shape (Y, X)
        Changes with the layer where it is a view: copy what is kept.
    """
    return np.asarray(layer.data[index])


def set_pixels(
    layer: Labels,
    index: tuple[int, ...],
    at: NDArray[np.intp],
    values: NDArray[Any],
    refresh: bool,
) -> None:
    """Change pixels of one plane as one step that can be undone.

    A layer of a number type that is too small for the values gets a wider one.

    Parameters
    ----------
    layer : napari.layers.Labels
        Mask or marks.
    index : tuple of int
        Of the plane, over the leading axes.
    at : numpy.ndarray of int, shape (N,)
        Flat positions in the plane.
    values : numpy.ndarray of int, shape (N,)
        What they become.
    refresh : bool
        Whether the plane is on screen.
    """
    if not at.size:
        return
    # A higher label may not fit into the pixels there are.
    if (kind := type_for(values, layer.data.dtype)) != layer.data.dtype:
        layer.data = np.asarray(layer.data).astype(kind)
    shape = layer.data.shape
    # napari keeps these positions for as long as the step can be undone.
    small = np.uint16 if max(shape) <= np.iinfo(np.uint16).max else np.int64
    rows, columns = np.unravel_index(at, shape[-2:])
    lead = tuple(np.full(at.shape, i, small) for i in index)
    where = (*lead, rows.astype(small), columns.astype(small))
    layer.data_setitem(where, values.astype(layer.data.dtype), refresh=refresh)
