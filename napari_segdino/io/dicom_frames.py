"""Where the frames of a DICOM file lie: of enhanced files, doses, tomograms, slices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = tuple[float, ...]

FRAME_TYPES = ("MRImageFrameType", "CTImageFrameType", "PETFrameType")
"""Names of the sequences that say what a frame of an enhanced file is."""


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
    frame : int
        Which frame of its file, from 0; -1 is a film, all frames of it.
    time : int
        Which time point, 0 if unlabelled.
    kind : str
        Echo time and type of the image, where the file says.
    """

    path: str
    position: tuple[float, float, float] | None
    number: int
    frame: int = 0
    time: int = 0
    kind: str = ""


@dataclass(frozen=True)
class Stack:
    """Slices of one orientation and spacing.

    Parameters
    ----------
    orientation : tuple of float or None
        Direction of a row, then of a column (6 numbers).
    spacing : tuple of float or None
        Between rows and between columns, mm.
    slices : tuple of Slice
        Sorted by position.
    """

    orientation: Numbers | None
    spacing: Numbers | None
    slices: tuple[Slice, ...]

    def fits(self, other: Stack) -> bool:
        """Whether two lie in the same planes, but for rounding.

        Parameters
        ----------
        other : Stack
            Another one.
        """
        pairs = [(self.orientation, other.orientation, 5e-3)]
        pairs.append((self.spacing, other.spacing, 1e-3 * min(self.spacing or (0,))))
        return all(
            one == two or (one and two and np.allclose(one, two, rtol=0, atol=near))
            for one, two, near in pairs
        )


def numbers(tags: Any, name: str, count: int) -> Numbers | None:
    """Read an element of so many numbers; None where it is not.

    Parameters
    ----------
    tags : pydicom.Dataset
        Of a file, or an item of a sequence.
    name : str
        Keyword of the element.
    count : int
        How many numbers it has to have.
    """
    value = tags.get(name)
    # A single value is no list in pydicom; of a string, len would count the letters.
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    return tuple(float(v) for v in value)


def _sort_slices(
    slices: Iterable[Slice], orientation: Numbers | None
) -> tuple[Slice, ...]:
    """Sort by place along the normal, then by time and instance number."""

    def place(one: Slice) -> tuple[float, int, int, str, int]:
        along = 0.0 if normal is None else float(np.dot(one.position or (), normal))
        # Rounded, so that slices of one place are sorted by time.
        return round(along, 5), one.time, one.number, one.path, one.frame

    found = tuple(slices)
    normal: NDArray[np.float64] | None = None
    if orientation is not None and all(one.position is not None for one in found):
        row, column = np.array(orientation, float).reshape(2, 3)
        normal = np.cross(row, column)
    return tuple(sorted(found, key=place))


def _positive(spacing: Numbers | None) -> Numbers | None:
    return spacing if spacing and min(spacing) > 0 else None


def _kind(echo: Any, types: Any) -> str:
    parts = [] if echo is None else [f"echo {float(echo):g} ms"]
    # The first two values of an image type say how it was made: ORIGINAL, PRIMARY.
    return " ".join([*parts, *map(str, (types or ())[2:])])


def stacks_of(tags: Any, path: str) -> list[Stack]:
    """Sort the frames of a file by their own places.

    Parameters
    ----------
    tags : pydicom.Dataset
        Of the file.
    path : str
        Where it is.

    Returns
    -------
    list of Stack
        One for each orientation and spacing; empty where several frames do not say
        where they lie.
    """
    number = int(tags.get("InstanceNumber") or 0)
    count = int(tags.get("NumberOfFrames") or 1)
    if groups := tags.get("PerFrameFunctionalGroupsSequence"):
        parts = _of_groups(groups[:count], tags, path, number)
        return parts if len(groups) >= count else []
    spacing = _positive(numbers(tags, "PixelSpacing", 2))
    offsets = _offsets(tags, count)
    nuclear = tags.get("DetectorInformationSequence") if offsets is not None else None
    placed = nuclear[0] if nuclear else tags
    orientation = numbers(placed, "ImageOrientationPatient", 6)
    position = numbers(placed, "ImagePositionPatient", 3)
    if count > 1 and (offsets is None or orientation is None or position is None):
        return []
    time = int(tags.get("TemporalPositionIdentifier") or 0)
    kind = _kind(tags.get("EchoTime"), tags.get("ImageType"))
    if orientation is None or position is None or offsets is None:
        place = None if position is None else (position[0], position[1], position[2])
        return [
            Stack(orientation, spacing, (Slice(path, place, number, 0, time, kind),))
        ]
    row, column = np.array(orientation, float).reshape(2, 3)
    normal = np.cross(row, column)
    if offsets[0]:  # counted along the patient and not from the first frame
        offsets = (offsets - offsets[0]) * (-1 if normal[2] < 0 else 1)
    places = np.array(position) + offsets[:, None] * normal
    slices = [
        Slice(path, (x, y, z), number, i, time, kind)
        for i, (x, y, z) in enumerate(places.tolist())
    ]
    return [Stack(orientation, spacing, _sort_slices(slices, orientation))]


def _offsets(tags: Any, count: int) -> NDArray[np.float64] | None:
    """How far the frames of a dose or a tomogram lie across its first one, mm."""
    if dose := numbers(tags, "GridFrameOffsetVector", count):
        return np.array(dose)
    index, step = numbers(tags, "SliceVector", count), tags.get("SpacingBetweenSlices")
    if index is None or step is None or count < 2:
        return None
    return (np.array(index) - index[0]) * float(step)


def _of_groups(groups: Any, tags: Any, path: str, number: int) -> list[Stack]:
    shared = tuple(tags.get("SharedFunctionalGroupsSequence") or ())

    def of(frame: Any, group: str, name: str) -> Any:
        # What all frames have in common is written once, what differs with each.
        for one in (frame, *shared):
            if found := one.get(f"{group}Sequence"):
                return found[0].get(name)
        return None

    parts: list[Stack] = []
    for i, frame in enumerate(groups):
        place = of(frame, "PlanePosition", "ImagePositionPatient") or ()
        orientation = of(frame, "PlaneOrientation", "ImageOrientationPatient") or ()
        spacing = of(frame, "PixelMeasures", "PixelSpacing") or ()
        if (len(place), len(orientation), len(spacing)) != (3, 6, 2):
            return []
        types = next(filter(None, (of(frame, t, "FrameType") for t in FRAME_TYPES)), ())
        kind = _kind(of(frame, "MREcho", "EffectiveEchoTime"), types)
        time = int(of(frame, "FrameContent", "TemporalPositionIndex") or 0)
        x, y, z = map(float, place)
        one = (Slice(path, (x, y, z), number, i, time, kind),)
        step = _positive(tuple(map(float, spacing)))
        parts.append(Stack(tuple(map(float, orientation)), step, one))
    return gather(parts)


def gather(parts: Iterable[Stack]) -> list[Stack]:
    """Put together what lies in the same planes, each stack sorted.

    Parameters
    ----------
    parts : iterable of Stack
        In any order.
    """
    found: list[tuple[Stack, list[Slice]]] = []
    for one in parts:
        fitting = (slices for stack, slices in found if stack.fits(one))
        slices = next(fitting, None)
        if slices is None:
            slices = []
            found.append((one, slices))
        slices.extend(one.slices)
    return [
        Stack(first.orientation, first.spacing, _sort_slices(slices, first.orientation))
        for first, slices in found
    ]
