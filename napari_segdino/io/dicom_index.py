"""What a DICOM folder holds: its series, their slices in order, their faults."""

from __future__ import annotations

import logging
import os
import struct
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.progress import Progress, Steps, drive

_log = logging.getLogger(__name__)

TAGS = (
    "SeriesInstanceUID",
    "SeriesDescription",
    "SeriesNumber",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "InstanceNumber",
    "AcquisitionNumber",
    "SOPClassUID",
    "Units",
    "SamplesPerPixel",
    "FrameTime",
)

TILT_DEGREES = 0.5
"""Slices that step sideways by more than this are called tilted."""

GAP_SHARE = 0.1
"""A step between slices that is off the usual one by more than this share."""


@dataclass(frozen=True)
class Slice:
    """One file of a series.

    Parameters
    ----------
    path : str
        Where it is.
    position : tuple of float or None
        Of the first pixel's centre, LPS, mm.
    number : int
        The instance number, 0 if unlabelled.
    """

    path: str
    position: tuple[float, float, float] | None
    number: int


@dataclass(frozen=True)
class Series:
    """A stack of slices, or one file with one or many frames.

    Parameters
    ----------
    uid : str
        The series instance UID; with ``#2``, ``#3`` ... where one series holds
        stacks of different size or orientation.
    description, modality : str
        As the scanner wrote them; may be empty.
    shape : tuple of int
        (files or frames, rows, columns).
    orientation : tuple of float or None
        Direction of a row, then of a column (6 numbers).
    slices : tuple of Slice
        Sorted by position, else by instance number.
    """

    uid: str
    description: str
    modality: str
    shape: tuple[int, int, int]
    orientation: tuple[float, ...] | None
    slices: tuple[Slice, ...] = field(repr=False)

    @property
    def title(self) -> str:
        """One line for a list that a user chooses from."""
        name = self.description or "no description"
        return f"{self.modality} {name} ({' x '.join(map(str, self.shape))})".strip()

    @property
    def files(self) -> tuple[str, ...]:
        """Paths in the order of the slices."""
        return tuple(one.path for one in self.slices)

    @property
    def positions(self) -> NDArray[np.float64] | None:
        """(N, 3) in mm, LPS; None where a slice does not say."""
        known = [one.position for one in self.slices if one.position is not None]
        return np.array(known, float) if len(known) == len(self.slices) else None

    @property
    def normal(self) -> NDArray[np.float64] | None:
        """Direction across the slices, unit length."""
        if self.orientation is None:
            return None
        row, column = np.array(self.orientation, float).reshape(2, 3)
        return np.cross(row, column)


DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    struct.error,
)
"""What pydicom raises on files that are damaged or of another kind."""


def _header(path: Path) -> Any | None:
    """Tags of one file; None if it is no DICOM image."""
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=list(TAGS)
            )
            whole = "Rows" in tags and "Columns" in tags and _group_key(tags)
    except (pydicom.errors.InvalidDicomError, *DAMAGED) as error:
        _log.debug("%s is no DICOM file", path, exc_info=error)
        return None
    return tags if whole else None


def _numbers(tags: Any, name: str, count: int) -> tuple[float, ...] | None:
    value = tags.get(name)
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    return tuple(float(v) for v in value)


def _group_key(tags: Any) -> tuple[Any, ...]:
    orientation = _numbers(tags, "ImageOrientationPatient", 6)
    rounded = tuple(round(v, 2) + 0.0 for v in orientation) if orientation else None
    frames = int(tags.get("NumberOfFrames") or 1)
    uid = str(tags.get("SeriesInstanceUID", ""))
    return uid, int(tags.Rows), int(tags.Columns), frames, rounded


def _slice(path: Path, tags: Any) -> Slice:
    position = _numbers(tags, "ImagePositionPatient", 3)
    return Slice(
        os.fspath(path),
        (position[0], position[1], position[2]) if position else None,
        int(tags.get("InstanceNumber") or 0),
    )


def _sorted(slices: list[Slice], orientation: tuple[float, ...] | None) -> list[Slice]:
    """By place along the normal, then by instance number."""
    if orientation is None or any(one.position is None for one in slices):
        return sorted(slices, key=lambda one: (one.number, one.path))
    row, column = np.array(orientation, float).reshape(2, 3)
    normal = np.cross(row, column)

    def place(one: Slice) -> tuple[float, int, str]:
        along = float(np.dot(np.array(one.position), normal))
        return round(along, 3), one.number, one.path

    return sorted(slices, key=place)


def _series(uid: str, members: list[tuple[Path, Any]]) -> Series:
    first = members[0][1]
    orientation = _numbers(first, "ImageOrientationPatient", 6)
    slices = _sorted([_slice(path, tags) for path, tags in members], orientation)
    count = len(slices) * int(first.get("NumberOfFrames") or 1)
    return Series(
        uid=uid,
        description=str(first.get("SeriesDescription") or ""),
        modality=str(first.get("Modality") or ""),
        shape=(count, int(first.Rows), int(first.Columns)),
        orientation=orientation,
        slices=tuple(slices),
    )


def iter_index(files: list[Path]) -> Steps[list[Series]]:
    """Sort DICOM files into series.

    Parameters
    ----------
    files : list of path
        Files of any kind; those that are no DICOM images are left out.

    Yields
    ------
    Progress
        In files.

    Returns
    -------
    list of Series
        Largest first, then by UID. Files of several frames stand alone.
    """
    groups: dict[tuple[Any, ...], list[tuple[Path, Any]]] = {}
    for done, path in enumerate(files):
        yield Progress(done, len(files), "Looking for series")
        tags = _header(path)
        if tags is not None:
            key = _group_key(tags)
            key = (*key, str(path)) if key[3] > 1 else key
            groups.setdefault(key, []).append((path, tags))
    met: Counter[str] = Counter()
    found = []
    for key, members in groups.items():
        met[key[0]] += 1
        uid = key[0] if met[key[0]] == 1 else f"{key[0]}#{met[key[0]]}"
        found.append(_series(uid, members))
    return sorted(found, key=lambda one: (-one.shape[0], one.uid))


def iter_series(folder: Path | str) -> Steps[list[Series]]:
    """Yield :class:`Progress` while doing what :func:`list_series` does."""
    folder = Path(folder)
    if folder.is_file():
        return iter_index([folder])
    files = sorted(
        Path(root, name) for root, _folders, names in os.walk(folder) for name in names
    )
    return iter_index(files)


def list_series(folder: Path | str) -> list[Series]:
    """List what a DICOM folder holds, its subfolders included.

    Parameters
    ----------
    folder : path
        A folder, or one DICOM file.

    Returns
    -------
    list of Series
        Largest first; empty when there is no DICOM image.
    """
    return drive(iter_series(folder))


def faults(series: Series) -> tuple[str, ...]:
    """Say what is wrong with a stack's slices.

    Parameters
    ----------
    series : Series
        One position a slice: no time points.

    Returns
    -------
    tuple of str
        A sentence for a gantry tilt, one for missing or uneven slices.
    """
    positions, normal = series.positions, series.normal
    if positions is None or normal is None:
        return ("The files do not say where the slices lie: spacing is a guess.",)
    if len(positions) < 2:
        return ()
    marked = []
    across = np.diff(positions @ normal)
    step = positions[-1] - positions[0]
    along = float(step @ normal) / max(float(np.linalg.norm(step)), 1e-9)
    tilt = float(np.degrees(np.arccos(np.clip(abs(along), 0, 1))))
    if tilt > TILT_DEGREES:
        marked.append(
            f"The gantry was tilted by {tilt:.1f} degrees: slices are shown as "
            "taken and are not sheared back."
        )
    usual = float(np.median(across))
    missing = int(np.sum(np.maximum(np.rint(across / max(usual, 1e-9)) - 1, 0)))
    uneven = bool(np.any(np.abs(across - usual) > GAP_SHARE * abs(usual)))
    if missing:
        marked.append(f"About {missing} of the slices are missing from the series.")
    elif uneven:
        marked.append(
            f"The distance between slices varies from {across.min():.2f} to "
            f"{across.max():.2f} mm; {usual:.2f} mm is used."
        )
    return tuple(marked)
