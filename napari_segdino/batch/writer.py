"""Masks of any size, written block by block, taken up again where they stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_segdino.images.lazy import forget_pages
from napari_segdino.io.mask_writer import MaskWriter
from napari_segdino.io.provenance import Provenance
from napari_segdino.io.scan import Header


class BlockWriter(MaskWriter):
    """Write a mask block by block; rows of blocks that are done stay done.

    Parameters
    ----------
    path, like, dtype, class_names, provenance, resume
        As for :class:`~napari_segdino.io.MaskWriter`.
    made_by : str
        Names the probe and settings: what another one left is not gone on
        with, but removed.
    publish : callable, optional
        Called with the whole mask, just before it takes its name.

    Raises
    ------
    ScanError
        As :class:`~napari_segdino.io.MaskWriter`.
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
        made_by: str = "",
        publish: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__(
            path,
            like,
            dtype=dtype,
            class_names=class_names,
            provenance=provenance,
            resume=resume,
        )
        self.made_by, self._publish = made_by, publish
        self._rows: dict[int, int] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def _open(self) -> None:
        note = self._folder / "made_by.json"
        wanted = json.dumps(self.made_by)
        if note.is_file() and note.read_text("utf-8") != wanted:
            shutil.rmtree(self._folder, ignore_errors=True)
        super()._open()
        note.write_text(wanted, "utf-8")
        self._rows = self._read_rows()

    def _swap(self) -> None:
        if self._publish is not None:
            self._publish(self._content)
        super()._swap()

    @property
    def _row_notes(self) -> Path:
        return self._folder / "rows.txt"

    def _read_rows(self) -> dict[int, int]:
        """Rows of blocks noted as done; a line that was cut off does not count."""
        if not self._row_notes.is_file():
            return {}
        rows: dict[int, int] = {}
        for line in self._row_notes.read_text("utf-8").split("\n")[:-1]:
            index, _, count = line.partition(" ")
            if index.isdigit() and count.isdigit():
                rows[int(index)] = int(count)
        return rows

    def rows_done(self, index: int) -> int:
        """Return how many rows of blocks of plane `index` are written.

        Parameters
        ----------
        index : int
            Which plane, counted over all axes before Y and X.
        """
        return self._rows.get(index, 0)

    def write_block(
        self, index: int, at: tuple[slice, slice], block: NDArray[Any]
    ) -> None:
        """Write a part of a plane.

        Parameters
        ----------
        index : int
            Which plane, counted over all axes before Y and X.
        at : tuple of slice
            Where in the plane.
        block : array of int, shape (y, x)
            Its labels.

        Raises
        ------
        ScanError
            If the disk is full.
        """
        lead = (int(i) for i in np.unravel_index(index, self.shape[:-2]))
        try:
            self._array[(*lead, *at)] = block
        except OSError as error:
            self._refused(error)

    def finish_row(self, index: int, rows: int, last: bool) -> None:
        """Note that the first `rows` rows of blocks of a plane are written.

        Parameters
        ----------
        index : int
            Which plane.
        rows : int
            How many rows are.
        last : bool
            Whether these are all.

        Raises
        ------
        ScanError
            If the disk is full.
        """
        try:
            if last:
                self._note(index)
            else:
                self._note_rows(index, rows)
        except OSError as error:
            self._refused(error)
        # What is written of a map counts as memory of this process until it is let go.
        forget_pages(self._array)
        self._rows[index] = rows
        if last:
            self.done.add(index)

    def _note_rows(self, index: int, rows: int) -> None:
        if self._suffix == ".npy":
            self._array.flush()
        with open(self._row_notes, "a", encoding="utf-8") as file:
            file.write(f"{index} {rows}\n")
