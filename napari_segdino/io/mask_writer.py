"""Masks of any size, written plane by plane, kept when the work is cut off."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_segdino.errors import ScanError
from napari_segdino.files import (
    move,
    reason,
    settle_folder,
    split_suffix,
    swap_folder,
    sync,
)
from napari_segdino.io.formats import FORMATS
from napari_segdino.io.omezarr_labels import (
    create_labels,
    finish_labels,
    open_labels,
    register_label,
)
from napari_segdino.io.provenance import Provenance
from napari_segdino.io.scan import Header

_log = logging.getLogger(__name__)

PLANE_SUFFIXES = tuple(s for one in FORMATS if one.planes for s in one.suffixes)
"""What :class:`MaskWriter` writes; a folder below ``labels`` is OME-Zarr too."""


class MaskWriter(AbstractContextManager["MaskWriter"]):
    """Write a mask one plane after the other, in any order.

    Planes go to a hidden folder beside the target, ``.NAME.unfinished``, with
    a list of those that are done. When the block ends well, the mask takes its
    place in one step. When it does not, the hidden folder is removed, or kept
    for the next time if `resume` is true; the target stays as it was.

    Parameters
    ----------
    path : path
        ``x.ome.zarr`` for a mask of its own, ``image.ome.zarr/labels/name``
        for one inside an image, ``x.npy`` for a memory-mapped array.
    like : Header
        The scan: shape, axes, spacing and place.
    dtype : dtype
        Of the labels.
    class_names : sequence of str
        Of classes 1, 2 ..., kept in OME-Zarr.
    provenance : Provenance
        What it is made with, kept in OME-Zarr.
    resume : bool
        Go on from what an earlier try left, if it fits.

    Attributes
    ----------
    done : set of int
        Planes that are written.
    shape : tuple of int
        Spatial shape of the mask.

    Raises
    ------
    ScanError
        From every method: the suffix is not known, a plane does not fit, the
        system refuses.
    """

    def __init__(
        self,
        path: Path | str,
        like: Header,
        *,
        dtype: DTypeLike = np.uint8,
        class_names: Sequence[str] = (),
        provenance: Provenance = Provenance(),  # noqa: B008
        resume: bool = False,
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self.like, self.dtype = like, np.dtype(dtype)
        self.class_names, self.provenance = tuple(class_names), provenance
        self.resume = resume
        self.shape = self.like.spatial_shape
        self.done: set[int] = set()
        self._array: Any = None
        self._folder = self.path.with_name(f".{self.path.name}.unfinished")
        inside = self.path.parent.name == "labels"
        self._suffix = ".zarr" if inside else split_suffix(self.path)[1]
        if self._suffix not in PLANE_SUFFIXES:
            raise ScanError(
                f"{self.path.name} cannot be written plane by plane: choose one of "
                f"{', '.join(PLANE_SUFFIXES)} as its suffix."
            )

    @property
    def planes(self) -> int:
        """Number of planes of the mask."""
        return int(np.prod(self.shape[:-2], dtype=np.int64))

    @property
    def _content(self) -> Path:
        return self._folder / f"mask{self._suffix}"

    def __enter__(self) -> MaskWriter:
        try:
            self._open()
        except OSError as error:
            self._refused(error)
        return self

    def _open(self) -> None:
        about = json.dumps({"shape": self.shape, "dtype": self.dtype.str})
        note = self._folder / "about.json"
        if self.resume and note.is_file() and note.read_text("utf-8") == about:
            self.done = self._read_done()
            self._array = self._create(again=True)
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        if self.path.parent.name == "labels":
            self.path.parent.mkdir(exist_ok=True)
        self._folder.mkdir()
        # An earlier one may have been cut off between the two renames of its end.
        settle_folder(self.path)
        self._array = self._create(again=False)
        # Last: what has no such note is not gone on with.
        note.write_text(about, "utf-8")

    def _read_done(self) -> set[int]:
        """Planes noted as done; a line that was cut off does not count."""
        notes = self._folder / "done.txt"
        text = notes.read_text("utf-8") if notes.is_file() else ""
        return {int(line) for line in text.split("\n")[:-1] if line.isdigit()}

    def _create(self, again: bool) -> Any:
        if self._suffix == ".npy":
            mode: Any = "r+" if again else "w+"
            return np.lib.format.open_memmap(
                self._content, mode, dtype=self.dtype, shape=self.shape
            )
        if again:
            return open_labels(self._content)
        return create_labels(self._content, self.path, self.like, self.dtype)

    def write_plane(self, index: int, plane: NDArray[Any]) -> None:
        """Write one plane.

        Parameters
        ----------
        index : int
            Which, counted over all axes before Y and X.
        plane : array of int, shape (Y, X)
            Its labels.

        Raises
        ------
        ScanError
            If it does not fit, or the disk is full.
        """
        plane = np.asarray(plane)
        if plane.shape != self.shape[-2:] or not 0 <= index < self.planes:
            raise ScanError(
                f"Plane {index} of shape {plane.shape} does not fit a mask of shape "
                f"{self.shape}."
            )
        if plane.size and int(plane.max()) > np.iinfo(self.dtype).max:
            raise ScanError(f"Label {plane.max()} does not fit {self.dtype}.")
        at = np.unravel_index(index, self.shape[:-2])
        try:
            self._array[tuple(int(i) for i in at)] = plane.astype(self.dtype)
            # After the plane: what is noted is on the disk.
            self._note(index)
        except OSError as error:
            self._refused(error)
        self.done.add(index)

    def _note(self, index: int) -> None:
        if self._suffix == ".npy":
            self._array.flush()
        with open(self._folder / "done.txt", "a", encoding="utf-8") as file:
            file.write(f"{index}\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._leave()
            return
        missing = self.planes - len(self.done)
        if missing:
            self._leave()
            raise ScanError(f"{self.path.name} is not whole: {missing} planes missing.")
        try:
            self._finish()
        except OSError as cause:
            self._refused(cause)

    def _leave(self) -> None:
        self._array = None
        if not self.resume:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _finish(self) -> None:
        if self._suffix == ".npy":
            self._array.flush()
            self._array = None
            sync(self._content)
        else:
            made = self.provenance.stamped(self.like)
            finish_labels(self._content, self.like, self.class_names, made)
            self._array = None
        self._swap()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _swap(self) -> None:
        """Give the mask, which is whole, its name."""
        if self._suffix == ".npy":
            move(self._content, self.path)
        else:
            swap_folder(self._content, self.path)
            register_label(self.path)

    def _refused(self, error: OSError) -> None:
        self._leave()
        _log.error("writing %s failed", self.path, exc_info=error)
        raise ScanError(
            f"{self.path.name} cannot be written: {reason(error)}."
        ) from error
