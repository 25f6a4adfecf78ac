"""What a project says about itself, and how that becomes JSON."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from napari_segdino.errors import DAMAGE, ProjectError
from napari_segdino.heads.registry import current_names
from napari_segdino.images.planes import Planes
from napari_segdino.schema import check_types

PROJECT_FILE = "project.json"
FORMAT = "napari-segdino project"
VERSION = 6
"""1 had one probe, named :data:`FIRST_PROBE`; 2 knew no series, 3 no channels; up to 4,
``mvr`` names the head ``probe``; up to 5 there were no checksums."""

FIRST_WITH_CHECKSUMS = 6

FIRST_PROBE = "probe.segdino"

SAMPLE_SIDE = 256
"""Side, in pixels, of the middle of a plane that an image is told by."""


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A channel of an image of a project.

    Parameters
    ----------
    name : str
        Of its layer.
    used : bool
        Whether the image is segmented on it.
    path, reader : str
        As for :class:`ImageEntry`; empty where it is that of the image.
    place : int
        On the axis of channels of the image's layer; -1 for a layer of its own.
    """

    name: str
    used: bool = True
    path: str = ""
    reader: str = ""
    place: int = -1


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image of a project, and how to find it again.

    Parameters
    ----------
    name : str
        Of its layer.
    shape : tuple of int
        Spatial shape: that of its mask and marks.
    print : int
        From :func:`image_print`; 0 where it is not known.
    path : str
        Absolute path of its file or folder; empty for images from memory.
    series : str
        Which one of several there; empty where there is one.
    reader : str
        The plugin that read the file; empty is napari's choice.
    sample : tuple of str
        Plugin and name of a sample; empty for anything else.
    learned : mapping of int to int
        By plane, checksum of the marks that the probe knows.
    number : int
        Of its arrays in the project; given when it is written.
    channels : tuple of ChannelEntry
        The one that stands for the image first; empty where there is no choice.
    """

    name: str
    shape: tuple[int, ...]
    print: int = 0
    path: str = ""
    series: str = ""
    reader: str = ""
    sample: tuple[str, ...] = ()
    learned: Mapping[int, int] = field(default_factory=dict)
    number: int = 0
    channels: tuple[ChannelEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeEntry:
    """A probe of a project's history, and what it drew.

    Parameters
    ----------
    probe : str
        Its file; empty where nothing was learned yet.
    masks : str
        File with the masks that it drew; empty if there are none.
    image : int
        Number of the image where Retrain was pressed; -1 if it is not kept.
    learned : mapping of int to mapping of int to int
        By image and plane, checksum of the marks that it knows.
    """

    probe: str = ""
    masks: str = ""
    image: int = -1
    learned: Mapping[int, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """What a project holds beside arrays and probe.

    Parameters
    ----------
    session : dict
        Classes and settings, as JSON can hold them.
    images : tuple of ImageEntry
        In the order of the layers.
    content : str
        Name of the folder beside the file that holds masks, marks and probe.
    probes : tuple of ProbeEntry
        The short history of probes, oldest first.
    now : int
        Which of them is the probe; -1 if there are none.
    saved : str
        When, ISO 8601.
    changes : tuple of str
        Files of blocks that changed since the arrays were written, oldest first.
    checksums : mapping of str to mapping of int to int, optional
        By name of an array and number of a block, CRC-32 of all that are not 0; None
        in projects of earlier versions.
    unchanged : bool
        Whether the file is as the program wrote it, as far as can be told.
    """

    session: dict[str, Any]
    images: tuple[ImageEntry, ...]
    content: str
    probes: tuple[ProbeEntry, ...] = ()
    now: int = -1
    saved: str = ""
    changes: tuple[str, ...] = ()
    checksums: Mapping[str, Mapping[int, int]] | None = None
    unchanged: bool = True


def image_print(image: Planes) -> int:
    """Return a number that tells images apart by some of their pixels.

    Parameters
    ----------
    image : Planes
        The middle of its first, middle and last planes is read.

    Returns
    -------
    int
        Of 32 bits.
    """
    y, x = (slice(*_middle(n)) for n in image.plane_shape)
    total = zlib.crc32(repr((image.array.shape, str(image.array.dtype))).encode())
    for plane in sorted({0, len(image) // 2, len(image) - 1}):
        part = np.asarray(image.array[(*image.index(plane), y, x)])
        total = zlib.crc32(np.ascontiguousarray(part).data, total)
    return total


def _middle(length: int) -> tuple[int, int]:
    start = max(0, (length - SAMPLE_SIDE) // 2)
    return start, min(length, start + SAMPLE_SIDE)


def to_json(project: Project, folder: Path) -> dict[str, Any]:
    """Return plain values; paths relative to the project's folder come first.

    Parameters
    ----------
    project : Project
        What to write.
    folder : pathlib.Path
        Of the project.

    Returns
    -------
    dict of str to object
        With a checksum of all the rest.
    """
    values = asdict(project)
    del values["unchanged"]
    for image in values["images"]:
        image["relative_path"] = _relative(image["path"], folder)
    values = {"format": FORMAT, "version": VERSION, **values}
    return values | {"checksum": _checksum(values)}


def _checksum(values: Mapping[str, Any]) -> int:
    """Return a number for all but itself, whatever JSON does to keys."""
    # Through JSON once, which makes keys strings and tuples lists, as they are when
    # read.
    rest = {k: v for k, v in values.items() if k != "checksum"}
    plain = json.loads(json.dumps(rest))
    return zlib.crc32(json.dumps(plain, sort_keys=True).encode())


def from_json(values: dict[str, Any], folder: Path) -> Project:
    """Make a project from :func:`to_json`'s answer.

    Parameters
    ----------
    values : dict of str to object
        After JSON.
    folder : pathlib.Path
        Of the project, for images that lie relative to it.

    Raises
    ------
    ProjectError
        If it is something else, or of a newer version.
    """
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ProjectError(f"{folder.name} holds no napari-segdino project.")
    try:
        if int(values["version"]) > VERSION:
            raise ProjectError(
                f"{folder.name} was written by a newer version: update napari-segdino."
            )
        images = tuple(_entry(dict(one), folder) for one in values["images"])
        probes, now = _probes(values, images)
        # Only to see that it is a time.
        datetime.fromisoformat(values["saved"])
        # By the version, too: a file cannot pass for an old one by losing its checksum.
        told = "checksum" in values or values["version"] >= FIRST_WITH_CHECKSUMS
        return Project(
            _session(values),
            images,
            _content(values["content"]),
            probes,
            now,
            values["saved"],
            tuple(Path(name).name for name in (values["changes"] if told else ())),
            {k: _numbers(v) for k, v in values["checksums"].items()} if told else None,
            not told or values["checksum"] == _checksum(values),
        )
    except DAMAGE as error:
        raise ProjectError(f"The project {folder.name} is damaged.") from error


def _content(name: str) -> str:
    """Return the name of a folder in the project's own: not of its parent, say."""
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"{name} is no folder of a project")
    return name


def _session(values: dict[str, Any]) -> dict[str, Any]:
    session = dict(values["session"])
    check_types(session, {"classes": list[dict[str, Any]], "settings": dict[str, Any]})
    if values["version"] < 5:
        session["settings"] = current_names(session["settings"])
    return session


def _probes(
    values: dict[str, Any], images: tuple[ImageEntry, ...]
) -> tuple[tuple[ProbeEntry, ...], int]:
    """Return the history of probes and where in it the project is."""
    if values["version"] == 1:
        learned = {image.number: image.learned for image in images}
        only = (ProbeEntry(FIRST_PROBE, learned=learned),)
        return (only, 0) if values["has_probe"] else ((), -1)
    probes = tuple(_probe(one) for one in values["probes"])
    now = int(values["now"])
    if not -1 <= now < len(probes):
        raise ValueError(now)
    return probes, now


def _probe(values: dict[str, Any]) -> ProbeEntry:
    return ProbeEntry(
        Path(values["probe"]).name,
        Path(values["masks"]).name,
        int(values["image"]),
        {int(n): _numbers(checksums) for n, checksums in values["learned"].items()},
    )


def _numbers(values: Mapping[str, int]) -> dict[int, int]:
    """Undo what JSON does to numbers that are keys."""
    return {int(k): int(v) for k, v in values.items()}


def _entry(values: dict[str, Any], folder: Path) -> ImageEntry:
    near = values.pop("relative_path")
    names = dict.fromkeys(("name", "path", "series", "reader"), str)
    check_types(values, names | {"number": int, "print": int, "sample": list[str]})
    entry = ImageEntry(
        **{
            **values,
            "shape": tuple(int(n) for n in values["shape"]),
            "sample": tuple(values["sample"]),
            "learned": _numbers(values["learned"]),
            "channels": tuple(ChannelEntry(**c) for c in values.get("channels", ())),
        }
    )
    if min(entry.shape) < 1 or len(entry.shape) < 2:
        raise ValueError(f"no image has the shape {entry.shape}")
    for channel in entry.channels:
        check_types(asdict(channel), get_type_hints(ChannelEntry))
    # First where it lies from the project: a folder that was copied with its images
    # means the copies, not the originals.
    moved = Path(os.path.normpath(folder / near)) if near else None
    if moved is not None and moved.exists():
        return replace(entry, path=str(moved))
    return entry


def _relative(path: str, folder: Path) -> str:
    """Path from the project's folder, with slashes; empty on another drive."""
    if not path:
        return ""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return ""
