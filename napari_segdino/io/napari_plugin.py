"""What napari calls: a reader and a writer. Nothing here imports napari."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.errors import ScanError
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.provenance import Provenance
from napari_segdino.io.read import can_read, read_scan
from napari_segdino.io.scan import PIXEL, SHORT_UNITS, Header, Scan
from napari_segdino.io.write import write_mask

LayerData = tuple[Any, dict[str, Any], str]
Paths = str | Sequence[str]

LAZY_BYTES = 2**30
"""Files larger than this are read lazily where the format can."""

MASK_WORD = re.compile(r"(^|[^a-z])(labels?|masks?|seg|segmentation)([^a-z]|$)", re.I)


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Offer a reader to napari.

    Parameters
    ----------
    path : str or list of str
        Files or folders.

    Returns
    -------
    callable or None
        None when one of them is not ours; found out from names and a few
        bytes, and nothing is raised.
    """
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    return read_layers if paths and all(can_read(p) for p in paths) else None


def read_layers(path: Paths, series: str | None = None) -> list[LayerData]:
    """Read files or folders as layers.

    Parameters
    ----------
    path : str or list of str
        What napari was given; several files become several layers.
    series : str, optional
        Which one of several, as for :func:`~napari_segdino.io.read_scan`.

    Returns
    -------
    list of (data, keywords, type)
        A mask (by its name, and whole numbers) comes as labels.

    Raises
    ------
    ScanError
        If one cannot be read.
    """
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    return [_layer(Path(p), series) for p in paths]


def wants_lazy(path: Path) -> bool:
    """Whether a file is too large to be read as a whole.

    Parameters
    ----------
    path : pathlib.Path
        A file; folders decide for themselves.
    """
    return path.is_file() and path.stat().st_size > LAZY_BYTES


def _layer(path: Path, series: str | None) -> LayerData:
    scan = read_scan(path, series=series, lazy=wants_lazy(path))
    for text in scan.warnings:
        warnings.warn(f"{path.name}: {text}", stacklevel=3)
    data, kwargs, kind = scan.layer_data()
    return (data, kwargs, "labels") if is_mask(scan) else (data, kwargs, kind)


def is_mask(scan: Scan) -> bool:
    """Whether a scan is a mask: by its format, or its name and whole numbers.

    Parameters
    ----------
    scan : Scan
        As read.
    """
    if scan.format == "DICOM-SEG":
        return True
    whole = np.dtype(scan.data.dtype).kind in "ui" and "C" not in scan.axes
    return whole and MASK_WORD.search(scan.path.name if scan.path else "") is not None


def layer_header(data: Any, meta: dict[str, Any]) -> Header:
    """Find out where a layer lies.

    Parameters
    ----------
    data : array
        The layer's labels.
    meta : dict
        Its attributes, as napari hands them to writers. The header of the
        scan it was made for, under ``metadata["segdino"]``, counts when it
        fits; else scale, translate, units and axis labels do.

    Returns
    -------
    Header
    """
    stored = (meta.get("metadata") or {}).get("segdino")
    if isinstance(stored, dict):
        header = Header.from_dict(stored)
        if header.spatial_shape == tuple(data.shape):
            return header
    ndim = data.ndim
    labels = "".join(str(a) for a in meta.get("axis_labels") or ()).upper()
    # napari's own labels are numbers, which say nothing.
    axes = labels if labels in ("TYX", "TZYX", "ZYX", "YX") else "TZYX"[-ndim:]
    axes = axes if len(axes) == ndim else "TZYX"[-ndim:]
    scale = tuple(float(s) for s in _given(meta.get("scale"), 1.0, ndim))
    origin = tuple(float(s) for s in _given(meta.get("translate"), 0.0, ndim))
    named = (str(u) for u in _given(meta.get("units"), PIXEL, ndim))
    units = tuple(SHORT_UNITS.get(u, u) for u in named)
    place = [i for i, axis in enumerate(axes) if axis in "ZYX"]
    straight = tuple(np.eye(len(place)).ravel().tolist())
    grid = Geometry(
        tuple(int(data.shape[i]) for i in place[::-1]),
        # The spacing of a flipped layer is negative, that of files never.
        tuple(abs(scale[i]) for i in place[::-1]),
        tuple(origin[i] for i in place[::-1]),
        straight,
    )
    return Header(
        shape=tuple(data.shape), axes=axes, spacing=scale, units=units, geometry=grid
    )


def _given(values: Any, default: Any, count: int) -> Any:
    return (default,) * count if values is None else values


def write_labels(
    path: str,
    data: Any,
    meta: dict[str, Any],
    provenance: Provenance = Provenance(),  # noqa: B008
) -> list[str]:
    """Write a labels layer in the geometry of its scan.

    Parameters
    ----------
    path : str
        Where to; the suffix decides the format.
    data : array of int
        The labels; of a multiscale layer the finest level is written.
    meta : dict
        The layer's attributes.
    provenance : Provenance
        As for :func:`~napari_segdino.io.write.write_mask`.

    Returns
    -------
    list of str
        The file written.

    Raises
    ------
    ScanError
        As :func:`~napari_segdino.io.write.write_mask`.
    """
    array = data[0] if isinstance(data, (list, tuple)) else data
    if not hasattr(array, "ndim"):
        raise ScanError("This layer holds no labels to write.")
    header = layer_header(array, meta)
    return [str(write_mask(path, array, header, provenance=provenance))]
