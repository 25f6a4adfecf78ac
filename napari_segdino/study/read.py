"""Cases of a data set as arrays, read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.io.cases import Case
from napari_segdino.io.read import read_mask, read_scan
from napari_segdino.io.scan import Scan
from napari_segdino.marks import marks_from_mask
from napari_segdino.study.labels import LabelRule

LOOKED_AT = 16
"""Pictures that are looked at to see whether any is in colour."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A case in memory.

    Parameters
    ----------
    image : numpy.ndarray
        As `axes` says, channels last.
    mask : numpy.ndarray of int, shape of the image without channels
        0 background, 1.. classes.
    axes : str
        ``"YX"``, ``"YXC"``, ``"ZYX"`` ...
    spacing : tuple of float
        Per axis of the mask; 1 where it is not known.
    voxel_mm : tuple of float, optional
        Distances along z, y and x of a volume in mm, where they are known.
    """

    image: NDArray[Any]
    mask: NDArray[Any]
    axes: str
    spacing: tuple[float, ...]
    voxel_mm: tuple[float, ...] | None = None

    @property
    def marks(self) -> NDArray[Any]:
        """The mask as marks: every pixel is marked."""
        return marks_from_mask(self.mask)


@dataclass(frozen=True)
class CaseReader:
    """Reads the cases of a data set in one way.

    Parameters
    ----------
    rule : LabelRule
        How masks become classes.
    channels : int
        More than 1: files of four axes hold this many channels, not times.
    side : int
        Pictures with a longer side are scaled down to this; 0 leaves them.
        Volumes are never scaled.
    colour : bool
        Grey pictures are repeated to red, green and blue, as others of the
        data set are in colour.
    squash : {"", "bilinear", "bicubic"}
        Pictures become squares of `side`, interpolated so.
    """

    rule: LabelRule
    channels: int = 1
    side: int = 0
    colour: bool = False
    squash: str = ""

    def __call__(self, case: Case) -> Loaded:
        """Read a case.

        Raises
        ------
        ScanError
            If a file cannot be read.
        InputError
            If the mask does not fit the image.
        """
        scan = self._scan(case)
        mask = self.rule.apply(read_mask(case.mask))
        if mask.shape != scan.spatial_shape:
            raise InputError(
                f"The mask of {case.name} has the shape {mask.shape}, its image "
                f"{scan.spatial_shape}."
            )
        image = np.asarray(scan.data)
        axes, spacing = scan.axes, scan.spacing
        if axes == "YX" and self.colour:
            image, axes = np.repeat(image[..., None], 3, -1), "YXC"
        if scan.spatial_axes == "YX":
            image, mask = scaled(image, mask, self.side, self.squash)
        return Loaded(image, mask, axes, spacing, scan.voxel_mm)

    def _scan(self, case: Case) -> Scan:
        scan = read_scan(case.images[0], channels_last=True)
        if len(case.images) > 1:
            others = [read_scan(p, channels_last=True) for p in case.images[1:]]
            return with_channels([scan, *others], case.name)
        times = scan.shape[0] if scan.axes.startswith("T") else 0
        if self.channels > 1 and times == self.channels:
            return _renamed(scan)
        return scan


def any_colour(cases: Sequence[Case]) -> bool:
    """Whether some pictures of a data set are in colour, from a few of them.

    Parameters
    ----------
    cases : sequence of Case
        All of them.

    Raises
    ------
    ScanError
        If one cannot be read.
    """
    picks = np.unique(np.linspace(0, len(cases) - 1, LOOKED_AT).astype(int))
    return any(read_scan(cases[i].images[0], lazy=True).colour for i in picks)


def same_axes(cases: Sequence[Loaded]) -> str:
    """Return the axes that all cases share.

    Parameters
    ----------
    cases : sequence of Loaded
        At least one.

    Raises
    ------
    InputError
        If they differ: planes and volumes are not learned from together.
    """
    found = sorted({c.axes for c in cases})
    if len(found) > 1:
        raise InputError(
            f"The images are not of one kind: their axes are {', '.join(found)}."
        )
    return found[0]


def with_channels(scans: list[Scan], name: str) -> Scan:
    """Join files of one channel each.

    Parameters
    ----------
    scans : list of Scan
        Of one shape, without channels.
    name : str
        Of the case, for the error.

    Returns
    -------
    Scan
        With the channels last.

    Raises
    ------
    InputError
        If their shapes differ or they hold channels already.
    """
    first = scans[0]
    if len({s.shape for s in scans}) > 1 or "C" in first.axes:
        raise InputError(f"The channels of {name} do not fit together.")
    data = np.stack([np.asarray(s.data) for s in scans], -1)
    return replace(first, data=data, shape=data.shape, axes=f"{first.axes}C")


def _renamed(scan: Scan) -> Scan:
    """Take the first axis, read as time, for channels."""
    data = np.moveaxis(np.asarray(scan.data), 0, -1)
    axes, spacing = f"{scan.axes[1:]}C", scan.spacing[1:]
    units = scan.units[1:]
    return replace(
        scan, data=data, shape=data.shape, axes=axes, spacing=spacing, units=units
    )


def scaled(
    image: NDArray[Any], mask: NDArray[Any], side: int, squash: str = ""
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scale a picture down, smoothly, and its mask, by nearest.

    Parameters
    ----------
    image : numpy.ndarray, shape (Y, X) or (Y, X, C)
        A picture.
    mask : numpy.ndarray of int, shape (Y, X)
        Its mask.
    side : int
        Longer side wanted; 0, or more than there is, changes nothing.
    squash : {"", "bilinear", "bicubic"}
        Both sides become `side`, as Pillow scales them.

    Returns
    -------
    image, mask : numpy.ndarray
        Of the types given.
    """
    if side and squash:
        return _squashed(image, mask, side, squash)
    if not side or max(mask.shape) <= side:
        return image, mask
    from skimage.transform import resize

    factor = side / max(mask.shape)
    size = tuple(max(1, round(n * factor)) for n in mask.shape)
    small = resize(image, size, anti_aliasing=True, preserve_range=True)
    if image.dtype.kind in "ui":
        small = np.rint(small)
    # Nearest and not smoothed: between two labels lies a third.
    less = resize(mask, size, order=0, anti_aliasing=False, preserve_range=True)
    return small.astype(image.dtype), less.astype(mask.dtype)


def _squashed(
    image: NDArray[Any], mask: NDArray[Any], side: int, how: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    import torch

    from napari_segdino.features.views import scale

    channels = np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32)
    square = scale(torch.from_numpy(channels), (side, side), how).numpy()
    if image.dtype.kind in "ui":
        limits = np.iinfo(image.dtype)
        square = np.rint(square).clip(limits.min, limits.max)
    picture = np.moveaxis(square, 0, -1).reshape(side, side, *image.shape[2:])
    # Nearest by pixel centres, as Pillow takes it.
    rows, columns = ((np.arange(side) + 0.5) * n / side for n in mask.shape)
    return picture.astype(image.dtype), mask[
        np.ix_(rows.astype(int), columns.astype(int))
    ]
