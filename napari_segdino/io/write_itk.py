"""NIfTI, NRRD and MetaImage out, through SimpleITK."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.io.geometry import Geometry
from napari_segdino.io.scan import Header

_log = logging.getLogger(__name__)


def itk_image(array: NDArray[Any], header: Header | None) -> Any:
    """Make a SimpleITK image with the geometry of a scan.

    Parameters
    ----------
    array : numpy.ndarray, shape (Y, X), (Z, Y, X) or (T, Z, Y, X), (T, Y, X)
        Any number type that SimpleITK knows.
    header : Header, optional
        Of the scan; its spatial shape is the array's.

    Returns
    -------
    SimpleITK.Image
        With as many axes as the scan's file, a time axis added at the end.
    """
    import SimpleITK as sitk

    timed = header is not None and "T" in header.axes
    spatial = array.shape[1:] if timed else array.shape
    grid = _grid(spatial, header)
    if not timed:
        image = sitk.GetImageFromArray(array.reshape(grid.array_shape))
        return _placed(image, grid)
    parts = [
        _placed(sitk.GetImageFromArray(part.reshape(grid.array_shape)), grid)
        for part in array
    ]
    image = sitk.JoinSeries(parts)
    assert header is not None
    image.SetSpacing((*grid.spacing, header.spacing[header.axes.index("T")] or 1.0))
    return image


MILLIMETRES = {
    "nm": 1e-6,
    "um": 1e-3,
    "mm": 1.0,
    "cm": 10.0,
    "m": 1e3,
    "inch": 25.4,
    "Å": 1e-7,
}
"""Units in millimetres, which ITK's formats count in; a pixel counts as one."""


def _grid(shape: tuple[int, ...], header: Header | None) -> Geometry:
    """Give the scan's voxel grid in millimetres."""
    if header is None:
        return Geometry.plain(shape)
    units = dict(zip(header.spatial_axes, header.units, strict=True))
    factors = [MILLIMETRES.get(units.get(axis, "mm"), 1.0) for axis in "XYZ"]
    grid = header.geometry
    if grid is None or np.prod(grid.size) != np.prod(shape):
        grid = Geometry.plain(shape, header.plane_spacing)
    return replace(
        grid,
        spacing=tuple(s * f for s, f in zip(grid.spacing, factors, strict=False)),
        origin=tuple(o * f for o, f in zip(grid.origin, factors, strict=False)),
    )


def _placed(image: Any, grid: Geometry) -> Any:
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


def write_itk(
    path: Path, labels: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write NIfTI, NRRD or MetaImage, and read it again to be sure.

    ITK does not notice that a disk is full, so what was written is compared.

    Raises
    ------
    OSError
        ENOSPC when what is read back is not what was written.
    """
    image = itk_image(labels, header)
    for number, name in enumerate(names, start=1):
        image.SetMetaData(f"Segment{number}_Name", name)
    _write_checked(path, image, labels)


def write_itk_channels(
    path: Path, maps: NDArray[np.float32], header: Header | None
) -> None:
    """Write an image of several components, and read it again to be sure.

    Parameters
    ----------
    path : pathlib.Path
        NIfTI, NRRD or MetaImage.
    maps : numpy.ndarray, shape (K, *spatial), float32
        One component each.
    header : Header, optional
        Of the scan.

    Raises
    ------
    OSError
        ENOSPC when what is read back is not what was written.
    """
    import SimpleITK as sitk

    image = sitk.Compose([itk_image(one, header) for one in maps])
    _write_checked(path, image, np.moveaxis(maps, 0, -1))


def _write_checked(path: Path, image: Any, wanted: NDArray[Any]) -> None:
    from napari_segdino.io.itk import quiet_itk

    with quiet_itk() as sitk:
        try:
            sitk.WriteImage(image, os.fspath(path), useCompression=True)
            again = sitk.GetArrayFromImage(sitk.ReadImage(os.fspath(path)))
            same = np.array_equal(again.reshape(wanted.shape), wanted)
        except (RuntimeError, ValueError) as error:
            _log.error("writing %s failed", path, exc_info=error)
            same = False
    if not same:
        raise OSError(errno.ENOSPC, "the file written is not whole")
