"""Writing a project: whole at first, then only what changed."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.errors import ProjectError
from napari_segdino.files import atomic_path, reason
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

CONTENT = "content-"
BLOCK = 1024
"""Side of a chunk, one plane deep: the least that is written anew."""

Region = tuple[int | slice, ...]


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
    there. Afterwards only blocks that changed are written.

    Parameters
    ----------
    folder : path
        The project. Other files in it are left alone.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._content = CONTENT + secrets.token_hex(4)
        self._checksums: dict[tuple[Any, ...], int] = {}
        self._numbers: dict[Any, int] = {}
        self._image_checksums: dict[Any, int] = {}
        self._whole = False
        self._probes: tuple[ProbeEntry, ...] = ()
        self._now = -1

    def write(self, state: State) -> None:
        """Write what changed; see :meth:`iter_write`."""
        drive(self.iter_write(state))

    def iter_write(self, state: State) -> Steps[None]:
        """Write what changed.

        Yields
        ------
        Progress
            In images.

        Raises
        ------
        ProjectError
            If the folder holds something else, or the system refuses.
        """
        check_free(self.folder)
        try:
            (self.folder / self._content).mkdir(parents=True, exist_ok=True)
            for done, image in enumerate(state.images):
                yield Progress(done, len(state.images), "Saving the project")
                for _ in self._write_image(image):
                    yield Progress(done, len(state.images), "Saving the project")
            if not state.keep_probes:
                numbers = {one.key: self._number(one.key) for one in state.images}
                content = self.folder / self._content
                self._probes = yield from iter_probes(content, state.probes, numbers)
                self._now = state.now
            self._write_about(state)
            self._whole = True
            self._sweep()
        except OSError as error:
            _log.error("writing %s failed", self.folder, exc_info=error)
            raise ProjectError(
                f"{self.folder.name} cannot be written: {reason(error)}."
            ) from error
        finally:
            if not self._whole:
                shutil.rmtree(self.folder / self._content, ignore_errors=True)

    def _number(self, key: Any) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def _write_image(self, image: ImageState) -> Iterator[None]:
        number = self._number(image.key)
        for role, source in (("mask", image.mask), ("marks", image.marks)):
            array = self._array(number, role, source)
            for region in _regions(array.shape):
                self._write_block(array, source, region, (number, role, repr(region)))
                yield

    def _write_block(
        self, array: Any, source: Any, region: Region, key: tuple[Any, ...]
    ) -> None:
        block = np.ascontiguousarray(source[region])
        now = zlib.crc32(block.data) if block.any() else 0
        if self._checksums.get(key, 0) != now:
            array[region] = block
            self._checksums[key] = now

    def _array(self, number: int, role: str, source: Any) -> Any:
        import zarr

        path = self.folder / self._content / array_name(number, role)
        shape, dtype = tuple(source.shape), np.dtype(source.dtype)
        if path.is_dir():
            found = zarr.open_array(str(path), mode="r+")
            if (tuple(found.shape), found.dtype) == (shape, dtype):
                return found
        keys = [k for k in self._checksums if k[:2] == (number, role)]
        for key in keys:
            del self._checksums[key]
        return zarr.create_array(
            str(path),
            shape=shape,
            dtype=dtype,
            chunks=(1,) * (len(shape) - 2) + tuple(min(BLOCK, n) for n in shape[-2:]),
            fill_value=0,
            overwrite=True,
        )

    def _write_about(self, state: State) -> None:
        project = Project(
            state.session,
            tuple(self._entry(image) for image in state.images),
            self._content,
            self._probes,
            self._now,
            datetime.now().astimezone().isoformat(timespec="seconds"),
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
        sweep_probes(self.folder / self._content, self._probes)
        for old in self.folder.glob(CONTENT + "*"):
            if old.name != self._content and old.is_dir():
                shutil.rmtree(old, ignore_errors=True)


def array_name(number: int, role: str) -> str:
    """Name of the array of an image's mask or marks."""
    return f"{number}-{role}.zarr"


def check_free(folder: Path) -> None:
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
    if any(not one.name.startswith(CONTENT) for one in folder.iterdir()):
        raise ProjectError(
            f"{folder.name} holds other files and no project: choose a new folder."
        )


def _regions(shape: tuple[int, ...]) -> Iterator[Region]:
    """Blocks of an array, as it is chunked."""
    for lead in np.ndindex(*shape[:-2]):
        for y in range(0, shape[-2], BLOCK):
            for x in range(0, shape[-1], BLOCK):
                yield (*lead, slice(y, y + BLOCK), slice(x, x + BLOCK))
