"""DICOM: a folder's series, single files and multi-frame files.

pydicom reads the headers (which slices belong together, and in which order),
SimpleITK with GDCM decodes the pixels and applies rescale slope and intercept.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.errors import ScanError
from napari_segdino.io.dicom_index import Series, faults, list_series
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.itk import image_scan, quiet_itk, read_image
from napari_segdino.io.scan import PIXEL, Scan

__all__ = ["Series", "list_series", "read_dicom"]

_log = logging.getLogger(__name__)

TIME_FRAMES = ("US", "XA", "RF", "ES", "XC", "OT", "NM", "GM")
"""Modalities whose frames follow each other in time, not in depth."""


def choose_series(found: list[Series], series: str | int | None) -> Series:
    """Pick a series by UID, by number, or the largest.

    Raises
    ------
    ScanError
        If there is none, or none of that name; the text lists what there is.
    """
    if not found:
        raise ScanError("holds no DICOM image that can be read")
    if series is None:
        return found[0]
    if isinstance(series, int) and 0 <= series < len(found):
        return found[series]
    for one in found:
        if series in (one.uid, one.description):
            return one
    titles = "; ".join(f"{i}: {one.title}" for i, one in enumerate(found))
    raise ScanError(f"holds no series {series!r}; it holds {titles}")


def read_dicom(path: Path, series: str | int | None = None) -> Scan:
    """Read a DICOM file, or one series of a folder.

    Parameters
    ----------
    path : pathlib.Path
        A file or a folder.
    series : str or int, optional
        UID, description or number in :func:`list_series`; the largest if not
        given.

    Returns
    -------
    Scan
        CT in Hounsfield units; slices sorted by position. Slices that share a
        position make time points, axes ``"TZYX"``. Tilt, missing slices and
        other series are told in its ``warnings``.

    Raises
    ------
    ScanError
        If there is no image, no such series, or pixels cannot be decoded.
    """
    found = list_series(path)
    try:
        chosen = choose_series(found, series)
    except ScanError as error:
        raise ScanError(f"{path.name} {error}.") from error
    scan = _read_series(chosen, path)
    if series is None and len(found) > 1:
        others = "; ".join(one.title for one in found[1:4])
        said = f"{len(found)} series are here; this is the largest, others: {others}."
        scan = replace(scan, warnings=(*scan.warnings, said))
    return scan


def _about(path: Path, files: tuple[str, ...]) -> dict[str, Any]:
    return {"path": path, "files": files, "format": "DICOM", "name": path.stem}


def _read_series(series: Series, path: Path) -> Scan:
    about = _about(path, series.files)
    about["intensity_unit"] = "HU" if series.modality == "CT" else ""
    about["name"] = series.description or path.stem
    if len(series.files) == 1:
        return _read_single(series, about)
    repeats = _repeats(series)
    if repeats == 1:
        image = _read_stack(list(series.files), path)
        scan = image_scan(image, warnings=faults(series), **about)
        return replace(scan, **_straight(scan, series))
    return _read_times(series, repeats, about)


def _read_single(series: Series, about: dict[str, Any]) -> Scan:
    image = read_image(Path(series.files[0]), "DICOM")
    scan = image_scan(image, **about)
    if "Z" not in scan.axes or series.modality not in TIME_FRAMES:
        return scan
    if series.orientation is not None:
        return scan
    spacing, units = (1.0, *scan.spacing[1:]), (PIXEL, *scan.units[1:])
    flat = scan.geometry and replace(scan.geometry, size=(*scan.geometry.size[:2], 1))
    axes = scan.axes.replace("Z", "T")
    return replace(scan, axes=axes, spacing=spacing, units=units, geometry=flat)


def _repeats(series: Series) -> int:
    """How many slices share each position; 1 unless it is the same for all."""
    positions = series.positions
    if positions is None:
        return 1
    _places, counts = np.unique(positions.round(2), axis=0, return_counts=True)
    same = bool((counts == counts[0]).all())
    return int(counts[0]) if same else 1


def _read_stack(files: list[str], path: Path) -> Any:
    """Decode slices in the order given."""
    with quiet_itk() as sitk:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(files)
        try:
            return reader.Execute()
        except RuntimeError as error:
            _log.error("reading %s failed", path, exc_info=error)
            raise ScanError(
                f"{path.name} cannot be read: a slice is damaged or of another size."
            ) from error


def _read_times(series: Series, repeats: int, about: dict[str, Any]) -> Scan:
    """Read a series that comes back to each position `repeats` times."""
    stacks = [
        replace(series, slices=series.slices[start::repeats])
        for start in range(repeats)
    ]
    scans = [
        image_scan(_read_stack(list(one.files), about["path"]), **about)
        for one in stacks
    ]
    first, data = scans[0], np.stack([np.asarray(scan.data) for scan in scans])
    straight = _straight(first, stacks[0])
    return replace(
        first,
        data=data,
        shape=data.shape,
        axes="T" + first.axes,
        spacing=(1.0, *straight["spacing"]),
        units=(PIXEL, *first.units),
        geometry=straight["geometry"],
        files=tuple(name for one in stacks for name in one.files),
        warnings=faults(stacks[0]),
    )


def _straight(scan: Scan, series: Series) -> dict[str, Any]:
    """Grid of a stack: its orientation as written, the usual step across.

    SimpleITK takes the step from the outermost slices and tilts the grid with
    the gantry; one missing slice would stretch all the others.
    """
    positions, normal = series.positions, series.normal
    if positions is None or normal is None or scan.geometry is None:
        return {"geometry": scan.geometry, "spacing": scan.spacing}
    row, column = np.array(series.orientation, float).reshape(2, 3)
    direction = np.stack([row, column, normal], axis=1)
    step = float(np.median(np.diff(positions @ normal))) or 1.0
    grid = Geometry(
        scan.geometry.size,
        (*scan.geometry.spacing[:2], step),
        tuple(float(v) for v in positions[0]),
        tuple(float(v) for v in direction.ravel()),
    )
    spatial = dict(zip("ZYX", grid.spacing[::-1], strict=True))
    axes = scan.spatial_axes
    return {"geometry": grid, "spacing": tuple(spatial[axis] for axis in axes)}
