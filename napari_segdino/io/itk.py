"""NRRD and MetaImage, in and out, through SimpleITK."""

from __future__ import annotations

import errno
import logging
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.files import split_suffix
from napari_segdino.io.geometry import SHEAR_DEGREES, SHEARED, Geometry
from napari_segdino.io.provenance import PROGRAM, Provenance
from napari_segdino.io.scan import (
    MILLIMETRES,
    PIXEL,
    Header,
    ReadOptions,
    Scan,
    check_claim,
)

_log = logging.getLogger(__name__)


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """Import SimpleITK and keep its warnings off the terminal.

    Yields
    ------
    module
        SimpleITK.
    """
    import SimpleITK as sitk

    displayed = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield sitk
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(displayed)


def _geometry(image: Any) -> Geometry:
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


LONGEST_HEADER = 2**20
"""Bytes of a header; longer ones are refused."""

_POINTERS = {
    "NRRD": re.compile(rb"^\s*data ?file\s*:(.*)", re.I | re.M),
    # MetaIO takes much for the sign between, even a line's end or a zero.
    "MetaImage": re.compile(rb"ElementDataFile[^=:]{0,99}[=:](.*)"),
}

_ENCODINGS = re.compile(rb"^(?:encoding: *(bzip2|bz2)|type: *(block)) *$", re.M)


def _check_header(path: Path, kind: str) -> None:
    """See that a header points at no pixels outside of its folder.

    Raises
    ------
    ScanError
        If it does: it could make any file of the machine part of a scan. If it
        is too long to be seen through, or its encoding is not supported.
    """
    with open(path, "rb") as file:
        head = file.read(LONGEST_HEADER).replace(b"\r", b"")
    text, end, _pixels = head.partition(b"\n\n" if kind == "NRRD" else b"\0" * 9)
    found = list(_POINTERS[kind].finditer(text))
    if len(head) > 2**19 and not end and not found:
        raise ScanError(f"{path.name} cannot be read: its header is too long.")
    if kind == "NRRD" and (encoding := _ENCODINGS.search(text)):
        name = (encoding[1] or encoding[2]).decode()
        raise ScanError(
            f"{path.name} cannot be read: NRRD of kind {name} is not supported, save "
            "it with the encoding gzip."
        )
    for one in found:
        if one[1].strip().upper() == b"LOCAL":
            continue
        listed = one[1].strip().upper().startswith(b"LIST")
        names = text[one.end() :].split(b"\n") if listed else [one[1]]
        for name in filter(None, map(bytes.strip, names)):
            check_inside(path, os.fsdecode(name))


def check_inside(path: Path, name: str) -> None:
    """See that a name in a file's header is of a plain file in its folder.

    Parameters
    ----------
    path : pathlib.Path
        The file with the header.
    name : str
        As the header has it; may be a pattern of printf.

    Raises
    ------
    ScanError
        If it is not, links resolved. There may be no such file.
    """
    folder = path.parent.resolve()
    try:
        # A pattern, such as "slice%03d.raw 1 9 1", stands for several files.
        several = folder.glob(re.sub(r"%\d*\w.*", "*", name)) if "%" in name else ()
        targets = [(folder / name).resolve(), *(one.resolve() for one in several)]
    except (ValueError, NotImplementedError):
        targets = []
    for one in targets:
        special = one.exists() and not one.is_file()
        if special or not one.is_relative_to(folder):
            targets = []
    if not targets:
        raise ScanError(
            f"{path.name} cannot be read: it points at pixels outside of its "
            f"folder, {name}."
        )


def read_itk_file(kind: str, path: Path, options: ReadOptions) -> Scan:
    """Read one file.

    Parameters
    ----------
    kind : str
        ``"NRRD"`` or ``"MetaImage"``.
    path : pathlib.Path
        The file.
    options : ReadOptions
        None of them matters here.

    Returns
    -------
    Scan
        Spacing in mm; data in the file's own number type. A single slice or a
        single time point loses that axis.

    Raises
    ------
    ScanError
        If the file is damaged, or not what its name says.
    """
    _check_header(path, kind)
    image = _read_image(path, kind)
    with quiet_itk() as sitk:
        data = sitk.GetArrayFromImage(image)
    components = image.GetNumberOfComponentsPerPixel()
    axes = "TZYX"[-image.GetDimension() :]
    grid = _geometry(image)
    off = grid.shear
    spacing = dict(zip(axes, image.GetSpacing()[::-1], strict=True))
    for axis in "TZ":
        if axis in axes and data.shape[axes.index(axis)] == 1:
            data = data.squeeze(axes.index(axis))
            axes = axes.replace(axis, "")
    return Scan(
        data=data,
        shape=data.shape,
        axes=axes + ("C" if components > 1 else ""),
        spacing=tuple(spacing[axis] for axis in axes),
        units=tuple(PIXEL if axis == "T" else "mm" for axis in axes),
        geometry=grid,
        colour=components in (3, 4) and data.dtype == np.uint8,
        path=path,
        files=(str(path),),
        format=kind,
        name=split_suffix(path)[0],
        warnings=(SHEARED.format(off),) if off > SHEAR_DEGREES else (),
    ).channels_first()


def _read_image(path: Path, kind: str) -> Any:
    """Read a SimpleITK image, or say in one sentence why not.

    Raises
    ------
    ScanError
        If SimpleITK cannot read it.
    """
    with quiet_itk() as sitk:
        try:
            reader = sitk.ImageFileReader()
            reader.SetFileName(os.fspath(path))
            reader.ReadImageInformation()
            if path.suffix.lower() in (".nrrd", ".mha"):  # the others are two files
                parts = reader.GetNumberOfComponents()
                # Only an image tells the bytes of a number, not the reader.
                one = sitk.Image([1, 1], reader.GetPixelID(), parts)
                values = parts * math.prod(reader.GetSize())
                check_claim(path, values * one.GetSizeOfPixelComponent())
            return reader.Execute()
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


# -- out --------------------------------------------------------------------


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
    grid = mask_grid(spatial, header)
    if not timed:
        image = sitk.GetImageFromArray(array.reshape(grid.array_shape))
        return _placed(image, grid)
    parts = [
        _placed(sitk.GetImageFromArray(part.reshape(grid.array_shape)), grid)
        for part in array
    ]
    image = sitk.JoinSeries(parts)
    assert header is not None
    # ITK refuses a spacing of 0.
    image.SetSpacing((*grid.spacing, header.spacing[header.axes.index("T")] or 1.0))
    return image


def mask_grid(shape: tuple[int, ...], header: Header | None) -> Geometry:
    """Give the scan's voxel grid in millimetres; a pixel counts as one.

    Parameters
    ----------
    shape : tuple of int
        Spatial shape of the mask, without time.
    header : Header, optional
        Of the scan.

    Returns
    -------
    Geometry
        At the origin with straight axes where the scan's grid is not known.
    """
    if header is None:
        return Geometry.plain(shape)
    units = dict(zip(header.spatial_axes, header.units, strict=True))
    factors = [MILLIMETRES.get(units.get(axis, "mm"), 1.0) for axis in "XYZ"]
    grid = header.geometry
    # By voxels and not by axes: a mask (Y, X) of a single slice lies on a grid of
    # three.
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
    path: Path,
    labels: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
) -> None:
    """Write NRRD or MetaImage, and read it again to be sure.

    ITK does not notice that a disk is full, so what was written is compared.

    Parameters
    ----------
    path : pathlib.Path
        NRRD or MetaImage, by its suffix.
    labels : numpy.ndarray of int, shape ([T,] [Z,] Y, X)
    header : Header, optional
        Of the scan.
    names : tuple of str
        Of classes 1, 2 ...; become ``Segment1_Name`` and on.
    provenance : Provenance
        Becomes ``napari-segdino_program`` and on.

    Raises
    ------
    OSError
        ENOSPC when what is read back is not what was written.
    """
    image = itk_image(labels, header)
    for number, name in enumerate(names, start=1):
        image.SetMetaData(f"Segment{number}_Name", name)
    _write_checked(path, image, labels, provenance)


def write_itk_maps(
    path: Path,
    maps: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
) -> None:
    """Write an image of several components, and read it again to be sure.

    Parameters
    ----------
    path : pathlib.Path
        NRRD or MetaImage.
    maps : numpy.ndarray, shape (K, *spatial), float32
        One component each.
    header : Header, optional
        Of the scan.
    names : tuple of str
        Have no place in these formats.
    provenance : Provenance
        See :func:`write_itk`.

    Raises
    ------
    OSError
        ENOSPC when what is read back is not what was written.
    """
    import SimpleITK as sitk

    image = sitk.Compose([itk_image(one, header) for one in maps])
    _write_checked(path, image, np.moveaxis(maps, 0, -1), provenance)


def _write_checked(
    path: Path, image: Any, wanted: NDArray[Any], provenance: Provenance
) -> None:
    for name, value in provenance.to_dict().items():
        image.SetMetaData(f"{PROGRAM}_{name}", value)
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
