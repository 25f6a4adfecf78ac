"""TIFF out: ImageJ's kind or OME's, through tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.files import split_suffix
from napari_segdino.io.scan import PIXEL, Header


def tiff_metadata(header: Header | None, axes: str) -> dict[str, Any]:
    """OME's metadata of a mask: axes, spacing and units."""
    about: dict[str, Any] = {"axes": axes}
    if header is None:
        return about
    triples = zip(header.spatial_axes, header.spacing, header.units, strict=True)
    for axis, step, unit in triples:
        if unit == PIXEL:
            continue
        key = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        about[key] = step
        about[f"{key}Unit"] = {"um": "µm", "inch": "in"}.get(unit, unit)
    return about


def _imagej_options(header: Header | None, axes: str) -> dict[str, Any]:
    about: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"imagej": True, "metadata": about}
    if header is None:
        return options
    axes_of = header.spatial_axes
    steps = dict(zip(axes_of, header.spacing, strict=True))
    unit = dict(zip(axes_of, header.units, strict=True))["X"]
    if unit != PIXEL:
        options["resolution"] = (1 / steps["X"], 1 / steps["Y"])
        about["unit"] = unit
        if "Z" in steps:
            about["spacing"] = steps["Z"]
        if "T" in steps:
            about["finterval"] = steps["T"]
    return options


def write_tiff(
    path: Path, labels: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write OME-TIFF, or ImageJ's TIFF when ImageJ knows the number type.

    Parameters
    ----------
    path : pathlib.Path
        ``.ome.tif`` makes OME-TIFF.
    labels : numpy.ndarray
    header : Header, optional
        For spacing and units.
    names : tuple of str
        Of the classes; OME only.
    """
    import tifffile

    axes = header.spatial_axes if header is not None else "TZYX"[-labels.ndim :]
    ome = ".ome." in split_suffix(path)[1]
    small = labels.dtype != np.uint32 and labels.nbytes < 2**31
    if ome or not small:
        about = tiff_metadata(header, axes)
        if names:
            about["Description"] = "; ".join(f"{i} {n}" for i, n in enumerate(names, 1))
        options: dict[str, Any] = {"metadata": about, "ome": True}
    else:
        options = _imagej_options(header, axes)
    big = labels.nbytes > 2**31
    options.update({} if options.get("imagej") else {"bigtiff": big})
    options["photometric"] = "minisblack"  # or 3 columns would be taken for colours
    tifffile.imwrite(path, labels, compression="zlib", **options)


def write_channels(
    path: Path, maps: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write one channel a class as OME-TIFF.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    maps : numpy.ndarray, shape (K, *spatial)
    header : Header, optional
        For spacing and units.
    names : tuple of str
        Of the channels; left out unless there are K.
    """
    import tifffile

    axes = header.spatial_axes if header is not None else "TZYX"[1 - maps.ndim :]
    about = tiff_metadata(header, "C" + axes)
    if len(names) == len(maps):
        about["Channel"] = {"Name": list(names)}
    tifffile.imwrite(
        path,
        maps,
        ome=True,
        bigtiff=maps.nbytes > 2**31,
        compression="zlib",
        photometric="minisblack",
        metadata=about,
    )
