"""Samples with a few marks, which need no network: real images, and made ones.

scikit-image brings photos and microscopy, nibabel an MRI volume, pydicom a CT
slice. Their files are opened as any other scan; functions of ``skimage.data``
are not called, as some of them download. Of the made ones, what is in them is
known to the pixel.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_segdino.errors import ScanError, unknown_name
from napari_segdino.io.read import read_scan
from napari_segdino.io.sample_marks import GIVEN, sample_marks
from napari_segdino.io.scan import PIXEL, Scan

_log = logging.getLogger(__name__)

SIDE = 256
"""Pixels of an edge of those that are made."""

SEED = 0


def make_nuclei() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Make stained nuclei, bright and dim, on a background that is uneven.

    Returns
    -------
    numpy.ndarray, shape (256, 256), uint8
        The image; the same at every call.
    numpy.ndarray, shape (256, 256), bool
        True in the nuclei.
    """
    rng = np.random.default_rng(SEED)
    image, truth = _haze(rng), np.zeros((SIDE, SIDE), bool)
    for inside in _ellipses(rng, 34):
        image[inside] += rng.uniform(35, 110) * _grain(rng)[inside]
        truth |= inside
    return _exposed(rng, image), truth


def make_stained_cells() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Make nuclei of which some carry a marker that lies outside of nuclei as well.

    Returns
    -------
    numpy.ndarray, shape (2, 256, 256), uint8
        Channels: nuclei and marker; the same at every call.
    numpy.ndarray, shape (256, 256), bool
        True in the nuclei with the marker, which no channel alone tells.
    """
    rng = np.random.default_rng(SEED)
    nuclear, marker = _haze(rng), _haze(rng)
    truth = np.zeros((SIDE, SIDE), bool)
    for number, inside in enumerate(_ellipses(rng, 34)):
        kind = number % 3
        if kind != 2:
            nuclear[inside] += rng.uniform(80, 110) * _grain(rng)[inside]
        if kind != 1:
            marker[inside] += rng.uniform(80, 110) * _grain(rng)[inside]
        if kind == 0:
            truth |= inside
    return np.stack([_exposed(rng, nuclear), _exposed(rng, marker)]), truth


def _haze(rng: np.random.Generator) -> NDArray[Any]:
    """Return a background that is brighter on one side, with faint clouds."""
    clouds = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 24, mode="wrap")
    haze: NDArray[Any] = 22 + 8 * clouds / clouds.std() + np.linspace(0, 18, SIDE)
    return haze


def _grain(rng: np.random.Generator) -> NDArray[Any]:
    """Return a texture as of chromatin, around 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 1.8)
    grain: NDArray[Any] = 1 + 0.18 * noise / noise.std()
    return grain


def _exposed(rng: np.random.Generator, image: NDArray[Any]) -> NDArray[Any]:
    """Return an image as a microscope and its camera would have it."""
    light = rng.poisson(ndimage.gaussian_filter(image, 1.0).clip(0))
    seen: NDArray[Any] = (light + rng.normal(0, 2, image.shape)).clip(0, 255)
    return seen.astype(np.uint8)


def _ellipses(rng: np.random.Generator, count: int) -> Iterator[NDArray[np.bool_]]:
    """Yield ellipses that do not touch each other."""
    y, x = np.mgrid[:SIDE, :SIDE]
    taken = np.zeros((SIDE, SIDE), bool)
    while count:
        at = rng.uniform(14, SIDE - 14, 2)
        along, across = rng.uniform(10, 15), rng.uniform(8, 11)
        angle = rng.uniform(0, np.pi)
        u = (y - at[0]) * np.cos(angle) + (x - at[1]) * np.sin(angle)
        v = (x - at[1]) * np.cos(angle) - (y - at[0]) * np.sin(angle)
        inside = (u / along) ** 2 + (v / across) ** 2 < 1
        if (ndimage.binary_dilation(inside, iterations=4) & taken).any():
            continue
        taken |= inside
        count -= 1
        yield inside


FILES = {
    "tissue": ("skimage", "data/ihc.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "cell": ("skimage", "data/cell.png"),
    "coins": ("skimage", "data/coins.png"),
    "mri": ("nibabel", "tests/data/example4d.nii.gz"),
    "ct": ("pydicom", "data/test_files/CT_small.dcm"),
}
"""Package and file of samples that are real."""

MADE: dict[str, tuple[Callable[[], tuple[Any, Any]], str, tuple[str, ...]]] = {
    "nuclei": (make_nuclei, "YX", ()),
    "cells": (make_stained_cells, "CYX", ("nuclei", "marker")),
}
"""Functions that make the other samples and their true masks; axes and channels."""

SAMPLES = (*FILES, *MADE)


def sample_path(name: str) -> Path:
    """Find a sample's file.

    Parameters
    ----------
    name : str
        One of :data:`FILES`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ScanError
        If there is no such sample, or its package does not bring the file.
    """
    if name not in FILES:
        raise ScanError(unknown_name("sample", name, SAMPLES))
    package, file = FILES[name]
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / file
        if path.is_file():
            return path
    _log.error("sample %s: %s is not in %s", name, file, package)
    raise ScanError(
        f"The sample {name!r} is not on this machine: reinstall {package} with pip."
    )


def sample_scan(name: str) -> Scan:
    """Open a sample.

    Parameters
    ----------
    name : str
        One of :data:`SAMPLES`.

    Returns
    -------
    Scan
        Of the MRI series the first volume, axes ``"ZYX"``.

    Raises
    ------
    ScanError
        As :func:`sample_path`.
    """
    if name in MADE:
        return _made(name)
    scan = read_scan(sample_path(name))
    if scan.axes == "TZYX":
        scan = _first_time(scan)
    return replace(scan, name=name)


def _made(name: str) -> Scan:
    make, axes, channels = MADE[name]
    data: NDArray[Any] = make()[0]
    lengths = len(axes.replace("C", ""))
    return Scan(
        data=data,
        shape=data.shape,
        axes=axes,
        spacing=(1.0,) * lengths,
        units=(PIXEL,) * lengths,
        channel_names=channels,
        name=name,
    )


def _first_time(scan: Scan) -> Scan:
    """Return the first time point of a scan whose first axis is time."""
    return replace(
        scan,
        data=scan.data[0],
        shape=scan.shape[1:],
        axes=scan.axes[1:],
        spacing=scan.spacing[1:],
        units=scan.units[1:],
    )


def _layers(name: str) -> list[tuple[Any, dict[str, Any], str]]:
    """Return an image and the marks on it, which the dock finds by their metadata."""
    scan = sample_scan(name)
    data, kwargs, kind = scan.layer_data()
    kwargs["metadata"] = {**kwargs["metadata"], GIVEN: uuid4().hex}
    of_image = "name", "rgb", "channel_axis"
    lies = {key: value for key, value in kwargs.items() if key not in of_image}
    marks = sample_marks(name, scan.spatial_shape)
    lies |= {"name": f"{name} marks", "metadata": dict(kwargs["metadata"])}
    return [(data, kwargs, kind), (marks, lies, "labels")]


def tissue() -> list[tuple[Any, dict[str, Any], str]]:
    """Stained tissue, (512, 512, 3) uint8, and marks, as layer data for napari."""
    return _layers("tissue")


def retina() -> list[tuple[Any, dict[str, Any], str]]:
    """Fundus photo, (1411, 1411, 3) uint8, and marks, as layer data for napari."""
    return _layers("retina")


def cell() -> list[tuple[Any, dict[str, Any], str]]:
    """Cell, (660, 550) uint8, and marks, as layer data for napari."""
    return _layers("cell")


def coins() -> list[tuple[Any, dict[str, Any], str]]:
    """Coins, (303, 384) uint8, and marks, as layer data for napari."""
    return _layers("coins")


def mri() -> list[tuple[Any, dict[str, Any], str]]:
    """Brain MRI, (24, 96, 128) int16, and marks, as layer data for napari."""
    return _layers("mri")


def ct() -> list[tuple[Any, dict[str, Any], str]]:
    """CT slice in Hounsfield units, (128, 128), and marks, as layer data for napari."""
    return _layers("ct")


def nuclei() -> list[tuple[Any, dict[str, Any], str]]:
    """Nuclei that are made, (256, 256) uint8, and marks, as layer data for napari."""
    return _layers("nuclei")


def cells() -> list[tuple[Any, dict[str, Any], str]]:
    """Cells that are made, (2, 256, 256), and marks, as layer data for napari."""
    return _layers("cells")
