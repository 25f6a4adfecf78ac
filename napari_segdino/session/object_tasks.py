"""What the worker does to find and measure objects. No Qt and no layers here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import GIB, ObjectSettings
from napari_segdino.images.planes import Planes
from napari_segdino.inference.instances import iter_find_objects
from napari_segdino.inference.measure import Table, measure_objects
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.progress import Progress, Steps, run_in_thread
from napari_segdino.session.session import checksum

MAX_MAPS = GIB
"""Bytes of probabilities that are held at most; else only the shape counts."""


@dataclass(frozen=True)
class Asked:
    """A mask whose objects are wanted.

    Parameters
    ----------
    planes : Planes
        Its image.
    mask : array of int
        The mask, live.
    region : tuple of int
        Index of a plane, or of a volume, over the leading axes.
    spacing : tuple of float
        Distance between pixels along the axes of the region.
    units : str
        Their unit; pixels if empty.
    names : mapping of int to str
        Of the classes.
    settings : ObjectSettings
        Sizes and separation.
    segmenter : Segmenter, optional
        Its probabilities part objects as well.
    """

    planes: Planes
    mask: Any
    region: tuple[int, ...]
    spacing: tuple[float, ...]
    units: str
    names: Mapping[int, str]
    settings: ObjectSettings
    segmenter: Any = None


@dataclass(frozen=True)
class Found:
    """The objects of a mask.

    Parameters
    ----------
    labels : numpy.ndarray of int32
        In the shape of the whole mask, 0 outside of the region.
    table : dict of str to numpy.ndarray
        From :func:`measure_objects`, with ``name``.
    checksums : dict of int to int
        By plane, checksum of the mask that they were found in.
    """

    labels: NDArray[np.int32]
    table: Table
    checksums: dict[int, int]


def iter_objects(asked: Asked) -> Steps[Found]:
    """Find the objects of a mask and measure them.

    Parameters
    ----------
    asked : Asked
        The mask, where, and how.

    Returns
    -------
    Found

    Yields
    ------
    Progress
    """
    yield Progress(0, 0, "Finding objects")
    # A copy: the user may paint while this runs.
    mask = np.array(asked.mask[asked.region])
    image = np.asarray(asked.planes.array[asked.region])
    maps = yield from _iter_maps(asked, mask)
    objects = yield from iter_find_objects(mask, maps, asked.spacing, asked.settings)
    measure = partial(
        measure_objects,
        objects.labels,
        image,
        asked.spacing,
        asked.units,
        objects.classes,
    )
    measured = yield from run_in_thread(measure, Progress(0, 0, "Measuring objects"))
    labels = np.zeros(asked.mask.shape, np.int32)
    labels[asked.region] = objects.labels
    planes = mask.reshape(-1, *mask.shape[-2:])
    checksums = {_first(asked, mask) + i: checksum(p) for i, p in enumerate(planes)}
    return Found(labels, _named(measured, asked.names), checksums)


def _first(asked: Asked, mask: NDArray[Any]) -> int:
    """Return the first plane of the region."""
    lead, shape = asked.region + (0,) * (mask.ndim - 2), asked.planes.lead_shape
    return int(np.ravel_multi_index(lead, shape)) if shape else 0


def _iter_maps(asked: Asked, mask: NDArray[Any]) -> Steps[NDArray[np.float16] | None]:
    """Predict the probabilities of the region again; features are cached."""
    segmenter = asked.segmenter
    if segmenter is None or not segmenter.is_fitted or not asked.settings.split:
        return None
    # Two bytes each, as float16.
    if segmenter.n_classes_ * mask.size * 2 > MAX_MAPS:
        return None
    depth = int(np.prod(mask.shape[:-2]))
    first = _first(asked, mask)
    maps = np.zeros((segmenter.n_classes_, depth, *mask.shape[-2:]), np.float16)
    steps = segmenter.iter_predict(
        asked.planes.array, axes=asked.planes.axes, planes=range(first, first + depth)
    )
    for step in steps:
        if isinstance(step, PlaneResult):
            maps[:, step.index - first] = step.probabilities
        else:
            yield step
    return maps.reshape(-1, *mask.shape)


def _named(table: Table, names: Mapping[int, str]) -> Table:
    """Put the names of classes beside their numbers."""
    out: Table = {}
    for column, values in table.items():
        out[column] = values
        if column == "class":
            named = [names.get(int(code), f"Class {code}") for code in values]
            out["name"] = np.array(named, str)
    return out
