"""Writing a project: whole at first, then only what changed."""

from __future__ import annotations

import json
import logging
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.compressed import Compressed, write_compressed
from napari_segdino.errors import ProjectError
from napari_segdino.files import LEFT_BY_SYSTEMS, atomic_path, new_token, reason, sync
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Progress, Steps, drive
from napari_segdino.session.project.about import (
    PROJECT_FILE,
    ImageEntry,
    ProbeEntry,
    Project,
    image_print,
    to_json,
)
from napari_segdino.session.project.probes import SavedProbe, iter_probes, sweep_probes

_log = logging.getLogger(__name__)

CONTENT, CHANGES = "content-", "changes-"
BLOCK = 1024
"""Side of a chunk, one plane deep: the least that is written anew."""

MOST_CHANGES = 32
"""Files of changed blocks, one a save, before one holds what all of them do."""

Region = tuple[int | slice, ...]
Kind = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and type of an array."""
Block = tuple[str, int]
"""Name of an array, and which of its blocks in the order of :func:`regions`."""


@dataclass(frozen=True)
class ImageState:
    """An image of a session with what was drawn on it.

    Parameters
    ----------
    key : object
        The same from one write to the next.
    entry : ImageEntry
        The image; its checksum is filled in.
    image : Planes
        Its pixels.
    mask, marks : array of int
        Of the entry's shape; read while it is written, never changed.
    """

    key: Any
    entry: ImageEntry
    image: Planes
    mask: Any
    marks: Any


@dataclass(frozen=True)
class State:
    """A session at one moment.

    Parameters
    ----------
    session : dict
        Classes and settings, as JSON can hold them.
    images : tuple of ImageState
        What there is.
    probes : tuple of SavedProbe
        The short history of probes, oldest first.
    now : int
        Which of them is the probe; -1 if there are none.
    keep_probes : bool
        Leave the probes that were written last, as one is being trained.
    """

    session: dict[str, Any]
    images: tuple[ImageState, ...]
    probes: tuple[SavedProbe, ...] = ()
    now: int = -1
    keep_probes: bool = False


class ProjectWriter:
    """Writes one session to one folder, again and again.

    The first time everything goes into a new folder beside ``project.json``,
    which is then replaced in one step; a crash leaves the project that was
    there. Afterwards blocks that changed go into one more file of that folder, and
    again ``project.json`` says in one step that they count.

    Parameters
    ----------
    folder : path
        The project. Other files in it are left alone.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._content = CONTENT + new_token()
        # What the project on disk is made of.
        self._arrays: dict[str, Kind] = {}
        self._checksums: dict[Block, int] = {}
        self._moved: frozenset[Block] = frozenset()
        self._changes: tuple[str, ...] = ()
        self._numbers: dict[Any, int] = {}
        self._image_checksums: dict[Any, int] = {}
        self._whole = False
        self._probes: tuple[ProbeEntry, ...] = ()
        self._now = -1

    def write(self, state: State) -> None:
        """Write what changed; see :meth:`iter_write`.

        Parameters
        ----------
        state : State
            The session.
        """
        drive(self.iter_write(state))

    def iter_write(self, state: State) -> Steps[None]:
        """Write what changed.

        Parameters
        ----------
        state : State
            The session; its arrays are only read.

        Yields
        ------
        Progress
            In images.

        Raises
        ------
        ProjectError
            If the folder holds something else, or the system refuses.
        """
        _check_free(self.folder)
        try:
            (self.folder / self._content).mkdir(parents=True, exist_ok=True)
            found: dict[Block, int] = dict(self._checksums)
            blocks: dict[Block, Compressed] = {}
            arrays: dict[str, Kind] = {}
            for done, image in enumerate(state.images):
                yield Progress(done, len(state.images), "Saving the project")
                for _ in self._write_image(image, arrays, found, blocks):
                    yield Progress(done, len(state.images), "Saving the project")
            changes = self._write_changes(blocks)
            if not state.keep_probes:
                numbers = {one.key: self._number(one.key) for one in state.images}
                content = self.folder / self._content
                self._probes = yield from iter_probes(content, state.probes, numbers)
                self._now = state.now
            # Last, in one step: until then the project on disk is the one before.
            self._write_about(state, changes, found)
            self._moved = frozenset(blocks) | self._moved
            self._changes, self._checksums = changes, found
            self._arrays |= arrays
            self._whole = True
            # Only what is no longer named on disk.
            self._sweep()
        except OSError as error:
            _log.error("writing %s failed", self.folder, exc_info=error)
            raise ProjectError(
                f"{self.folder.name} cannot be written: {reason(error)}."
            ) from error
        finally:
            # Nothing names this folder before the first project.json.
            if not self._whole:
                shutil.rmtree(self.folder / self._content, ignore_errors=True)

    def _number(self, key: Any) -> int:
        if key not in self._numbers:
            # Numbers of images that went stay taken as long as their arrays are there.
            used = {int(name.split("-")[0]) for name in self._arrays}
            used.update(self._numbers.values())
            self._numbers[key] = max(used, default=-1) + 1
        return self._numbers[key]

    @property
    def _merges(self) -> bool:
        """Whether the next file of changes takes the place of all others."""
        return len(self._changes) >= MOST_CHANGES

    def _write_image(
        self,
        image: ImageState,
        arrays: dict[str, Kind],
        found: dict[Block, int],
        blocks: dict[Block, Compressed],
    ) -> Iterator[None]:
        """Write new arrays; note the blocks that changed of others."""
        roles = {"mask": image.mask, "marks": image.marks}
        kinds = {r: (tuple(a.shape), np.dtype(a.dtype)) for r, a in roles.items()}
        names = {role: array_name(self._number(image.key), role) for role in roles}
        if any(self._arrays.get(names[r], kinds[r]) != kinds[r] for r in roles):
            # Arrays of another kind stay until the project no longer names them.
            del self._numbers[image.key]
            names = {r: array_name(self._number(image.key), r) for r in roles}
        for role, source in roles.items():
            name = names[role]
            array = None
            if name not in self._arrays:
                array, arrays[name] = self._new_array(name, *kinds[role]), kinds[role]
            for number, region in enumerate(regions(source.shape)):
                block = np.ascontiguousarray(source[region])
                at = name, number
                now = zlib.crc32(block.data) if block.any() else 0
                if self._checksums.get(at, 0) != now:
                    if array is None:
                        blocks[at] = Compressed.of(block)
                    else:
                        array[region] = block
                # One file takes the place of all: what they hold of unchanged blocks
                # goes along.
                elif self._merges and at in self._moved:
                    blocks[at] = Compressed.of(block)
                found[at] = now
                yield
            if array is not None:
                # zarr does not wait for the disk, and project.json must not be there
                # before its chunks.
                for file in (self.folder / self._content / name).rglob("*"):
                    if file.is_file():
                        sync(file)

    def _new_array(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Any:
        import zarr

        return zarr.create_array(
            str(self.folder / self._content / name),
            shape=shape,
            dtype=dtype,
            chunks=(1,) * (len(shape) - 2) + tuple(min(BLOCK, n) for n in shape[-2:]),
            fill_value=0,
            compressors=zarr.codecs.ZstdCodec(),  # reading takes no other
            overwrite=True,
        )

    def _write_changes(self, blocks: Mapping[Block, Compressed]) -> tuple[str, ...]:
        """Write the blocks that changed into one more file, return all there are."""
        if not blocks:
            return self._changes
        name = f"{CHANGES}{new_token()}.safetensors"
        named = {f"{array}/{number}": one for (array, number), one in blocks.items()}
        write_compressed(self.folder / self._content / name, named)
        return (name,) if self._merges else (*self._changes, name)

    def _write_about(
        self, state: State, changes: tuple[str, ...], found: Mapping[Block, int]
    ) -> None:
        checksums: dict[str, dict[int, int]] = {}
        for one in state.images:
            for role in ("mask", "marks"):
                checksums[array_name(self._number(one.key), role)] = {}
        for (name, number), checksum in found.items():
            if checksum and name in checksums:
                checksums[name][number] = checksum
        project = Project(
            state.session,
            tuple(self._entry(image) for image in state.images),
            self._content,
            self._probes,
            self._now,
            datetime.now().astimezone().isoformat(timespec="seconds"),
            changes,
            checksums,
        )
        about = to_json(project, self.folder)
        with atomic_path(self.folder / PROJECT_FILE, ProjectError) as temporary:
            temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")

    def _entry(self, image: ImageState) -> ImageEntry:
        if image.key not in self._image_checksums:
            self._image_checksums[image.key] = image_print(image.image)
        number, told_by = self._number(image.key), self._image_checksums[image.key]
        return replace(image.entry, number=number, print=told_by)

    def _sweep(self) -> None:
        """Remove what earlier versions of the project left, and probes let go."""
        content = self.folder / self._content
        sweep_probes(content, self._probes)
        for file in content.glob(CHANGES + "*"):
            if file.name not in self._changes:
                file.unlink(missing_ok=True)
        numbers = set(self._numbers.values())
        for name in [n for n in self._arrays if int(n.split("-")[0]) not in numbers]:
            shutil.rmtree(content / name, ignore_errors=True)
            del self._arrays[name]
            self._checksums = {b: c for b, c in self._checksums.items() if b[0] != name}
        for old in self.folder.glob(CONTENT + "*"):
            if old.name != self._content and old.is_dir():
                shutil.rmtree(old, ignore_errors=True)


def array_name(number: int, role: str) -> str:
    """Name of the array of an image's mask or marks.

    Parameters
    ----------
    number : int
        Of the image in the project.
    role : {"mask", "marks"}
        Which of its two arrays.
    """
    return f"{number}-{role}.zarr"


def _check_free(folder: Path) -> None:
    """See that a project can be written to a folder.

    Raises
    ------
    ProjectError
        If it is a file, or a folder with other things in it and no project.
    """
    if folder.is_file():
        raise ProjectError(f"{folder.name} is a file: choose another name.")
    if not folder.is_dir() or (folder / PROJECT_FILE).is_file():
        return
    names = {one.name for one in folder.iterdir()} - LEFT_BY_SYSTEMS
    if any(not name.startswith(CONTENT) for name in names):
        raise ProjectError(
            f"{folder.name} holds other files and no project: choose a new folder."
        )


def regions(shape: tuple[int, ...]) -> Iterator[Region]:
    """Return the blocks of an array of a shape, as it is chunked.

    Parameters
    ----------
    shape : tuple of int
        Of a mask.

    Yields
    ------
    tuple of int, slice
        Plane by plane, each in rows of blocks; the last ones may reach over.
    """
    for lead in np.ndindex(*shape[:-2]):
        for y in range(0, shape[-2], BLOCK):
            for x in range(0, shape[-1], BLOCK):
                yield (*lead, slice(y, y + BLOCK), slice(x, x + BLOCK))
