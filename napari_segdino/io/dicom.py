"""DICOM: a folder's series, single files and multi-frame files.

Which slices belong together, and in which order, is in ``dicom_index``; what their
pixels mean in ``dicom_pixels``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.io.dicom_index import (
    Series,
    faults,
    iter_series,
    list_series,
    regular_slices,
)
from napari_segdino.io.dicom_pixels import read_values
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.scan import PIXEL, ReadOptions, Scan
from napari_segdino.io.seg import is_seg, join_segments
from napari_segdino.progress import Progress, Steps

__all__ = ["Series", "iter_read_dicom", "list_series"]

TIME_FRAMES = ("US", "XA", "RF", "ES", "XC", "OT", "NM", "GM")
"""Modalities whose frames follow each other in time, not in depth."""

MOST_TOLD = 10
"""Series that are named when the largest is taken."""


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM files do.

    Parameters
    ----------
    path : pathlib.Path
        A file.

    Raises
    ------
    OSError
        If the system refuses to read it.
    """
    with open(path, "rb") as file:
        # The standard leaves 128 bytes free before the four that name it.
        return file.read(132)[128:] == b"DICM"


def _choose_series(found: list[Series], series: str | int | None) -> Series:
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
        In files whose headers are read, then in files whose pixels are.

    Returns
    -------
    Scan
        CT in Hounsfield units; slices sorted by position. Slices that share a
        position make time points, axes ``"TZYX"``. Tilt, missing slices and
        other series are named in its ``warnings``.

    Raises
    ------
    ScanError
        If there is no image, no such series, or pixels cannot be decoded.
    """
    found = yield from iter_series(path)
    try:
        chosen = _choose_series(found, options.series)
    except ScanError as error:
        raise ScanError(f"{path.name} {error}.") from error
    scan = yield from _iter_read_series(chosen, path)
    if len(found) < 2:
        return scan
    titles = {one.uid: one.title for one in found}
    scan = replace(scan, series=chosen.uid, all_series=titles)
    if options.series is None:
        note = (
            f"{len(found)} series are here; number 0, the largest, was taken: "
            f"{_listed(found, MOST_TOLD)}."
        )
        scan = replace(scan, warnings=(*scan.warnings, note))
    return scan


def _listed(found: list[Series], most: int | None = None) -> str:
    """Numbers and titles, `most` of them."""
    listed = "; ".join(f"{i}: {one.title}" for i, one in enumerate(found[:most]))
    rest = len(found) - len(found[:most])
    return f"{listed} and {rest} more" if rest else listed


def _iter_read_series(series: Series, path: Path) -> Steps[Scan]:
    files = series.files
    yield Progress(0, len(files), f"Reading {series.title}")
    tags, first = read_values(files[0])
    # The element may be there and empty, as many here may.
    frames = int(tags.get("NumberOfFrames") or 1)
    about: dict[str, Any] = {
        "path": path,
        "files": files,
        "format": "DICOM",
        "name": series.description or path.stem,
        "intensity_unit": "HU" if series.modality == "CT" else "",
    }
    if dose := tags.get("DoseGridScaling"):
        unit = str(tags.get("DoseUnits") or "the dose").capitalize()
        note = f"Values are those stored: times {float(dose):g} they are {unit}."
        about["warnings"] = (note,)
    spacing = series.spacing or _plane_spacing(tags)
    if len(files) > 1:
        planes = yield from _iter_planes(series, first)
        return _volume(planes, series, spacing, about)
    stack = first if frames > 1 else first[None]
    film = series.slices[0].frame < 0
    if film or (frames == 1 and not is_seg(tags)):
        return _read_single(tags, stack, series, spacing, about)
    if len(stack) <= max(one.frame for one in series.slices):
        raise ScanError(f"{path.name} cannot be read: it lacks frames that it names.")
    stack = stack[[one.frame for one in series.slices]]
    if is_seg(tags):
        stack, series, notes = join_segments(tags, stack, series)
        about = {**about, "format": "DICOM-SEG", "warnings": notes}
    return _volume(stack, series, spacing, about)


def _iter_planes(series: Series, first: NDArray[Any]) -> Steps[NDArray[Any]]:
    """Read the slices of a series, a file each."""
    files = series.files
    planes = np.empty((len(files), *first.shape), first.dtype)
    planes[0] = first
    for done, file in enumerate(files[1:], 1):
        yield Progress(done, len(files), f"Reading {series.title}")
        values = read_values(file)[1]
        if values.shape != first.shape:
            raise ScanError(f"{Path(file).name} is of another size than the rest.")
        # The slope of a later slice may need a wider type than the first one's.
        kind = np.result_type(planes.dtype, values.dtype)
        planes = planes.astype(kind, copy=False)
        planes[done] = values
    return planes


def _volume(
    planes: NDArray[Any],
    series: Series,
    spacing: tuple[float, ...],
    about: dict[str, Any],
) -> Scan:
    """Make a scan of planes in the order of the series; repeats become time."""
    chosen, repeats, notes = regular_slices(series)
    slices = tuple(series.slices[i] for i in chosen.ravel())
    first = replace(series, slices=slices[: chosen.shape[1]])
    axes = "ZYX" if repeats == 1 else "TZYX"
    if chosen.size != len(planes) or repeats > 1:
        planes = planes[chosen if repeats > 1 else chosen[0]]
        about = {**about, "files": replace(series, slices=slices).files}
    notes = (*about.pop("warnings", ()), *notes, *faults(first))
    return _scan(planes, axes, _grid(first, spacing), {**about, "warnings": notes})


def _scan(data: NDArray[Any], axes: str, grid: Geometry, about: dict[str, Any]) -> Scan:
    """Name the axes; a volume of one slice loses that axis."""
    spacing = dict(zip("XYZ", grid.spacing, strict=False))
    for axis in "TZ":
        if axis in axes and data.shape[axes.index(axis)] == 1:
            data = data.squeeze(axes.index(axis))
            axes = axes.replace(axis, "")
    channels = data.ndim > len(axes)
    depths = (np.uint8, np.uint16)
    return Scan(
        data=data,
        shape=data.shape,
        axes=axes + ("C" if channels else ""),
        spacing=tuple(spacing.get(axis, 1.0) for axis in axes),
        units=tuple("mm" if axis in spacing else PIXEL for axis in axes),
        geometry=grid,
        colour=channels and data.shape[-1] in (3, 4) and data.dtype in depths,
        **about,
    ).channels_first()


def _read_single(
    tags: Any,
    stack: NDArray[Any],
    series: Series,
    spacing: tuple[float, ...],
    about: dict[str, Any],
) -> Scan:
    """Make a scan of one file: a slice, or frames that do not say where they lie."""
    unplaced = len(stack) > 1 and series.orientation is None
    if unplaced and series.modality in TIME_FRAMES:
        return _scan(stack, "TYX", _grid(series, spacing), about)
    grid = _file_grid(tags, stack.shape[:3], series, spacing)
    return _scan(stack, "ZYX", grid, about)


def _plane_spacing(tags: Any) -> tuple[float, float]:
    """Between rows and between columns, mm; 1 where the file does not say."""
    # From what holds in the patient to what holds at the detector or on a scanned film.
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = tags.get(name)
        if found is not None and len(found) == 2 and min(map(float, found)) > 0:
            return float(found[0]), float(found[1])
    return 1.0, 1.0


def _grid(series: Series, spacing: tuple[float, ...], step: float = 0.0) -> Geometry:
    """Grid of a stack: its orientation as written, the usual step across.

    SimpleITK takes the step from the outermost slices and tilts the grid with
    the gantry; one missing slice would stretch all the others.
    """
    positions, normal = series.positions, series.normal
    size = (series.shape[2], series.shape[1], len(series.slices))
    if positions is None or normal is None:
        return replace(
            Geometry.plain(size[::-1]), spacing=(*spacing[::-1], step or 1.0)
        )
    row, column = np.array(series.orientation, float).reshape(2, 3)
    # The rows' direction is that of x: from one column to the next.
    direction = np.stack([row, column, normal], axis=1)
    if len(positions) > 1:
        step = float(np.median(np.diff(positions @ normal)))
    return Geometry(
        size,
        (*spacing[::-1], step or 1.0),
        tuple(float(v) for v in positions[0]),
        tuple(float(v) for v in direction.ravel()),
    )


def _file_grid(
    tags: Any, shape: tuple[int, ...], series: Series, spacing: tuple[float, ...]
) -> Geometry:
    """Grid of one file: the step across comes from tags of two names."""
    names = ("SpacingBetweenSlices", "SliceThickness")
    steps = [abs(float(tags.get(name) or 0)) for name in names]
    step = next((one for one in steps if one > 0), 1.0)
    grid = _grid(series, spacing, step)
    return replace(grid, size=(grid.size[0], grid.size[1], shape[0]))
