"""Volumes cut into planes: across any axis, with real spacing, with neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes

LEARNED_PLANES = 8
"""Planes across each further axis that are learned from: those marked most."""

LARGEST_STRETCH = 16.0
"""Rows of a turned plane are repeated at most this often to make pixels square."""

Spacing = float | Sequence[float] | None


def check_slices(slices: str) -> str:
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


def spacing_zyx(spacing: Spacing) -> tuple[float, float, float]:
    """Return distances along z, y and x; a single number is z's, y and x then 1.

    Raises
    ------
    InputError
        If there are not three finite numbers above 0.
    """
    if spacing is None:
        return 1.0, 1.0, 1.0
    given = np.atleast_1d(np.asarray(spacing, float))
    if given.size == 1:
        given = np.array([given[0], 1.0, 1.0])
    if given.shape != (3,) or not (np.isfinite(given) & (given > 0)).all():
        raise InputError(f"A spacing is three numbers above 0 (z, y, x): {spacing}.")
    z, y, x = (float(v) for v in given)
    return z, y, x


def slice_distance(spacing: Spacing) -> float | None:
    """Return the distance of slices in mm, None where it is not known."""
    return None if spacing is None else spacing_zyx(spacing)[0]


def has_depth(image: Planes) -> bool:
    """Whether the planes of an image lie behind one another."""
    return image.spatial_axes.endswith("ZYX")


def depth_of(image: Planes) -> int:
    """How many planes of an image lie behind one another."""
    return image.lead_shape[-1] if has_depth(image) else 1


@dataclass(frozen=True)
class Resliced(Planes):
    """The planes of a volume across y or x, with square pixels; see :func:`turn`.

    Parameters
    ----------
    array, axes
        Of the turned volume.
    image : Planes
        The volume as it lies.
    rows : int
        To which rows are stretched.
    axis : int
        Where the axis across which planes are taken lies in the volume.
    """

    image: Planes
    rows: int
    axis: int

    @property
    def measured(self) -> Planes:
        """The image as it lies: intensities are the same for all cuts."""
        return self.image.measured

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(rows, columns) after stretching."""
        return self.rows, self.spatial_shape[-1]

    def read(self, plane: int) -> NDArray[Any]:
        """Load one plane, shape `plane_shape` and channels."""
        return stretch_rows(super().read(plane), self.rows)

    def back(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring maps (K, rows, columns) of a plane to the volume's own rows."""
        rows = self.spatial_shape[-2]
        shrunk = stretch_rows(np.moveaxis(maps, 0, -1), rows)
        return np.moveaxis(shrunk, -1, 0)

    def place(self, plane: int) -> tuple[Any, ...]:
        """Index of a plane in an array of the volume's own axes."""
        index: list[Any] = list(self.index(plane))
        across = index.pop()
        rest: list[Any] = [slice(None), slice(None)]
        rest.insert(self.axis - len(index), across)
        return (*index, *rest)


def turn(image: Planes, across: str, spacing: Spacing = None) -> Resliced:
    """Cut a volume across another axis than z.

    Parameters
    ----------
    image : Planes
        With axes that end in ``ZYX`` or ``ZYXC``.
    across : {"Y", "X"}
        Planes are (Z, X) or (Z, Y).
    spacing : float or tuple of float, optional
        Of z, y, x: where z is coarser, rows are stretched to square pixels.

    Returns
    -------
    Turned
    """
    spatial = image.spatial_axes
    lead = len(spatial) - 3
    axis = lead + "ZYX".index(across)
    rest = "ZYX".replace(across, "")
    axes = spatial[:lead] + across + rest + image.axes[len(spatial) :]
    steps = dict(zip("ZYX", spacing_zyx(spacing), strict=True))
    stretch = float(np.clip(steps["Z"] / steps[rest[1]], 1.0, LARGEST_STRETCH))
    rows = max(1, round(image.spatial_shape[lead] * stretch))
    return Resliced(_moved(image.array, axis, lead), axes, image, rows, axis)


def stretch_rows(plane: NDArray[Any], rows: int) -> NDArray[Any]:
    """Interpolate the rows of a plane (Y, X, C), or average them, to a number."""
    have = plane.shape[0]
    if rows == have:
        return plane
    at = (np.arange(rows) + 0.5) * have / rows - 0.5
    if rows < have:
        edges = np.linspace(0, have, rows + 1)
        sums = np.concatenate([np.zeros((1, *plane.shape[1:])), plane.cumsum(0)])
        low = np.floor(edges).astype(int).clip(0, have)
        high = np.minimum(low + 1, have)
        part = (edges - low)[:, None, None]
        at_edges = sums[low] * (1 - part) + sums[high] * part
        mean: NDArray[Any] = np.diff(at_edges, axis=0) * rows / have
        return mean.astype(plane.dtype)
    at = at.clip(0, have - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, have - 1)
    part = (at - low)[:, None, None]
    mixed = plane[low] * (1 - part) + plane[high] * part
    kind = plane.dtype
    out: NDArray[Any] = mixed if kind.kind == "f" else np.round(mixed)
    return out.astype(kind)


@dataclass(frozen=True)
class ReslicedMarks:
    """Marks as the planes of a turned volume have them.

    Parameters
    ----------
    marks : array of int
        In the volume's own axes.
    resliced : Turned
        The volume.
    chosen : frozenset of int
        Planes whose marks count; the others have none.
    """

    marks: Any
    resliced: Resliced
    chosen: frozenset[int]

    @classmethod
    def most_marked(cls, marks: Any, resliced: Resliced) -> ReslicedMarks:
        """Choose the planes with the most marks, those of each class in turn."""
        counts = np.zeros((len(resliced), 0), int)
        for plane in range(len(resliced)):
            marked = np.bincount(np.asarray(marks[resliced.place(plane)]).ravel())[1:]
            missing = max(0, marked.size - counts.shape[1])
            counts = np.pad(counts, ((0, 0), (0, missing)))
            counts[plane, : marked.size] = marked
        ranks = np.argsort(-counts, axis=0, kind="stable")
        turns = [
            int(plane)
            for rank in ranks
            for code, plane in enumerate(rank)
            if counts[plane, code]
        ]
        return cls(
            marks, resliced, frozenset(list(dict.fromkeys(turns))[:LEARNED_PLANES])
        )

    def __getitem__(self, index: tuple[int, ...]) -> NDArray[Any]:
        """Marks of a plane, stretched by repeating rows."""
        plane = int(np.ravel_multi_index(index, self.resliced.lead_shape))
        marked = np.asarray(self.marks[self.resliced.place(plane)])
        rows = self.resliced.plane_shape[0]
        if plane not in self.chosen:
            return np.zeros((rows, marked.shape[1]), marked.dtype)
        at = (np.arange(rows) * marked.shape[0] // rows).clip(0, marked.shape[0] - 1)
        nearest: NDArray[Any] = marked[at]
        return nearest


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
        """Return an image with so many neighbours on either side."""
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
        """Load a plane and its neighbours, nearest to the front first."""
        depth = self._depth()
        first = plane // depth * depth
        reach = range(-self.count, self.count + 1)
        at = [min(max(plane + k, first), first + depth - 1) for k in reach]
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
        read = {id(part): part[region] for part in self.parts}
        joined = np.concatenate([read[id(part)] for part in self.parts], -1)
        return joined[..., self.channels]


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
        See :class:`JoinedChannels`.
    spacing : float or tuple of float, optional
        See :func:`turn`.

    Returns
    -------
    dict of str to Planes
        By axis, in the order of `slices`.
    """
    wanted = check_slices(slices) if has_depth(image) else "Z"
    cuts = {a: image if a == "Z" else turn(image, a, spacing) for a in wanted}
    return {axis: with_neighbours(cut, neighbours) for axis, cut in cuts.items()}


def with_neighbours(image: Planes, count: int) -> Planes:
    """Return planes as they are seen with `count` neighbours on either side.

    Only grey planes have any. An encoder is shown a grey plane three times over,
    so that one that has no depth is seen as a slice between equal ones.
    """
    channels = image.array.shape[-1] if image.axes.endswith("C") else 1
    alone = count == 1 and not (has_depth(image) or isinstance(image, Resliced))
    if not count or channels > 1 or alone:
        return image
    return Neighbours.of(image, count)


def marks_of(cut: Planes, marks: Any) -> Any:
    """Return the marks of a volume as a cut of it has them."""
    if isinstance(cut, Neighbours):
        return marks_of(cut.image, marks)
    return ReslicedMarks.most_marked(marks, cut) if isinstance(cut, Resliced) else marks


def put_back(
    cut: Planes, plane: int, maps: NDArray[np.float32]
) -> tuple[tuple[Any, ...], NDArray[np.float32]]:
    """Return where maps (K, rows, columns) of a cut's plane lie, and they there.

    Returns
    -------
    index : tuple
        Of the plane in an array of the volume's own axes.
    maps : numpy.ndarray of float32
        Of the shape that this index gives.
    """
    if isinstance(cut, Neighbours):
        return put_back(cut.image, plane, maps)
    if isinstance(cut, Resliced):
        return cut.place(plane), cut.back(maps)
    return cut.index(plane), maps


def _moved(array: Any, source: int, target: int) -> Any:
    if isinstance(array, np.ndarray):
        return np.moveaxis(array, source, target)
    import dask.array

    lazy = array if hasattr(array, "dask") else dask.array.from_array(array)
    return dask.array.moveaxis(lazy, source, target)
