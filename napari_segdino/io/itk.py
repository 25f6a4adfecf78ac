"""NIfTI, NRRD, MetaImage, Analyze and single DICOM files, through SimpleITK."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.errors import ScanError
from napari_segdino.files import split_suffix
from napari_segdino.io.formats import ITK_FORMATS
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.scan import PIXEL, Scan
from napari_segdino.io.whole import is_whole

_log = logging.getLogger(__name__)

MM = "mm"


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """Import SimpleITK and keep its warnings off the terminal.

    Yields
    ------
    module
        SimpleITK.
    """
    import SimpleITK as sitk

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield sitk
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def image_geometry(image: Any) -> Geometry:
    """Read the voxel grid of a SimpleITK image, its time axis left out."""
    n = min(image.GetDimension(), 3)
    full = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(full, full)[:n, :n]
    return Geometry(
        tuple(int(v) for v in image.GetSize()[:n]),
        tuple(float(v) for v in image.GetSpacing()[:n]),
        tuple(float(v) for v in image.GetOrigin()[:n]),
        tuple(float(v) for v in direction.ravel()),
    )


def image_scan(image: Any, **header: Any) -> Scan:
    """Turn a SimpleITK image into a scan.

    Parameters
    ----------
    image : SimpleITK.Image
        2D, 3D or 4D (the fourth is time), with any number of components.
    **header
        Fields of :class:`~napari_segdino.io.scan.Header` that are known.

    Returns
    -------
    Scan
        A single slice or a single time point loses that axis.
    """
    import SimpleITK as sitk

    data = sitk.GetArrayFromImage(image)
    ndim, components = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    axes, spacing = "TZYX"[-ndim:], list(image.GetSpacing()[::-1])
    units = ["s" if axis == "T" else MM for axis in axes]
    for axis in "TZ":
        at = axes.find(axis)
        if at >= 0 and data.shape[at] == 1:
            data = np.squeeze(data, axis=at)
            axes = axes.replace(axis, "")
            del spacing[at], units[at]
    depths = ("uint8", "uint16") if header.get("format") == "DICOM" else ("uint8",)
    colour = components in (3, 4) and data.dtype.name in depths
    scan = Scan(
        data=data,
        shape=data.shape,
        axes=axes + ("C" if components > 1 else ""),
        spacing=tuple(spacing),
        units=tuple(units),
        geometry=image_geometry(image),
        colour=colour,
        **header,
    )
    return scan.channels_first()


def _time_unit(image: Any) -> str:
    """SimpleITK gives seconds for NIfTI; other formats do not say."""
    return "s" if image.HasMetaDataKey("xyzt_units") else PIXEL


def read_itk_file(path: Path) -> Scan:
    """Read one file.

    Parameters
    ----------
    path : pathlib.Path
        NIfTI, NRRD, MetaImage or Analyze.

    Returns
    -------
    Scan
        Spacing in mm; data in the file's own number type.

    Raises
    ------
    ScanError
        If the file is damaged, or not what its name says.
    """
    suffix = split_suffix(path)[1]
    image = read_image(path, ITK_FORMATS[suffix])
    if ITK_FORMATS[suffix] in ("NIfTI", "Analyze") and not is_whole(path):
        raise ScanError(f"{path.name} cannot be read: it ends too early.")
    scan = image_scan(
        image,
        path=path,
        files=(str(path),),
        format=ITK_FORMATS[suffix],
        name=split_suffix(path)[0],
    )
    if "T" not in scan.axes or _time_unit(image) == "s":
        return scan
    from dataclasses import replace

    at = scan.spatial_axes.index("T")
    units = scan.units[:at] + (PIXEL,) + scan.units[at + 1 :]
    return replace(scan, units=units)


def read_image(path: Path, kind: str) -> Any:
    """Read a SimpleITK image, or say in one sentence why not.

    Raises
    ------
    ScanError
        If SimpleITK cannot read it.
    """
    with quiet_itk() as sitk:
        try:
            return sitk.ReadImage(os.fspath(path))
        except RuntimeError as error:
            _log.error("reading %s failed", path, exc_info=error)
            raise ScanError(_why(path, kind, str(error))) from error


def _why(path: Path, kind: str, text: str) -> str:
    if "orthonormal" in text:
        return (
            f"{path.name} cannot be read: its axes are not at right angles; "
            "resample it first."
        )
    return f"{path.name} cannot be read: it is damaged or not a {kind} file."
