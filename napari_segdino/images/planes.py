"""Images as rows of planes: which axis is what, and checks of marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.marks import as_codes

MAX_CHANNELS = 64
"""More entries than this on a last axis are never read as channels."""

MIN_WIDTH = 16
"""A volume narrower than this is inferred only when it cannot be channels."""

ALPHA_SAMPLE = 64
"""Pixels along each axis that are looked at to tell alpha from another channel."""


def infer_axes(shape: tuple[int, ...], volume: bool | None = None) -> str:
    """Name the axes of an image from its shape.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image.
    volume : bool, optional
        True: the image has a Z axis; False: it has none; None: found from the shape.

    Returns
    -------
    str
        ``"YX"``, ``"YXC"``, ``"ZYX"`` or ``"ZYXC"``.

    Raises
    ------
    InputError
        If the shape fits none of these, or if three axes can well be read
        both as (Z, Y, X) and as (Y, X, C) and `volume` does not decide.
    """
    if len(shape) == 2 and volume is not True:
        return "YX"
    if len(shape) == 4 and volume is not False:
        if shape[-1] > MAX_CHANNELS:
            raise InputError(
                f"The last axis of an image of shape {shape} is too long for "
                "channels; name the axes, for example axes='TZYX'."
            )
        return "ZYXC"
    if len(shape) != 3:
        kind = {None: "an image", True: "a volume", False: "a plane"}[volume]
        raise InputError(
            f"Shape {shape} does not fit {kind}: expected (Y, X), (Y, X, C), "
            "(Z, Y, X) or (Z, Y, X, C), or axes named with axes='TZYX'."
        )
    if volume is not None:
        return "ZYX" if volume else "YXC"
    side, last = min(shape[:2]), shape[-1]
    # Up to four are grey, grey with alpha, RGB or RGBA, whatever the sides. More are
    # channels only of an image that is much wider than they are many.
    channels = last <= 4 or (last <= MAX_CHANNELS and side >= 4 * last)
    if channels and last >= MIN_WIDTH:
        raise InputError(
            f"Shape {shape} can be (Z, Y, X) or (Y, X, C): say which with "
            "volume=True or volume=False."
        )
    return "YXC" if channels else "ZYX"


def check_axes(axes: str, ndim: int) -> str:
    """Return `axes` in capitals if they can name `ndim` axes of an image.

    Parameters
    ----------
    axes : str
        One letter an axis; small ones are taken as well.
    ndim : int
        Axes of the image.

    Raises
    ------
    InputError
        If they are not distinct, not one per axis, or do not end in YX.
    """
    axes = axes.upper()
    if len(axes) != ndim or len(set(axes)) != ndim:
        raise InputError(f"axes={axes!r} does not name {ndim} different axes.")
    if not axes.replace("C", "").endswith("YX"):
        raise InputError(f"axes={axes!r} must end in YX, channels (C) not counted.")
    return axes


@dataclass(frozen=True)
class Planes:
    """An image read plane by plane.

    Parameters
    ----------
    array : numpy, dask or zarr array
        The image.
    axes : str
        One letter an axis, ending in ``YX`` or ``YXC``; what stands before
        are leading axes, ``Z`` for depth and ``T`` for time.
    """

    array: Any
    axes: str

    @property
    def spatial_axes(self) -> str:
        """`axes` without C."""
        return self.axes.removesuffix("C")

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Shape without channels: the shape of the mask."""
        return tuple(int(n) for n in self.array.shape[: len(self.spatial_axes)])

    @property
    def lead_shape(self) -> tuple[int, ...]:
        """Shape of the axes before Y and X."""
        return self.spatial_shape[:-2]

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(Y, X)."""
        y, x = self.spatial_shape[-2:]
        return y, x

    @property
    def measured(self) -> Planes:
        """The planes whose intensities stand for the image."""
        return self

    def __len__(self) -> int:
        return math.prod(self.lead_shape)

    def index(self, plane: int) -> tuple[int, ...]:
        """Position of a plane on the leading axes.

        Parameters
        ----------
        plane : int
            Flat index, in C order.

        Returns
        -------
        tuple of int
            As long as :attr:`lead_shape`.
        """
        return tuple(int(i) for i in np.unravel_index(plane, self.lead_shape))

    def read(self, plane: int) -> NDArray[Any]:
        """Load one plane.

        Parameters
        ----------
        plane : int
            Flat index over the leading axes.

        Returns
        -------
        numpy.ndarray, shape (Y, X, C)
            In the image's own number type; C is 1 for grey.
        """
        data = np.asarray(self.array[self.index(plane)])
        return data if self.axes.endswith("C") else data[..., None]


def as_planes(
    image: Any, volume: bool | None = None, axes: str | None = None
) -> Planes:
    """Read any image as planes.

    Parameters
    ----------
    image : array
        (Y, X), (Y, X, C), (Z, Y, X) or (Z, Y, X, C); numpy, dask or zarr, or
        anything numpy can read. With `axes`, any number of leading axes.
    volume : bool, optional
        See :func:`infer_axes`.
    axes : str, optional
        One letter per axis, such as ``"TZYX"`` or ``"CYX"``; decides over
        `volume`. Four channels of 8 bits are RGBA only if they come last.

    Returns
    -------
    Planes
        With the channels last.

    Raises
    ------
    InputError
        If the image is empty, not numeric, or of a shape that is not clear.
    """
    image, kind = _as_array(image, "An image is an array")
    if kind not in "buifc":
        raise InputError(f"An image holds numbers, not {image.dtype}.")
    if kind == "c":
        raise InputError("A complex image has no intensity: take its magnitude first.")
    shape = tuple(image.shape)
    axes = check_axes(axes, len(shape)) if axes else infer_axes(shape, volume)
    if 0 in shape:
        raise InputError(f"The image is empty: its shape is {shape}.")
    # One order for all that follows: each plane is (Y, X, C).
    if "C" in axes[:-1]:
        image = _channels_last(image, axes.index("C"))
        axes = axes.replace("C", "") + "C"
    if axes.endswith("C") and isinstance(image, np.ndarray) and _has_alpha(image):
        # 8-bit RGBA keeps its alpha here: probe files name tiles by all they hold.
        image = image[..., :-1]
    return Planes(image, axes)


def _as_array(values: Any, what: str) -> tuple[Any, str]:
    """Return an array and the kind of its numbers, as numpy calls it.

    Raises
    ------
    InputError
        If it is an array whose numbers numpy does not know, such as torch's.
    """
    if not (hasattr(values, "shape") and hasattr(values, "dtype")):
        values = np.asarray(values)
    try:
        return values, np.dtype(values.dtype).kind
    except TypeError as error:
        name = f"{type(values).__module__}.{type(values).__name__}"
        raise InputError(
            f"{what} of numpy, dask or zarr, not {name}: give numpy.asarray of it."
        ) from error


def _has_alpha(image: NDArray[Any]) -> bool:
    """Whether the last channel of an image in memory is alpha, mostly opaque.

    Arrays do not say so: what counts is that at least half of a sample is as high as
    the type allows (1 for floats). Any second channel of fluorescence is not.
    """
    count, kind = image.shape[-1], image.dtype
    if count not in (2, 4) or kind.kind not in "uf" or kind == np.uint8 and count == 4:
        return False
    # A grid over the image, since transparent corners alone would say nothing.
    steps: Any = [slice(None, None, -(-n // ALPHA_SAMPLE)) for n in image.shape[:-1]]
    sample = image[(*steps, -1)]
    opaque = 1.0 if kind.kind == "f" else np.iinfo(kind).max
    return bool((sample == opaque).mean() >= 0.5 and sample.max() == opaque)


def _channels_last(image: Any, axis: int) -> Any:
    """Move an axis to the end, lazily where the image is not in memory."""
    dtype = dtype_of_channels(np.dtype(image.dtype), int(image.shape[axis]))
    if isinstance(image, np.ndarray):
        return np.moveaxis(image, axis, -1).astype(dtype, copy=False)
    import dask.array

    lazy = image if hasattr(image, "dask") else dask.array.from_array(image)
    return dask.array.moveaxis(lazy, axis, -1).astype(dtype)


def dtype_of_channels(dtype: np.dtype[Any], count: int) -> np.dtype[Any]:
    """Return the number type to hold channels that are no colours.

    Four of 8 bits would be taken for RGBA, and the last one left out as alpha.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the channels as they are.
    count : int
        Channels.

    Returns
    -------
    numpy.dtype
        `dtype`, or uint16 for four channels of uint8.
    """
    rgba = dtype == np.uint8 and count == 4
    return np.dtype(np.uint16) if rgba else dtype


def check_marks(marks: Any, planes: Planes) -> Any:
    """Return marks that fit an image.

    Parameters
    ----------
    marks : array of int
        0 unlabelled, 1 background, 2.. classes; numpy, dask or zarr.
    planes : Planes
        The image they belong to.

    Returns
    -------
    array
        `marks`; in memory, of uint8.

    Raises
    ------
    InputError
        If the shape differs from the image's spatial shape, the values are
        not whole numbers or, of marks in memory, no codes of marks.
    """
    marks, kind = _as_array(marks, "Marks are an array")
    if tuple(marks.shape) != planes.spatial_shape:
        raise InputError(
            f"Marks of shape {tuple(marks.shape)} do not fit an image of "
            f"spatial shape {planes.spatial_shape}."
        )
    if kind not in "iub":
        raise InputError(f"Marks are whole numbers, not {marks.dtype}.")
    # Others are read, and looked at, plane by plane.
    return as_codes(marks) if isinstance(marks, np.ndarray) else marks


def pair_up(
    images: Any, marks: Any, volume: bool | None, axes: str | None
) -> list[tuple[Planes, Any]]:
    """Read images and their marks, one array or a list of them.

    Parameters
    ----------
    images : array or list of arrays
        See :func:`as_planes`.
    marks : array or list of arrays
        See :func:`check_marks`; as many as images.
    volume : bool, optional
        See :func:`infer_axes`.
    axes : str, optional
        See :func:`as_planes`.

    Returns
    -------
    list of (Planes, array)
        An image and its marks each.

    Raises
    ------
    InputError
        If there are not as many marks as images, or some do not fit.
    """
    if not isinstance(images, list | tuple):
        images, marks = [images], [marks]
    if not isinstance(marks, list | tuple) or len(images) != len(marks):
        raise InputError(
            f"{len(images)} images need as many marks: one array of marks each."
        )
    planes = [as_planes(image, volume, axes) for image in images]
    return [(p, check_marks(m, p)) for p, m in zip(planes, marks, strict=True)]


def planes_of_each(
    planes: Iterable[Any] | None, images: Any, pairs: Sequence[Any]
) -> list[Any]:
    """Return the planes to look at, image by image; None is all of one.

    Parameters
    ----------
    planes : iterable, optional
        Of one image, or one such for each image of a list.
    images : array or list of arrays
        As they were given.
    pairs : sequence
        The images, each with its marks.
    """
    if planes is None:
        return [None] * len(pairs)
    return list(planes) if isinstance(images, list | tuple) else [list(planes)]


def spacing_of_each(spacing: Any, images: Any, pairs: Sequence[Any]) -> list[Any]:
    """Return the spacing of each image.

    Parameters
    ----------
    spacing : float, tuple or list
        Of one image or of all; a list has one for each image of a list.
    images, pairs
        See :func:`planes_of_each`.

    Raises
    ------
    InputError
        If there are not as many as images.
    """
    if not (isinstance(images, list | tuple) and isinstance(spacing, list)):
        return [spacing] * len(pairs)
    if len(spacing) != len(pairs):
        raise InputError(f"{len(pairs)} images need as many spacings, or one for all.")
    return spacing
