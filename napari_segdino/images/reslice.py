"""Volumes resliced across any axis, with real spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes

if TYPE_CHECKING:
    import torch

LEARNED_PLANES = 8
"""Planes across each further axis that are learned from: those marked most."""

LARGEST_STRETCH = 16.0
"""Rows of a turned plane are repeated at most this often to make pixels square."""

Spacing = float | Sequence[float] | None


def spacing_zyx(spacing: Spacing) -> tuple[float, float, float]:
    """Return distances along z, y and x; a single number is z's, y and x then 1.

    Parameters
    ----------
    spacing : float or tuple of float, optional
        In mm, or any unit that is the same for all; None is 1 everywhere.

    Returns
    -------
    tuple of three float
        z, y, x.

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
    """Return the distance of slices in mm, None where it is not known.

    Parameters
    ----------
    spacing : float or tuple of float, optional
        See :func:`spacing_zyx`, in mm.
    """
    return None if spacing is None else spacing_zyx(spacing)[0]


def has_depth(image: Planes) -> bool:
    """Whether the planes of an image lie behind one another.

    Parameters
    ----------
    image : Planes
        Resliced ones have none: their axes end in other letters.
    """
    return image.spatial_axes.endswith("ZYX")


def depth_of(image: Planes) -> int:
    """How many planes of an image lie behind one another.

    Parameters
    ----------
    image : Planes
        See :func:`has_depth`.

    Returns
    -------
    int
        1 without depth.
    """
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
        """Load one plane, shape `plane_shape` and channels.

        Parameters
        ----------
        plane : int
            Flat index over the leading axes.

        Returns
        -------
        numpy.ndarray, shape (rows, columns, C)
        """
        return stretch_rows(super().read(plane), self.rows)

    def back(self, maps: torch.Tensor) -> torch.Tensor:
        """Bring maps (K, rows, columns) of a plane to the volume's own rows.

        Parameters
        ----------
        maps : torch.Tensor of float32, shape (K, rows, columns)
            Of one plane, with square pixels.

        Returns
        -------
        torch.Tensor of float32, shape (K, Y, X)
            Y and X are the plane's own pixels, before stretching; on their device.
        """
        import torch

        # Stretching the identity gives the matrix that stretches.
        each = np.eye(maps.shape[1], dtype=np.float32)[..., None]
        matrix = stretch_rows(each, self.spatial_shape[-2])[..., 0]
        return torch.from_numpy(matrix).to(maps.device) @ maps

    def place(self, plane: int) -> tuple[Any, ...]:
        """Index of a plane in an array of the volume's own axes.

        Parameters
        ----------
        plane : int
            Flat index over the leading axes.

        Returns
        -------
        tuple of int, slice
            Without a place for channels.
        """
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
    Resliced
    """
    spatial = image.spatial_axes
    lead = len(spatial) - 3
    axis = lead + "ZYX".index(across)
    rest = "ZYX".replace(across, "")
    axes = spatial[:lead] + across + rest + image.axes[len(spatial) :]
    steps = dict(zip("ZYX", spacing_zyx(spacing), strict=True))
    # Only stretched: where z is finer, shrinking would throw slices away.
    stretch = float(np.clip(steps["Z"] / steps[rest[1]], 1.0, LARGEST_STRETCH))
    rows = max(1, round(image.spatial_shape[lead] * stretch))
    return Resliced(_moved(image.array, axis, lead), axes, image, rows, axis)


def stretch_rows(plane: NDArray[Any], rows: int) -> NDArray[Any]:
    """Interpolate the rows of a plane (Y, X, C), or average them, to a number.

    Parameters
    ----------
    plane : numpy.ndarray, shape (Y, X, C)
        Of any number type, which stays.
    rows : int
        How many there shall be; fewer are averages, more are interpolated.

    Returns
    -------
    numpy.ndarray, shape (rows, X, C)
    """
    have = plane.shape[0]
    if rows == have:
        return plane
    # Pixel centres lie half a pixel in, so that stretching shifts nothing.
    at = (np.arange(rows) + 0.5) * have / rows - 0.5
    if rows < have:
        edges = np.linspace(0, have, rows + 1)
        # Exact means over fractions of rows, from differences of running sums.
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
    resliced : Resliced
        The volume.
    chosen : frozenset of int
        Planes whose marks count; the others have none.
    """

    marks: Any
    resliced: Resliced
    chosen: frozenset[int]

    @classmethod
    def most_marked(cls, marks: Any, resliced: Resliced) -> ReslicedMarks:
        """Choose the planes with the most marks, those of each class in turn.

        Parameters
        ----------
        marks : array of int
            In the volume's own axes.
        resliced : Resliced
            The volume.

        Returns
        -------
        ReslicedMarks
            With at most :data:`LEARNED_PLANES` planes that count.
        """
        counts = np.zeros((len(resliced), 0), int)
        for plane in range(len(resliced)):
            marked = np.bincount(np.asarray(marks[resliced.place(plane)]).ravel())[1:]
            missing = max(0, marked.size - counts.shape[1])
            counts = np.pad(counts, ((0, 0), (0, missing)))
            counts[plane, : marked.size] = marked
        # The best plane of each class first, then the second of each: by the sum of
        # all, a class with few marks would be learned on no plane.
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
        # Marks are codes: interpolated, 1 and 3 would become 2, another class.
        at = (np.arange(rows) * marked.shape[0] // rows).clip(0, marked.shape[0] - 1)
        nearest: NDArray[Any] = marked[at]
        return nearest


def _moved(array: Any, source: int, target: int) -> Any:
    if isinstance(array, np.ndarray):
        return np.moveaxis(array, source, target)
    import dask.array

    lazy = array if hasattr(array, "dask") else dask.array.from_array(array)
    return dask.array.moveaxis(lazy, source, target)
