"""Image layers as the program reads them: planes, channels, spacing, what is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray
from pint import DimensionalityError

from napari_segdino.errors import InputError
from napari_segdino.images.channel_stack import ChannelStack, Part
from napari_segdino.images.planes import Planes, as_planes

if TYPE_CHECKING:
    from napari.viewer import Viewer

# Names of leading axes, from the third last on: these only have to differ.
_LEADING = "TZWVUSRQPON"
_ON = "segdino_channels"
_TITLE = "segdino_title"
_CHANNEL_LABELS = ("c", "ch", "channel", "channels")


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
    """Return the pixels of an image layer as they lie, the largest of several.

    Parameters
    ----------
    image : napari.layers.Image
        Multiscale or not.

    Returns
    -------
    array
        (..., Y, X), with a last axis of colours where it is RGB; not read, where it is
        lazy.
    """
    # napari has the largest first.
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
    # Images over time are no volume: neighbours in time are not smoothed together.
    over_time = lead == 1 and str(image.axis_labels[-3]).lower() in ("t", "time")
    letters = {0: "", 1: "T" if over_time else "Z"}.get(lead, _LEADING[:lead])
    if lead > 2:
        letters = _LEADING[2:lead] + "TZ"
    return as_planes(data, axes=letters + ("YXC" if channels else "YX"))


def channel_axis(image: Image) -> int | None:
    """Return the axis of a layer that holds channels, None if there is none.

    It is labelled so, or the TIFF that was read says so: napari's own reader shows
    channels as a slider.

    Parameters
    ----------
    image : napari.layers.Image
        In colour it has none: napari does not count that axis.
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
    """Return which places on the axis of channels are used; all, if not chosen.

    Parameters
    ----------
    image : napari.layers.Image
        Without an axis of channels there is no place.
    """
    axis = channel_axis(image)
    count = 0 if axis is None else int(full_resolution(image).shape[axis])
    # The array may have been replaced by one with fewer channels.
    chosen = tuple(i for i in image.metadata.get(_ON, ()) if i < count)
    return chosen or tuple(range(count))


def choose_channels(image: Image, on: Sequence[int]) -> None:
    """Use only some places on the axis of channels from now on.

    Parameters
    ----------
    image : napari.layers.Image
        With an axis of channels; the choice is noted in its metadata.
    on : sequence of int
        Places from 0, in any order.
    """
    image.metadata[_ON] = tuple(sorted(on))


def voxel_spacing(image: Image) -> tuple[float, ...] | None:
    """Return the distances along z, y and x in mm, None where they are not known.

    Parameters
    ----------
    image : napari.layers.Image
        With two axes or with units that are no lengths it has none.
    """
    return spacing_in("mm", image, 3) if image.ndim >= 3 else None


def spacing_in(unit: Any, layer: Layer, ndim: int) -> tuple[float, ...] | None:
    """Return distances along the last axes, None unless all of them are lengths.

    Parameters
    ----------
    unit : str or pint.Unit
        Such as ``"mm"``; a length.
    layer : napari.layers.Layer
        Its scale and its units count; napari has one unit an axis.
    ndim : int
        Axes wanted, the last ones.

    Returns
    -------
    tuple of float or None
        In `unit`, never negative.
    """
    pairs = zip(layer.scale[-ndim:], layer.units[-ndim:], strict=True)
    steps = [abs(float(step)) * own for step, own in pairs]
    # napari's units are pint's: pixels are a unit as well, but no length.
    if not all(step.check("[length]") for step in steps):
        return None
    return tuple(float(step.to(unit).magnitude) for step in steps)


@dataclass(frozen=True)
class Spacing:
    """Distances between the pixels of a layer.

    Parameters
    ----------
    steps : tuple of float
        By axis, slowest first.
    unit : str
        Such as ``"mm"``; ``"px"`` where nothing is known.
    """

    steps: tuple[float, ...]
    unit: str

    def text(self, distance: float) -> str:
        """Return a distance for people; a dash where there is none.

        Parameters
        ----------
        distance : float
            In the layer's unit; NaN and infinity are none.
        """
        if not math.isfinite(distance):
            return "–"
        return f"{distance:.3g} {self.unit}".rstrip()


def spacing_of(layer: Layer) -> Spacing:
    """Return the spacing of a layer, all axes in the unit of the last.

    Parameters
    ----------
    layer : napari.layers.Layer
        The mask.
    """
    scale = [abs(float(s)) for s in layer.scale]
    unit = layer.units[-1]
    if str(unit) == "pixel":
        return Spacing(tuple(scale), "px" if set(scale) == {1.0} else "")
    steps = []
    for step, own in zip(scale, layer.units, strict=True):
        try:
            steps.append(float((step * own).to(unit).magnitude))
        except DimensionalityError:  # time, or an axis without a unit
            steps.append(step)
    return Spacing(tuple(steps), f"{unit:~}")


def plane_shown(viewer: Viewer, image: Image, planes: Planes) -> int:
    """Return the flat index of the plane of an image that the sliders show.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window, whose sliders are in world coordinates.
    image : napari.layers.Image
        Scaled, moved or tilted as it may be.
    planes : Planes
        Its pixels; the index counts over their leading axes.

    Returns
    -------
    int
        Where the sliders are beside the image, the nearest plane.
    """
    count = len(planes.lead_shape)
    if not count:
        return 0
    slope, start = _slider_map(image, count)
    # napari lines layers up by their last axes: a layer with fewer of them than the
    # window lacks the first ones.
    first = viewer.dims.ndim - 2 - count
    at = np.round(slope @ viewer.dims.point[first : first + count] + start).astype(int)
    lead = np.clip(at, 0, np.array(planes.lead_shape) - 1)
    return int(np.ravel_multi_index(tuple(lead), planes.lead_shape))


def slider_point(image: Image, index: tuple[int, ...]) -> list[float]:
    """Return where the sliders have to be to show a plane, in world coordinates.

    Parameters
    ----------
    image : napari.layers.Image
        Its transform counts.
    index : tuple of int
        Over the leading axes, in pixels.
    """
    slope, start = _slider_map(image, len(index))
    return [float(v) for v in np.linalg.solve(slope, np.array(index) - start)]


def move_sliders(viewer: Viewer, image: Image, index: tuple[int, ...]) -> None:
    """Show the plane of an image at this index over its leading axes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        The layer that stands for the image.
    index : tuple of int
        In pixels; empty where there is no slider, and nothing moves.
    """
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
    # An affine map is known by where it takes the origin and a step along each axis.
    units = np.eye(image.ndim)[axes]
    ends = [np.array(image.world_to_data(unit))[axes] for unit in units]
    return np.stack(ends, 1) - start[:, None], start


def centre_shown(viewer: Viewer, image: Image) -> tuple[float, float] | None:
    """Return the pixel (y, x) of an image in the middle of the canvas.

    None where the canvas does not show the last two axes of the image.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        Its transform counts; the pixel may lie outside of it.
    """
    displayed = list(viewer.dims.displayed)
    if displayed != [viewer.dims.ndim - 2, viewer.dims.ndim - 1]:
        return None
    world = [*viewer.dims.point[:-2], *viewer.scene.camera.center[-2:]]
    y, x = image.world_to_data(world)[-2:]
    return float(y), float(x)


def title(image: Image) -> str:
    """Return the name of an image: what its channels' names have in common.

    Parameters
    ----------
    image : napari.layers.Image
        The layer that stands for the image.
    """
    named, words = image.metadata.get(_TITLE, (None, ""))
    return words if named == image.unique_id else str(image.name)


def set_title(image: Image, words: str) -> None:
    """Give an image of several layers a name, held by the one that stands for it.

    Parameters
    ----------
    image : napari.layers.Image
        The layer that stands for the image.
    words : str
        The name; a copy of the layer does not have it.
    """
    image.metadata[_TITLE] = image.unique_id, words


def some_colors(image: Image) -> NDArray[np.uint8]:
    """Return red, green and blue of some pixels (N, 3), none of what has no colours.

    Parameters
    ----------
    image : napari.layers.Image
        What would have to be read from a file first counts as without colours.
    """
    data = image.data
    if not image.rgb or not isinstance(data, np.ndarray) or not data.size:
        return np.zeros((0, 3), np.uint8)
    down, right = (slice(None, None, -(-n // 32)) for n in data.shape[-3:-1])
    found = data[..., down, right, :3].reshape(-1, 3)
    high = 255 if found.dtype == np.uint8 else max(float(found.max()), 1e-9)
    return (255 * (found / high)).clip(0, 255).astype(np.uint8)
