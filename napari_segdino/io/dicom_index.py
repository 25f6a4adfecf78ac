"""What a DICOM folder holds: its series, their slices in order, their faults."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.io.dicom_pixels import DAMAGED, read_tags
from napari_segdino.progress import Progress, Steps, drive

_log = logging.getLogger(__name__)

TAGS = (
    "SeriesInstanceUID",
    "SeriesDescription",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "InstanceNumber",
    "SamplesPerPixel",
)

TILT_DEGREES = 0.5
"""Slices that step sideways by more than this are called tilted."""

GAP_SHARE = 0.1
"""A step between slices that is off the usual one by more than this share."""


@dataclass(frozen=True)
class Slice:
    """One file of a series, or one frame of a file.

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
    """A stack of slices, of a file each or frames of one.

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
        """Paths in the order of the slices, each once."""
        return tuple(dict.fromkeys(one.path for one in self.slices))

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


def _header(path: Path) -> Any | None:
    """Tags of one file; None if it is no DICOM image."""
    import pydicom

    try:
        tags = read_tags(path, stop_before_pixels=True, specific_tags=list(TAGS))
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
    """What the slices of one volume share; first the series, then the frames."""
    orientation = _numbers(tags, "ImageOrientationPatient", 6)
    spacing = _numbers(tags, "PixelSpacing", 2)
    shared = (
        tuple(round(v, 2) + 0.0 for v in one or ()) for one in (orientation, spacing)
    )
    uid, frames = str(tags.get("SeriesInstanceUID", "")), tags.get("NumberOfFrames")
    colours = int(tags.get("SamplesPerPixel") or 1)
    size = int(tags.Rows), int(tags.Columns)
    return (uid, int(frames or 1), *size, colours, *shared)


def _slice(path: Path, tags: Any) -> Slice:
    position = _numbers(tags, "ImagePositionPatient", 3)
    return Slice(
        os.fspath(path),
        (position[0], position[1], position[2]) if position else None,
        int(tags.get("InstanceNumber") or 0),
    )


def sort_slices(
    slices: Iterable[Slice], orientation: tuple[float, ...] | None
) -> tuple[Slice, ...]:
    """Sort by place along the normal, then by instance number."""
    found = tuple(slices)
    if orientation is None or any(one.position is None for one in found):
        return tuple(sorted(found, key=lambda one: (one.number, one.path)))
    row, column = np.array(orientation, float).reshape(2, 3)
    normal = np.cross(row, column)

    def place(one: Slice) -> tuple[float, int, str]:
        along = float(np.dot(np.array(one.position), normal))
        return round(along, 3), one.number, one.path

    return tuple(sorted(found, key=place))


@dataclass(frozen=True)
class Frames:
    """The frames of an enhanced file.

    Parameters
    ----------
    orientation : tuple of float
        As :attr:`Series.orientation`.
    spacing : tuple of float
        Between rows and between columns, mm.
    slices : tuple of Slice
        Sorted by position; the number of one is that of its frame, from 0.
    """

    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    slices: tuple[Slice, ...]


def frames_of(tags: Any, path: str) -> Frames | None:
    """Sort the frames of an enhanced file by their own places.

    Parameters
    ----------
    tags : pydicom.Dataset
        Of the file.
    path : str
        Where it is.

    Returns
    -------
    Frames or None
        None where they do not say where they lie, or have several orientations
        or spacings.
    """
    frames = tags.get("PerFrameFunctionalGroupsSequence") or ()
    shared = tuple(tags.get("SharedFunctionalGroupsSequence") or ())

    def of(frame: Any, group: str, name: str) -> tuple[float, ...]:
        for one in (frame, *shared):
            if found := one.get(group):
                return tuple(float(v) for v in found[0].get(name) or ())
        return ()

    places = [of(f, "PlanePositionSequence", "ImagePositionPatient") for f in frames]
    names = "PlaneOrientationSequence", "ImageOrientationPatient"
    orientations = {of(frame, *names) for frame in frames}
    spacings = {of(f, "PixelMeasuresSequence", "PixelSpacing") for f in frames}
    lengths = [
        {len(one) for one in found} for found in (orientations, spacings, places)
    ]
    if lengths != [{6}, {2}, {3}] or len(orientations) + len(spacings) > 2:
        return None
    (orientation,), ((down, across),) = orientations, spacings
    slices = [Slice(path, (x, y, z), i) for i, (x, y, z) in enumerate(places)]
    return Frames(orientation, (down, across), sort_slices(slices, orientation))


def _series(uid: str, members: list[tuple[Path, Any]]) -> Series:
    first = members[0][1]
    orientation = _numbers(first, "ImageOrientationPatient", 6)
    slices = sort_slices(starmap(_slice, members), orientation)
    count = len(slices) * int(first.get("NumberOfFrames") or 1)
    return Series(
        uid=uid,
        description=str(first.get("SeriesDescription") or ""),
        modality=str(first.get("Modality") or ""),
        shape=(count, int(first.Rows), int(first.Columns)),
        orientation=orientation,
        slices=slices,
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
            key = (*key, str(path)) if key[1] > 1 else key
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


def regular_slices(series: Series) -> tuple[NDArray[np.intp], int, tuple[str, ...]]:
    """Choose the slices that make volumes, one or several that come back in time.

    Parameters
    ----------
    series : Series
        Its slices sorted by position.

    Returns
    -------
    chosen : numpy.ndarray of int, shape (T, Z)
        Which slices. Left out are positions that come back less often than most, and
        further repeats of others: which time they are of is not known.
    repeats : int
        T.
    warnings : tuple of str
        A sentence where slices are left out.
    """
    count = len(series.slices)
    if series.positions is None:
        return np.arange(count)[None], 1, ()
    _places, at = np.unique(series.positions.round(2), axis=0, return_inverse=True)
    counts = np.bincount(at.ravel())
    repeats = int(np.bincount(counts).argmax())
    members = [np.flatnonzero(at.ravel() == k)[:repeats] for k in range(len(counts))]
    whole = sorted(m.tolist() for m in members if len(m) == repeats)
    chosen = np.array(whole, np.intp).T
    left = count - chosen.size
    why = "shown twice" if repeats == 1 else f"not shown {repeats} times as the others"
    note = f"Left out: {left} of {count} slices, whose places are {why}."
    return chosen, repeats, (note,) if left else ()


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
        return ("The files do not say where the slices lie: spacing is not known.",)
    if len(positions) < 2:
        return ()
    notes = []
    across = np.diff(positions @ normal)
    step = positions[-1] - positions[0]
    along = float(step @ normal) / max(float(np.linalg.norm(step)), 1e-9)
    tilt = float(np.degrees(np.arccos(np.clip(abs(along), 0, 1))))
    if tilt > TILT_DEGREES:
        notes.append(
            f"The gantry was tilted by {tilt:.1f} degrees: slices are shown as "
            "taken and are not sheared back."
        )
    usual = float(np.median(across))
    missing = int(np.sum(np.maximum(np.rint(across / max(usual, 1e-9)) - 1, 0)))
    uneven = bool(np.any(np.abs(across - usual) > GAP_SHARE * abs(usual)))
    if missing:
        notes.append(f"About {missing} of the slices are missing from the series.")
    elif uneven:
        notes.append(
            f"The distance between slices varies from {across.min():.2f} to "
            f"{across.max():.2f} mm; {usual:.2f} mm is used."
        )
    return tuple(notes)
