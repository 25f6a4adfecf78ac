"""Planes as an encoder sees them: across each axis, with their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import (
    Resliced,
    ReslicedMarks,
    Spacing,
    has_depth,
    turn,
)

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Neighbours(Planes):
    """Planes with those before and behind them as further channels.

    Parameters
    ----------
    array, axes
        Of the image.
    image : Planes
        The image; its first and last plane stand in for what lies beyond. Where
        planes do not lie behind one another, each stands in for its neighbours.
    count : int
        Neighbours on either side.
    """

    image: Planes
    count: int

    @classmethod
    def of(cls, image: Planes, count: int) -> Neighbours:
        """Return an image with so many neighbours on either side.

        Parameters
        ----------
        image : Planes
            The image.
        count : int
            Neighbours on either side.
        """
        return cls(image.array, image.axes, image, count)

    @property
    def measured(self) -> Planes:
        """The image as it lies: neighbours have its range."""
        return self.image.measured

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(Y, X)."""
        return self.image.plane_shape

    def read(self, plane: int) -> Any:
        """Load a plane and its neighbours, nearest to the front first.

        Parameters
        ----------
        plane : int
            Flat index over the leading axes.

        Returns
        -------
        numpy.ndarray, shape (Y, X, C * (2 * count + 1)), or JoinedChannels
            The latter if the image's planes are read where they are indexed.
        """
        depth = self._depth()
        # Along time and further axes a volume begins anew: its ends have no neighbours
        # in the next.
        first = plane // depth * depth
        reach = range(-self.count, self.count + 1)
        at = [min(max(plane + k, first), first + depth - 1) for k in reach]
        # A set, since at an end the same plane stands in several times.
        parts = {i: self.image.read(i) for i in set(at)}
        if all(isinstance(part, np.ndarray) for part in parts.values()):
            return np.concatenate([parts[i] for i in at], -1)
        return JoinedChannels(tuple(parts[i] for i in at))

    def _depth(self) -> int:
        image = self.image
        deep = has_depth(image) or isinstance(image, Resliced)
        return image.lead_shape[-1] if deep else 1


@dataclass(frozen=True)
class JoinedChannels:
    """Planes that are read where they are indexed, their channels joined.

    Parameters
    ----------
    parts : tuple
        Planes of one shape.
    channels : slice
        Channels to read.
    """

    parts: tuple[Any, ...]
    channels: slice = field(default_factory=lambda: slice(None))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the pixels."""
        dtype: np.dtype[Any] = self.parts[0].dtype
        return dtype

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Y, X, C)."""
        y, x = self.parts[0].shape[:2]
        count = sum(part.shape[2] for part in self.parts)
        return y, x, len(range(count)[self.channels])

    def __getitem__(self, region: Any) -> Any:
        """Read a region (y, x); ``[..., channels]`` reads nothing yet."""
        if region[0] is Ellipsis:
            return JoinedChannels(self.parts, region[1])
        # Once for each plane, which may stand in several times.
        read = {id(part): part[region] for part in self.parts}
        joined = np.concatenate([read[id(part)] for part in self.parts], -1)
        return joined[..., self.channels]


def _check_slices(slices: str) -> str:
    """Return the axes across which planes are taken, in capitals.

    Raises
    ------
    InputError
        If they are not different letters of Z, Y and X.
    """
    found = slices.upper()
    if not found or not set(found) <= set("ZYX") or len(set(found)) != len(found):
        raise InputError(f"Slices are taken across Z, Y or X, not {slices!r}.")
    return found


def cuts_of(
    image: Planes, slices: str, neighbours: int, spacing: Spacing = None
) -> dict[str, Planes]:
    """Return an image cut across each axis, as an encoder is to see it.

    Parameters
    ----------
    image : Planes
        The image; what is no volume is cut across z only.
    slices : str
        Axes.
    neighbours : int
        See :class:`Neighbours`.
    spacing : float or tuple of float, optional
        See :func:`turn`.

    Returns
    -------
    dict of str to Planes
        By axis, in the order of `slices`.
    """
    wanted = _check_slices(slices) if has_depth(image) else "Z"
    cuts = {a: image if a == "Z" else turn(image, a, spacing) for a in wanted}
    return {axis: with_neighbours(cut, neighbours) for axis, cut in cuts.items()}


def with_neighbours(image: Planes, count: int) -> Planes:
    """Return planes as they are seen with `count` neighbours on either side.

    Only grey planes have any. An encoder is shown a grey plane three times over,
    so that one that has no depth is seen as a slice between equal ones.

    Parameters
    ----------
    image : Planes
        As it lies, or resliced.
    count : int
        Neighbours on either side; 0 is none.

    Returns
    -------
    Planes
        `image` itself where it stands alone.
    """
    channels = image.array.shape[-1] if image.axes.endswith("C") else 1
    alone = count == 1 and not (has_depth(image) or isinstance(image, Resliced))
    if not count or channels > 1 or alone:
        return image
    return Neighbours.of(image, count)


def marks_of(cut: Planes, marks: Any) -> Any:
    """Return the marks of a volume as a cut of it has them.

    Parameters
    ----------
    cut : Planes
        Of :func:`cuts_of`.
    marks : array of int
        In the volume's own axes.

    Returns
    -------
    array of int
        Indexed by the leading axes of `cut`.
    """
    if isinstance(cut, Neighbours):
        return marks_of(cut.image, marks)
    return ReslicedMarks.most_marked(marks, cut) if isinstance(cut, Resliced) else marks


def put_back(
    cut: Planes, plane: int, maps: torch.Tensor
) -> tuple[tuple[Any, ...], torch.Tensor]:
    """Return where maps (K, rows, columns) of a cut's plane lie, and they there.

    Parameters
    ----------
    cut : Planes
        Of :func:`cuts_of`.
    plane : int
        Flat index over its leading axes.
    maps : torch.Tensor of float32, shape (K, rows, columns)
        Probabilities of `K` classes.

    Returns
    -------
    index : tuple
        Of the plane in an array of the volume's own axes.
    maps : torch.Tensor of float32
        Of the shape that this index gives.
    """
    if isinstance(cut, Neighbours):
        return put_back(cut.image, plane, maps)
    if isinstance(cut, Resliced):
        return cut.place(plane), cut.back(maps)
    return cut.index(plane), maps
