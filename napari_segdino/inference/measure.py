"""Objects measured and listed, in physical units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.errors import InputError
from napari_segdino.files import write_csv

Table = dict[str, NDArray[Any]]


def check_spacing(
    array: NDArray[Any], spacing: Sequence[float] | None
) -> tuple[float, ...]:
    """Return the spacing by axis, 1 if not given.

    Parameters
    ----------
    array : numpy.ndarray
        A mask.
    spacing : sequence of float, optional
        Distance between its pixels by axis.

    Raises
    ------
    InputError
        If it does not fit an array of two or three axes.
    """
    if array.ndim not in (2, 3):
        raise InputError(f"Objects are found in 2 or 3 axes, not in {array.ndim}.")
    steps = (1.0,) * array.ndim if spacing is None else tuple(map(float, spacing))
    if len(steps) != array.ndim or not all(0 < s < np.inf for s in steps):
        raise InputError(f"Spacing {steps} does not fit a mask of {array.ndim} axes.")
    return steps


def measure_objects(
    labels: ArrayLike,
    image: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
    units: str = "",
    classes: ArrayLike | None = None,
) -> Table:
    """Measure objects.

    Parameters
    ----------
    labels : array of int, shape (Y, X) or (Z, Y, X)
        Objects, as in
        :class:`~napari_segdino.inference.instances.Objects`.
    image : array, shape of `labels`, channels may follow, optional
        For intensities.
    spacing : sequence of float, optional
        Distance between pixels by axis; 1 if not given.
    units : str
        Unit of the spacing, such as ``"mm"``; pixels if empty.
    classes : array of int, shape (objects + 1,), optional
        Class of each object; the first is background.

    Returns
    -------
    dict of str to numpy.ndarray, each (objects,)
        ``label`` (the value in `labels`, so that a row leads to its object),
        ``class`` if known, ``pixels``, ``area_<units>2`` or
        ``volume_<units>3``, ``diameter_<units>`` (of the disc or ball as
        large), ``z``, ``y``, ``x`` (centre in pixels), and of each channel
        ``mean``, ``std``, ``min`` and ``max``.

    Raises
    ------
    InputError
        If shapes or the spacing do not fit.

    Examples
    --------
    >>> table = measure_objects([[1, 1, 0], [1, 1, 2]], spacing=(0.5, 0.5), units="mm")
    >>> table["label"].tolist(), table["area_mm2"].tolist()
    ([1, 2], [1.0, 0.25])
    """
    from skimage.measure import regionprops_table

    labels = np.asarray(labels)
    steps = check_spacing(labels, spacing)
    channels = None if image is None else _channels(np.asarray(image), labels.shape)
    wanted = ["label", "num_pixels", "centroid"]
    if channels is not None:
        wanted += ["intensity_mean", "intensity_std", "intensity_min", "intensity_max"]
    # The spacing is not given to skimage: centroids shall be in pixels, as napari's
    # points are.
    found = regionprops_table(labels, channels, properties=wanted)
    table: Table = {"label": found["label"]}
    if classes is not None:
        table["class"] = np.asarray(classes)[found["label"]]
    table |= _sizes(found["num_pixels"], steps, units or "px")
    for i, axis in enumerate("zyx"[-labels.ndim :]):
        table[axis] = found[f"centroid-{i}"]
    for name, values in found.items():
        if name.startswith("intensity_"):
            measure, _, channel = name.removeprefix("intensity_").partition("-")
            # skimage numbers columns of one channel too: mean-0.
            many = channels is not None and channels.shape[-1] > 1
            table[f"{measure}_{channel}" if many else measure] = values
    return table


def _channels(image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Image with a last axis of channels."""
    if image.shape[: len(shape)] != shape or image.ndim > len(shape) + 1:
        raise InputError(
            f"An image of shape {image.shape} does not fit objects of {shape}."
        )
    return image if image.ndim > len(shape) else image[..., None]


def _sizes(pixels: NDArray[Any], steps: tuple[float, ...], units: str) -> Table:
    """Pixels, area or volume, and diameter."""
    size = pixels * float(np.prod(steps))
    flat = len(steps) == 2
    diameter = np.sqrt(4 * size / np.pi) if flat else np.cbrt(6 * size / np.pi)
    return {
        "pixels": pixels.astype(int),
        f"area_{units}2" if flat else f"volume_{units}3": size,
        f"diameter_{units}": diameter,
    }


def write_table(path: Path | str, table: Mapping[str, NDArray[Any]]) -> Path:
    """Write a table as CSV, whole or not at all.

    Parameters
    ----------
    path : path
        Where to.
    table : mapping of str to array, each (rows,)
        Columns in order, as from :func:`measure_objects`.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ScanError
        If the system refuses.
    """
    columns = [np.asarray(column).tolist() for column in table.values()]
    return write_csv(path, table, zip(*columns, strict=True))
