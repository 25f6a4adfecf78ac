"""The layers that belong to an image: its mask, its marks, its objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.images.channel_stack import ChannelStack, Part
from napari_segdino.images.planes import Planes, as_planes
from napari_segdino.marks import type_for
from napari_segdino.session.classes import BACKGROUND_MARK, LabelClass
from napari_segdino.session.project.about import image_print

if TYPE_CHECKING:
    from napari.viewer import Viewer

Role = Literal["mask", "marks", "objects"]

BACKGROUND_COLOR = "#5b8cff"
"""Of marks that say background."""

MASK_OPACITY = 0.45

PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_LEADING = "TZWVUSRQPON"
_KEY = "segdino_layer"
_ON = "segdino_channels"
_TITLE = "segdino_title"
_CHANNEL_LABELS = ("c", "ch", "channel", "channels")
_LEFT = "segdino_left"


def image_planes(image: Image) -> Planes:
    """Read an image layer as planes.

    Parameters
    ----------
    image : napari.layers.Image
        Grey or RGB(A), any number of sliders, multiscale or not.

    Returns
    -------
    Planes
        At full resolution; leading axes are T, Z ... as far as is known.

    Raises
    ------
    InputError
        If the layer cannot be segmented.
    """
    data = full_resolution(image)
    axis = channel_axis(image)
    if axis is not None:
        data = ChannelStack([Part(data, axis, i) for i in channels_on(image)])
    return planes_like(image, data, image.rgb or axis is not None)


def full_resolution(image: Image) -> Any:
    """Return the pixels of an image layer as they lie, the largest of several."""
    return image.data[0] if image.multiscale else image.data


def planes_like(image: Image, data: Any, channels: bool) -> Planes:
    """Read an array as planes whose axes are those of an image layer.

    Parameters
    ----------
    image : napari.layers.Image
        Names the axes.
    data : array
        (..., Y, X), or (..., Y, X, C) with `channels`.
    channels : bool
        Whether the last axis holds channels.

    Raises
    ------
    InputError
        If it cannot be segmented.
    """
    lead = len(data.shape) - (3 if channels else 2)
    if lead < 0:
        raise InputError("A line of pixels is no image: it needs height and width.")
    if lead > len(_LEADING):
        raise InputError(f"An image of {len(data.shape)} axes has too many of them.")
    over_time = lead == 1 and str(image.axis_labels[-3]).lower() in ("t", "time")
    letters = {0: "", 1: "T" if over_time else "Z"}.get(lead, _LEADING[:lead])
    if lead > 2:
        letters = _LEADING[2:lead] + "TZ"
    return as_planes(data, axes=letters + ("YXC" if channels else "YX"))


def channel_axis(image: Image) -> int | None:
    """Return the axis of a layer that holds channels, None if there is none.

    It is labelled so, or the TIFF that was read says so: napari's own reader shows
    channels as a slider.
    """
    if image.rgb:
        return None
    labels = [str(label).lower() for label in image.axis_labels]
    named = [i for i, label in enumerate(labels[:-2]) if label in _CHANNEL_LABELS]
    # Only a file can say more than the labels do.
    if named or len(labels) < 3 or not image.source.path:
        return named[0] if named else None
    from napari_segdino.io.tiff import tiff_axes

    axes = tiff_axes(image.source.path, tuple(full_resolution(image).shape))
    return axes.index("C") if "C" in axes[:-2] else None


def channels_on(image: Image) -> tuple[int, ...]:
    """Return which places on the axis of channels are used; all, if not chosen."""
    axis = channel_axis(image)
    count = 0 if axis is None else int(full_resolution(image).shape[axis])
    chosen = tuple(i for i in image.metadata.get(_ON, ()) if i < count)
    return chosen or tuple(range(count))


def choose_channels(image: Image, on: Sequence[int]) -> None:
    """Use only some places on the axis of channels from now on."""
    image.metadata[_ON] = tuple(sorted(on))


def voxel_spacing(image: Image) -> tuple[float, ...] | None:
    """Return the distances along z, y and x in mm, None where they are not known."""
    return spacing_in("mm", image, 3) if image.ndim >= 3 else None


def spacing_in(unit: Any, layer: Layer, ndim: int) -> tuple[float, ...] | None:
    """Return distances along the last axes, None unless all of them are lengths."""
    pairs = zip(layer.scale[-ndim:], layer.units[-ndim:], strict=True)
    steps = [abs(float(step)) * own for step, own in pairs]
    if not all(step.check("[length]") for step in steps):
        return None
    return tuple(float(step.to(unit).magnitude) for step in steps)


def plane_shown(viewer: Viewer, image: Image, planes: Planes) -> int:
    """Return the flat index of the plane of an image that the sliders show."""
    count = len(planes.lead_shape)
    if not count:
        return 0
    slope, start = _slider_map(image, count)
    first = viewer.dims.ndim - 2 - count
    at = np.round(slope @ viewer.dims.point[first : first + count] + start).astype(int)
    lead = np.clip(at, 0, np.array(planes.lead_shape) - 1)
    return int(np.ravel_multi_index(tuple(lead), planes.lead_shape))


def slider_point(image: Image, index: tuple[int, ...]) -> list[float]:
    """Return where the sliders have to be to show a plane, in world coordinates."""
    slope, start = _slider_map(image, len(index))
    return [float(v) for v in np.linalg.solve(slope, np.array(index) - start)]


def move_sliders(viewer: Viewer, image: Image, index: tuple[int, ...]) -> None:
    """Show the plane of an image at this index over its leading axes."""
    if index:
        first = viewer.dims.ndim - 2 - len(index)
        axes = list(range(first, first + len(index)))
        viewer.dims.set_point(axes, slider_point(image, index))


def _slider_map(image: Image, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Slope and start of what napari makes of slider positions.

    `count` is the number of axes before y and x that count; a first axis of
    channels does not. Of a tilted layer napari shows the plane that lies under the
    world's origin of the axes on screen.
    """
    axes = slice(image.ndim - 2 - count, image.ndim - 2)
    start = np.array(image.world_to_data(np.zeros(image.ndim)))[axes]
    units = np.eye(image.ndim)[axes]
    ends = [np.array(image.world_to_data(unit))[axes] for unit in units]
    return np.stack(ends, 1) - start[:, None], start


def centre_shown(viewer: Viewer, image: Image) -> tuple[float, float] | None:
    """Return the pixel (y, x) of an image in the middle of the canvas.

    None where the canvas does not show the last two axes of the image.
    """
    displayed = list(viewer.dims.displayed)
    if displayed != [viewer.dims.ndim - 2, viewer.dims.ndim - 1]:
        return None
    world = [*viewer.dims.point[:-2], *viewer.scene.camera.center[-2:]]
    y, x = image.world_to_data(world)[-2:]
    return float(y), float(x)


def find_layer(
    viewer: Viewer, image: Image, role: Role, shape: tuple[int, ...]
) -> Labels | None:
    """Find the layer of an image that has this role.

    The layer that was made for it comes first, whatever it is called now; then
    one that an image with the same pixels left behind; then one of the right name
    that is of no other image. It must fit the image's shape.
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
    free = [x for x in labels if owner_of(x) not in there]
    left = [x for x in free if _LEFT in x.metadata]
    if left:
        mine = image_print(image_planes(image))
        for layer in left:
            if layer.metadata[_LEFT] == (role, mine):
                return layer
    name = layer_name(image, role)
    return next((x for x in free if x.name == name and x not in left), None)


def leave_behind(layer: Labels, role: Role, image: Image) -> None:
    """Note in a layer which image it is of, for when that is opened again."""
    layer.metadata[_LEFT] = (role, image_print(image_planes(image)))


def is_left(layer: Layer) -> bool:
    """Whether the image that a layer was made for was removed."""
    return _LEFT in layer.metadata


def claim(layer: Labels, role: Role, image: Image) -> None:
    """Make a layer that was found one of an image."""
    layer.metadata.pop(_LEFT, None)
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
    layers.insert(len(layers) if below is None else layers.index(below), layer)
    return layer


def placed_like(image: Image, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what makes a layer of this shape lie on an image."""
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
    """Note in a layer that the program made it for an image."""
    layer.metadata[_KEY] = (kind, image.unique_id)


def made_for(viewer: Viewer, image: Image) -> list[Layer]:
    """Return the layers that the program made for an image."""
    return [x for x in viewer.layers if owner_of(x) == image.unique_id]


def kind_of(layer: Layer) -> str:
    """Return what a layer was made to show, such as ``"mask"``."""
    return str(layer.metadata[_KEY][0])


def remove_layers(viewer: Viewer, layers: Sequence[Layer]) -> None:
    """Remove those of some layers that are still there."""
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)


def owner_of(layer: Layer) -> Any:
    """Return the id of the image that the program made a layer for, if it did."""
    return (layer.metadata.get(_KEY) or (None,))[-1]


def is_ours(layer: Layer) -> bool:
    """Whether the program made a layer: it is no image to segment."""
    return _KEY in layer.metadata


def layer_name(image: Image, kind: str) -> str:
    """Return the name of a layer that is made for an image."""
    return f"{title(image)} {kind}"


def title(image: Image) -> str:
    """Return the name of an image: what its channels' names have in common."""
    named, words = image.metadata.get(_TITLE, (None, ""))
    return words if named == image.unique_id else str(image.name)


def set_title(image: Image, words: str) -> None:
    """Give an image of several layers a name, held by the one that stands for it."""
    image.metadata[_TITLE] = image.unique_id, words


def color_layer(layer: Labels, role: Role, classes: tuple[LabelClass, ...]) -> None:
    """Give a layer the colours of the classes."""
    offset = 0 if role == "mask" else 1
    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    if role == "marks":
        colors[BACKGROUND_MARK] = BACKGROUND_COLOR
    colors.update({c.label + offset: c.color for c in classes})
    layer.colormap = DirectLabelColormap(color_dict=colors)


def read_plane(layer: Labels, index: tuple[int | slice, ...]) -> NDArray[Any]:
    """Return one plane of a layer or rows of it, a view where that is possible."""
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
