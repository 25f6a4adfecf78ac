"""Planes that are read where they are indexed, never as a whole."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.images.planes import Planes

BAND_BYTES = 256 << 20
"""Rows of tiles up to this size are read at once: each chunk is decoded once."""


class LazyPlane:
    """A plane of an image, read where it is indexed.

    Parameters
    ----------
    image : Planes
        The image.
    index : int
        Flat index of the plane.
    channels : slice
        Channels to read.
    """

    def __init__(
        self, image: Planes, index: int, channels: slice = slice(None)
    ) -> None:
        self.image, self.index, self.channels = image, index, channels
        self._band: tuple[slice, NDArray[Any]] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the pixels."""
        dtype: np.dtype[Any] = np.dtype(self.image.array.dtype)
        return dtype

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Y, X, C)."""
        coloured = self.image.axes.endswith("C")
        count = int(self.image.array.shape[-1]) if coloured else 1
        return *self.image.plane_shape, len(range(count)[self.channels])

    def __getitem__(self, region: Any) -> Any:
        """Read a region; ``[..., channels]`` reads nothing yet.

        Parameters
        ----------
        region : tuple of slice
            (y, x), or (..., channels).

        Returns
        -------
        numpy.ndarray, shape (y, x, C), or LazyPlane
        """
        y, x = region
        if y is Ellipsis:
            return LazyPlane(self.image, self.index, x)
        # A sample of every n-th row is no band, and is not asked for again.
        if y.step not in (None, 1) or self._too_large(y):
            return self._read(y, x)
        # Tiles come row by row: the whole width is read once and each tile cut from it,
        # since a chunk of a file usually spans several tiles.
        if self._band is None or self._band[0] != y:
            self._band = y, self._read(y, slice(None))
        return self._band[1][:, x]

    def _too_large(self, rows: slice) -> bool:
        height = len(range(self.shape[0])[rows])
        return height * self.shape[1] * self.shape[2] * self.dtype.itemsize > BAND_BYTES

    def _read(self, y: slice, x: slice) -> NDArray[Any]:
        array = self.image.array
        data = load(array[(*self.image.index(self.index), y, x)])
        data = data if self.image.axes.endswith("C") else data[..., None]
        if not isinstance(array, np.memmap):
            return data[..., self.channels]
        # Copied before the pages go. What was read of a map counts as this process's
        # memory until then, and a long image would add up to all of it.
        copied = data[..., self.channels].copy()
        forget_pages(array)
        return copied


class LazyPlanes(Planes):
    """An image whose planes are read where they are indexed."""

    def read(self, plane: int) -> Any:
        """Return a :class:`LazyPlane`; nothing is read yet.

        Parameters
        ----------
        plane : int
            Flat index over the leading axes.
        """
        return LazyPlane(self, plane)


def load(array: Any) -> NDArray[Any]:
    """Read an array; a dask array in this process, also within a Dask worker.

    There, its own tasks would go to the cluster, which cannot open files that
    are already open here.

    Parameters
    ----------
    array : array
        numpy, zarr or dask.
    """
    if hasattr(array, "dask"):
        array = array.compute(scheduler="threads")
    return np.asarray(array)


def forget_pages(array: Any) -> None:
    """Drop the pages of a memory-mapped array from this process's memory.

    The file keeps what was written. Copy-on-write maps are left alone, as
    theirs is nowhere else.

    Parameters
    ----------
    array : array
        Any; only memory-mapped ones are touched.
    """
    pages = getattr(array, "_mmap", None)
    if pages is None or getattr(array, "mode", "c") not in ("r", "r+", "w+"):
        return
    if hasattr(pages, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)
