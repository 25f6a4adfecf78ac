"""The short history of probes on disk: each probe once, and what it drew."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from napari_segdino.compressed import Compressed, read_compressed, write_compressed
from napari_segdino.errors import ProjectError
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.project.about import ProbeEntry, Project

PROBE, MASKS = "probe-", "drawn-"


@dataclass(frozen=True)
class SavedProbe:
    """A probe of the history, and what it drew.

    Parameters
    ----------
    number : int
        Names it: the same number is the same probe, which is written once.
    save : callable, optional
        Writes it to a path; None where nothing was learned yet.
    masks : mapping of (object, int) to Compressed
        What it drew, by an image's key and plane.
    image : object
        Key of the image where Retrain was pressed.
    learned : mapping of object to mapping of int to int
        By an image's key and plane, checksum of the marks that it knows.
    """

    number: int
    save: Callable[[Path], Any] | None
    masks: Mapping[tuple[Any, int], Compressed] = field(default_factory=dict)
    image: Any = None
    learned: Mapping[Any, Mapping[int, int]] = field(default_factory=dict)


def iter_probes(
    content: Path, probes: Sequence[SavedProbe], numbers: Mapping[Any, int]
) -> Steps[tuple[ProbeEntry, ...]]:
    """Write the probes and masks that are new, each under a name of its own.

    Parameters
    ----------
    content : pathlib.Path
        Folder of the project's files.
    probes : sequence of SavedProbe
        Oldest first.
    numbers : mapping of object to int
        Of images, by key; what is known of others is left out.

    Yields
    ------
    Progress

    Returns
    -------
    tuple of ProbeEntry

    Raises
    ------
    SegDINOError, OSError
        If the system refuses.
    """
    entries = []
    for done, probe in enumerate(probes):
        yield Progress(done, len(probes), "Saving the models")
        entries.append(_write(content, probe, numbers))
    return tuple(entries)


def _write(content: Path, probe: SavedProbe, numbers: Mapping[Any, int]) -> ProbeEntry:
    masks = {
        f"{numbers[key]}-{plane}": compressed
        for (key, plane), compressed in probe.masks.items()
        if key in numbers
    }
    # Unlike its probe, what a state has drawn grows: the name tells one content from
    # another, and is its checksum when it is read.
    drawn = f"{MASKS}{probe.number}-{_content_of(masks):08x}.safetensors"
    save_masks = partial(write_compressed, arrays=masks) if masks else None
    return ProbeEntry(
        _write_once(content / f"{PROBE}{probe.number}.segdino", probe.save),
        _write_once(content / drawn, save_masks),
        numbers.get(probe.image, -1),
        {numbers[k]: dict(p) for k, p in probe.learned.items() if k in numbers},
    )


def _write_once(path: Path, save: Callable[[Path], Any] | None) -> str:
    """Write a file if it is not there; return its name, empty if there is none."""
    if save is None:
        return ""
    # A state of the history never changes: what has its name has its content.
    if not path.is_file():
        save(path)
    return path.name


def _content_of(masks: Mapping[str, Compressed]) -> int:
    """Tell apart what a probe has drawn so far."""
    total = 0
    for name, compressed in sorted(masks.items()):
        total = zlib.crc32(compressed.data, zlib.crc32(name.encode(), total))
    return total


def sweep_probes(content: Path, entries: Sequence[ProbeEntry]) -> None:
    """Remove the files of probes that are no longer kept.

    Parameters
    ----------
    content : pathlib.Path
        Folder of the project's files.
    entries : sequence of ProbeEntry
        Those that are still named.
    """
    kept = {name for one in entries for name in (one.probe, one.masks)}
    for file in (*content.glob(PROBE + "*"), *content.glob(MASKS + "*")):
        if file.name not in kept:
            file.unlink(missing_ok=True)


def probe_path(folder: Path, project: Project, entry: ProbeEntry) -> Path | None:
    """Return where a probe is, None where nothing was learned yet.

    Parameters
    ----------
    folder : pathlib.Path
        The project's.
    project : Project
        As read.
    entry : ProbeEntry
        One of its probes.
    """
    return folder / project.content / entry.probe if entry.probe else None


def read_masks(
    folder: Path, project: Project, entry: ProbeEntry
) -> dict[tuple[int, int], Compressed]:
    """Read the masks that a probe drew.

    Parameters
    ----------
    folder : pathlib.Path
        The project's.
    project : Project
        As read.
    entry : ProbeEntry
        One of its probes.

    Returns
    -------
    dict of (int, int) to Compressed
        By number of the image and plane.

    Raises
    ------
    ProjectError
        If they are missing or damaged.
    """
    if not entry.masks:
        return {}
    found = read_compressed(folder / project.content / entry.masks)
    shapes = {image.number: image.shape[-2:] for image in project.images}
    # Files of earlier versions have no checksum in their names.
    told = re.fullmatch(rf"{MASKS}-?\d+-([0-9a-f]{{8}})\.safetensors", entry.masks)
    if told and int(told[1], 16) != _content_of(found):
        raise ProjectError(f"{entry.masks} is missing or damaged.")
    masks = {_place(name): mask for name, mask in found.items()}
    if any(mask.shape != shapes.get(n, mask.shape) for (n, _), mask in masks.items()):
        raise ProjectError(f"{entry.masks} is of other images.")
    return masks


def _place(name: str) -> tuple[int, int]:
    try:
        number, plane = name.split("-")
        return int(number), int(plane)
    except ValueError as error:
        raise ProjectError(f"There is no plane {name}.") from error
