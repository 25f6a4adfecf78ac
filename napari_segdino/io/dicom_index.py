"""What a DICOM folder holds: its series, their slices in order, their faults."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.io.dicom_frames import Slice, Stack, gather, numbers, stacks_of
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
    "SOPClassUID",
    "ImageType",
    "EchoTime",
    "TemporalPositionIdentifier",
    "GridFrameOffsetVector",
    "SliceVector",
    "SpacingBetweenSlices",
    "DetectorInformationSequence",
    "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence",
)

TILT_DEGREES = 0.5
"""Slices that step sideways by more than this are called tilted."""

GAP_SHARE = 0.1
"""A step between slices that is off the usual one by more than this share."""


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
    spacing : tuple of float or None
        Between rows and between columns, mm.
    kind : str
        What tells it from others in the same place, such as its echo time.
    """

    uid: str
    description: str
    modality: str
    shape: tuple[int, int, int]
    orientation: tuple[float, ...] | None
    slices: tuple[Slice, ...] = field(repr=False)
    spacing: tuple[float, ...] | None = None
    kind: str = ""

    @property
    def title(self) -> str:
        """One line for a list that a user chooses from."""
        name = " ".join(filter(None, (self.description or "no description", self.kind)))
        return f"{self.modality} {name} ({' x '.join(map(str, self.shape))})".strip()

    @property
    def files(self) -> tuple[str, ...]:
        """Paths in the order of the slices, each once."""
        return tuple(dict.fromkeys(one.path for one in self.slices))

    @property
    def positions(self) -> NDArray[np.float64] | None:
        """(N, 3) in mm, LPS; None where a slice does not say."""
        stated = [one.position for one in self.slices if one.position is not None]
        return np.array(stated, float) if len(stated) == len(self.slices) else None

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
        # The key is made to see that its elements are numbers.
        whole = "Rows" in tags and "Columns" in tags and _group_key(tags, path)
    except (pydicom.errors.InvalidDicomError, *DAMAGED) as error:
        _log.debug("%s is no DICOM file", path, exc_info=error)
        return None
    return tags if whole else None


def _group_key(tags: Any, path: Path) -> tuple[Any, ...]:
    """What the slices of one series share; files of several frames stand alone."""
    uid, frames = str(tags.get("SeriesInstanceUID", "")), tags.get("NumberOfFrames")
    colours = int(tags.get("SamplesPerPixel") or 1)
    # Each file of several frames is a stack of its own, whatever its series.
    alone = str(path) if int(frames or 1) > 1 else ""
    return (uid, int(frames or 1), int(tags.Rows), int(tags.Columns), colours, alone)


def _parts(tags: Any, path: Path) -> list[Stack]:
    """Slices of one file; a film, whose frames have no places, is one of them."""
    name, number = os.fspath(path), int(tags.get("InstanceNumber") or 0)
    try:
        if found := stacks_of(tags, name):
            return found
        orientation = numbers(tags, "ImageOrientationPatient", 6)
        position = numbers(tags, "ImagePositionPatient", 3)
    except DAMAGED as error:
        _log.warning("where %s lies is not known", path, exc_info=error)
        orientation = position = None
    place = None if position is None else (position[0], position[1], position[2])
    return [Stack(orientation, None, (Slice(name, place, number, -1),))]


def _kinds(stack: Stack) -> dict[str, Stack]:
    """Tell echoes, magnitude and phase and the like apart where all places repeat."""
    kinds: dict[str, list[Slice]] = {}
    for one in stack.slices:
        kinds.setdefault(one.kind, []).append(one)
    # Kinds that lie in other places are parts of one stack, not takes of it.
    places = {frozenset(one.position for one in many) for many in kinds.values()}
    if len(kinds) < 2 or len(places) > 1 or places == {frozenset({None})}:
        return {"": stack}
    return {kind: replace(stack, slices=tuple(many)) for kind, many in kinds.items()}


def _series(uid: str, kind: str, stack: Stack, first: Any) -> Series:
    film = stack.slices[0].frame < 0
    count = int(first.get("NumberOfFrames") or 1) if film else len(stack.slices)
    return Series(
        uid=uid,
        description=str(first.get("SeriesDescription") or ""),
        modality=str(first.get("Modality") or ""),
        shape=(count, int(first.Rows), int(first.Columns)),
        orientation=stack.orientation,
        slices=stack.slices,
        spacing=stack.spacing,
        kind=kind,
    )


def _iter_index(files: list[Path]) -> Steps[list[Series]]:
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
    groups: dict[tuple[Any, ...], tuple[Any, list[Stack]]] = {}
    for done, path in enumerate(files):
        yield Progress(done, len(files), "Looking for series")
        tags = _header(path)
        if tags is not None:
            group = groups.setdefault(_group_key(tags, path), (tags, []))
            group[1].extend(_parts(tags, path))
    met: Counter[str] = Counter()
    found = []
    for key, (tags, parts) in groups.items():
        for kind, stack in (p for one in gather(parts) for p in _kinds(one).items()):
            # Stacks of one UID are told apart by a number, the first has the bare UID.
            met[key[0]] += 1
            uid = key[0] if met[key[0]] == 1 else f"{key[0]}#{met[key[0]]}"
            found.append(_series(uid, kind, stack, tags))
    # The UID, too, so that numbers of series are the same on every machine.
    return sorted(found, key=lambda one: (-one.shape[0], one.uid))


def iter_series(folder: Path | str) -> Steps[list[Series]]:
    """Yield :class:`Progress` while doing what :func:`list_series` does.

    Parameters
    ----------
    folder : path
        A folder, or one DICOM file.
    """
    folder = Path(folder)
    if folder.is_file():
        return _iter_index([folder])
    paths = (
        Path(root, one) for root, _folders, names in os.walk(folder) for one in names
    )
    return _iter_index(sorted(path for path in paths if path.is_file()))


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
    # A hundredth of a millimetre, but less where slices lie closer than that.
    near = min(0.01, 0.1 * float(np.ptp(series.positions, axis=0).max()) / count)
    places = (series.positions / max(near, 1e-9)).round()
    _places, at = np.unique(places, axis=0, return_inverse=True)
    counts = np.bincount(at.ravel())
    # The commonest count: most places are there once for each time point.
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
    # A step of three times the usual one lacks two slices.
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
