"""TIFF out: masks and probabilities, through tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.files import split_suffix
from napari_segdino.io.provenance import PROGRAM, Provenance
from napari_segdino.io.scan import PIXEL, Header

NAMESPACE = f"{PROGRAM}/provenance"
"""Namespace of the map annotation that says how a mask was made."""


def _ome_metadata(
    header: Header | None, axes: str, provenance: Provenance
) -> dict[str, Any]:
    """OME's metadata of a mask: axes, spacing and units, and what it was made with."""
    about: dict[str, Any] = {"axes": axes, "Creator": provenance.program}
    about["MapAnnotation"] = {"Namespace": NAMESPACE, "Value": provenance.to_dict()}
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


def _imagej_options(
    header: Header | None, axes: str, provenance: Provenance
) -> dict[str, Any]:
    about: dict[str, Any] = {"axes": axes, "Info": provenance.to_lines()}
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
    path: Path,
    labels: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
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
    provenance : Provenance
        A map annotation in OME; what ImageJ shows as *Info* in its own.
    """
    import tifffile

    axes = header.spatial_axes if header is not None else "TZYX"[-labels.ndim :]
    ome = ".ome." in split_suffix(path)[1]
    # ImageJ knows no whole numbers of 32 bits, and its files end at 4 GB.
    small = labels.dtype != np.uint32 and labels.nbytes < 2**31
    if ome or not small:
        about = _ome_metadata(header, axes, provenance)
        if names:
            about["Description"] = "; ".join(f"{i} {n}" for i, n in enumerate(names, 1))
        options: dict[str, Any] = {"metadata": about, "ome": True}
    else:
        options = _imagej_options(header, axes, provenance)
    big = labels.nbytes > 2**31
    options.update({} if options.get("imagej") else {"bigtiff": big})
    options["software"] = provenance.program
    options["photometric"] = "minisblack"  # or 3 columns would be taken for colours
    tifffile.imwrite(path, labels, compression="zlib", **options)


def write_tiff_maps(
    path: Path,
    maps: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
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
    provenance : Provenance
        A map annotation.
    """
    import tifffile

    axes = header.spatial_axes if header is not None else "TZYX"[1 - maps.ndim :]
    about = _ome_metadata(header, "C" + axes, provenance)
    if len(names) == len(maps):
        about["Channel"] = {"Name": list(names)}
    tifffile.imwrite(
        path,
        maps,
        ome=True,
        bigtiff=maps.nbytes > 2**31,
        compression="zlib",
        photometric="minisblack",
        software=provenance.program,
        metadata=about,
    )
