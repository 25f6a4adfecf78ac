"""Reading a project."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.compressed import Compressed, read_compressed
from napari_segdino.errors import DAMAGE, ProjectError
from napari_segdino.session.project.about import (
    PROJECT_FILE,
    ImageEntry,
    Project,
    from_json,
)
from napari_segdino.session.project.write import BLOCK, Region, array_name, regions

_log = logging.getLogger(__name__)

ALL = -1
"""Stands for every plane."""

MOST_BLOCKS = 2**22
_OVERHEAD = 1 << 16
"""Bytes that a chunk which cannot be compressed may have more than its content."""


def read_project(folder: Path | str) -> Project:
    """Read what a project says about itself.

    Parameters
    ----------
    folder : path
        The project, or its ``project.json``.

    Returns
    -------
    Project
        Paths of images that lie where they lay from the project are those;
        others are as they were when it was saved.

    Raises
    ------
    ProjectError
        If there is none, or it is damaged or too new.
    """
    folder = project_folder(folder)
    path = folder / PROJECT_FILE
    if not path.is_file():
        raise ProjectError(f"{folder.name} holds no napari-segdino project.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        _log.error("reading %s failed", path, exc_info=error)
        raise ProjectError(f"The project {folder.name} cannot be read.") from error
    project = from_json(values, folder)
    content = folder / project.content
    for one in (path, content, *content.rglob("*")):
        # Pipes and devices too, which would block whoever reads them.
        if one.is_symlink() or (one.exists() and not (one.is_file() or one.is_dir())):
            raise ProjectError(
                f"{folder.name} holds a link, {one.name}: a project never does, so "
                "it is not opened."
            )
    return project


def project_folder(path: Path | str) -> Path:
    """Return the folder of a project that was named by folder or file.

    Parameters
    ----------
    path : path
        The folder, or its ``project.json``.
    """
    path = Path(path)
    return path.parent if path.name == PROJECT_FILE else path


def read_labels(
    folder: Path, project: Project, image: ImageEntry, missing: list[str] | None = None
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Read the mask and the marks of an image.

    Parameters
    ----------
    missing : list of str, optional
        What cannot be read is left empty and noted here; None refuses it.
    folder : pathlib.Path
        The project's.
    project : Project
        As read.
    image : ImageEntry
        One of its images.

    Returns
    -------
    mask, marks : numpy.ndarray of int, shape ``image.shape``

    Raises
    ------
    ProjectError
        If they are missing, damaged, or of another shape, and nothing is noted.
    """
    content = folder / project.content
    arrays = []
    lost: list[str] = []
    changed = _read_changes(content, project)
    for role in ("mask", "marks"):
        array, places = _read_array(content, project, image, role, changed)
        if places:
            at = ", ".join(map(str, places[:5])) + " ..." * (len(places) > 5)
            where = (
                f" on plane {at}" if len(image.shape) > 2 and ALL not in places else ""
            )
            lost.append(f"the {role} of {image.name}{where}")
        arrays.append(array)
    if missing is not None:
        missing += lost
    elif lost:
        raise ProjectError(
            f"{folder.name} is damaged: {' and '.join(lost)} cannot be read."
        )
    return arrays[0], arrays[1]


def _read_changes(content: Path, project: Project) -> dict[str, Compressed]:
    """Return the last content of all blocks that changed, by array and number."""
    changed: dict[str, Compressed] = {}
    for name in project.changes:
        try:
            changed |= read_compressed(content / name)
        except ProjectError:  # checksums tell which blocks are not as they were
            _log.error("the changes %s are left out", name)
    return changed


def _read_array(
    content: Path,
    project: Project,
    image: ImageEntry,
    role: str,
    changed: Mapping[str, Compressed],
) -> tuple[NDArray[np.integer[Any]], list[int]]:
    """Read an array block by block; those that are not as written are left 0.

    Returns
    -------
    array : numpy.ndarray of int, shape ``image.shape``
    places : list of int
        Planes where blocks are missing, or :data:`ALL`.
    """
    import zarr

    name = array_name(image.number, role)
    sums = None if project.checksums is None else project.checksums.get(name, {})
    try:
        found = zarr.open_array(str(content / name), mode="r")
        chunks = (1,) * (len(image.shape) - 2)
        chunks += tuple(min(BLOCK, n) for n in image.shape[-2:])
        # Before anything is inflated: metadata may claim any size, and codecs that
        # _read_chunk does not undo.
        codecs = [type(one).__name__ for one in found.metadata.codecs]
        if (
            (found.shape, found.chunks) != (image.shape, chunks)
            or found.dtype.kind not in "iu"
            or codecs != ["BytesCodec", "ZstdCodec"]
            or found.nchunks > MOST_BLOCKS
        ):
            raise ValueError(f"{name} is {found}, of {codecs}")
        array = _empty(image, found.dtype)
    except (*DAMAGE, OSError) as error:
        _log.error("reading %s failed", name, exc_info=error)
        return _empty(image, np.uint8), [ALL]
    lost = set()
    each = len(list(regions(image.shape[-2:])))
    for number, region in enumerate(regions(image.shape)):
        # A block without a checksum is all 0, and has no chunk.
        if sums is not None and number not in sums:
            continue
        try:
            new = changed.get(f"{name}/{number}")
            block = _read_chunk(found, region) if new is None else new.array()
            if sums is not None and zlib.crc32(block.data) != sums[number]:
                raise ValueError(f"the checksum is not {sums[number]}")
            array[region] = block
        except (*DAMAGE, OSError, MemoryError, ProjectError) as error:
            _log.error("block %d of %s is lost", number, name, exc_info=error)
            lost.add(number // each)
    return array, sorted(lost)


def _read_chunk(found: Any, region: Region) -> NDArray[np.integer[Any]]:
    """Read one chunk of an array; zarr would inflate it to whatever it claims.

    Raises
    ------
    ValueError, RuntimeError, OSError
        It is damaged, or not of the size of a chunk.
    """
    from imagecodecs import zstd_decode

    at = tuple(n if isinstance(n, int) else n.start // BLOCK for n in region)
    file = found.store_path.store.root / found.metadata.encode_chunk_key(at)
    block = np.zeros(found.chunks, found.dtype)
    if file.exists():  # zarr writes none where all is 0
        if file.stat().st_size > block.nbytes + _OVERHEAD:
            raise ValueError(f"{file.name} is larger than its content can be")
        content = zstd_decode(file.read_bytes(), out=bytearray(block.nbytes))
        block = np.frombuffer(content, found.dtype)
    height, width = (
        min(BLOCK, n - BLOCK * i)
        for n, i in zip(found.shape[-2:], at[-2:], strict=True)
    )
    plane = block.reshape(found.chunks[-2:])[:height, :width]
    return np.ascontiguousarray(plane)


def _empty(image: ImageEntry, dtype: Any) -> NDArray[np.integer[Any]]:
    try:
        return np.zeros(image.shape, dtype)
    except (MemoryError, ValueError) as error:
        size = " x ".join(map(str, image.shape))
        raise ProjectError(
            f"{image.name} ({size}) does not fit into the memory of this machine."
        ) from error
