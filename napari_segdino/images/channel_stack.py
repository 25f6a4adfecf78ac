"""Channels that lie in several arrays, seen as one array with channels last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.images.planes import dtype_of_channels


@dataclass(frozen=True)
class Part:
    """One channel: an array, or a place on one axis of it.

    Parameters
    ----------
    array : array
        numpy, dask or zarr.
    axis : int, optional
        The axis of the channels; None if the whole array is the channel.
    at : int
        Place on that axis.
    """

    array: Any
    axis: int | None = None
    at: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the channel; an axis of channels that is not the first stays, 1."""
        shape = tuple(int(n) for n in self.array.shape)
        if self.axis is None:
            return shape
        kept = () if self.axis == 0 else (1,)
        return shape[: self.axis] + kept + shape[self.axis + 1 :]

    def read(self, index: tuple[Any, ...]) -> NDArray[Any]:
        """Read a part of the channel, and no more of the array than that.

        Parameters
        ----------
        index : tuple of int, slice
            Of the first axes of the channel, as :attr:`shape` has them.

        Returns
        -------
        numpy.ndarray
            Copied where the array is not in memory.
        """
        if self.axis == 0:
            return np.asarray(self.array[(self.at, *index)])
        if self.axis is not None:
            index += (slice(None),) * (self.axis + 1 - len(index))
            asked = index[self.axis]
            # A slice keeps the axis, a number drops it, as in the array that is stood
            # for.
            here = slice(self.at, self.at + 1) if isinstance(asked, slice) else self.at
            index = (*index[: self.axis], here, *index[self.axis + 1 :])
        return np.asarray(self.array[index])


class ChannelStack:
    """An array (..., Y, X, C) whose channels are read where they lie, when needed.

    Parameters
    ----------
    parts : sequence of Part
        The channels, all of one shape.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.shape = (*self.parts[0].shape, len(self.parts))
        self.ndim = len(self.shape)
        dtype = np.result_type(*(part.array.dtype for part in self.parts))
        self.dtype = dtype_of_channels(dtype, len(self.parts))

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a part; positions and slices, as many as there are axes at most."""
        index = index if isinstance(index, tuple) else (index,)
        spatial, chosen = index[: self.ndim - 1], index[self.ndim - 1 :]
        read = [part.read(spatial) for part in self.parts]
        stacked = np.stack(read, axis=-1).astype(self.dtype, copy=False)
        return stacked[(..., *chosen)] if chosen else stacked

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        return np.asarray(self[()], dtype)
