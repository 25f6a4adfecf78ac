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
from napari_segdino.io.dicom_index import Series, faults, iter_series, list_series
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.itk import image_scan, quiet_itk, read_image
from napari_segdino.io.scan import PIXEL, ReadOptions, Scan
from napari_segdino.progress import Progress, Steps

__all__ = ["Series", "iter_read_dicom", "list_series"]

_log = logging.getLogger(__name__)

TIME_FRAMES = ("US", "XA", "RF", "ES", "XC", "OT", "NM", "GM")
"""Modalities whose frames follow each other in time, not in depth."""

MOST_TOLD = 10
"""Series that are named when the largest is taken."""


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM files do."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def choose_series(found: list[Series], series: str | int | None) -> Series:
    """Pick a series by UID, description or number, or the largest.

    Raises
    ------
    ScanError
        If there is none, none of that name, or more than one; the text lists
        what there is.
    """
    if not found:
        raise ScanError("holds no DICOM image that can be read")
    if series is None:
        return found[0]
    named = [one for one in found if series in (one.uid, one.description)]
    if not named and str(series).isdecimal():
        named = found[int(series) :][:1]
    if len(named) == 1:
        return named[0]
    many = f"{len(named)} series called" if named else "no series"
    raise ScanError(f"holds {many} {series!r}; it holds {_listed(found)}")


def iter_read_dicom(path: Path, options: ReadOptions) -> Steps[Scan]:
    """Read a DICOM file, or one series of a folder.

    Parameters
    ----------
    path : pathlib.Path
        A file or a folder.
    options : ReadOptions
        `series` is the UID, description or number in :func:`list_series`; the
        largest if not given.

    Yields
    ------
    Progress
        In files whose headers are read; then the pixels come in one step.

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
    found = yield from iter_series(path)
    try:
        chosen = choose_series(found, options.series)
    except ScanError as error:
        raise ScanError(f"{path.name} {error}.") from error
    yield Progress(0, 0, f"Reading {chosen.title}")
    scan = _read_series(chosen, path)
    if len(found) < 2:
        return scan
    titles = {one.uid: one.title for one in found}
    scan = replace(scan, series=chosen.uid, all_series=titles)
    if options.series is None:
        marked = (
            f"{len(found)} series are here; number 0, the largest, was taken: "
            f"{_listed(found, MOST_TOLD)}."
        )
        scan = replace(scan, warnings=(*scan.warnings, marked))
    return scan


def _listed(found: list[Series], most: int | None = None) -> str:
    """Numbers and titles, `most` of them."""
    told = "; ".join(f"{i}: {one.title}" for i, one in enumerate(found[:most]))
    rest = len(found) - len(found[:most])
    return f"{told} and {rest} more" if rest else told


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
