"""Masks out: in the scan's own format and geometry, whole or not at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.io.atomic import atomic_path, split_suffix
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.scan import PIXEL, Header, Scan

_log = logging.getLogger(__name__)

ITK_OUT = (".nii", ".nii.gz", ".nrrd", ".mha")
TIFF_OUT = (".tif", ".tiff", ".ome.tif", ".ome.tiff")
MASK_SUFFIXES = (*ITK_OUT, *TIFF_OUT, ".png", ".npy")
"""Suffixes that :func:`write_mask` knows."""

TWO_FILES = {".mhd": ".mha", ".nhdr": ".nrrd", ".hdr": ".nii", ".img": ".nii"}
"""Formats of two files, which cannot be replaced in one step, and what to take."""


def own_suffix(like: Header | None) -> str:
    """Suffix of the scan's own format, to propose to the user.

    Parameters
    ----------
    like : Header, optional
        Of the scan that the mask belongs to.

    Returns
    -------
    str
        The file's own suffix where masks can be written so, ``".nii.gz"`` for
        DICOM and other volumes in space, ``".tif"`` for the rest.
    """
    if like is None:
        return ".tif"
    suffix = split_suffix(like.path)[1] if like.path is not None else ""
    suffix = TWO_FILES.get(suffix, suffix)
    if suffix in (".jpg", ".jpeg", ".bmp"):
        return ".png"
    if suffix in MASK_SUFFIXES:
        return suffix
    return ".nii.gz" if like.geometry is not None else ".tif"


def as_labels(mask: Any) -> NDArray[np.integer[Any]]:
    """Return a mask in the smallest of uint8, uint16 and uint32 that holds it.

    Raises
    ------
    ScanError
        If it holds fractions or negative numbers.
    """
    mask = np.asarray(mask)
    if mask.dtype.kind not in "bui":
        raise ScanError(f"A mask holds whole numbers, not {mask.dtype}.")
    if mask.size and int(mask.min()) < 0:
        raise ScanError("A mask holds no negative labels.")
    top = int(mask.max(initial=0))
    for dtype in (np.uint8, np.uint16, np.uint32):
        if top <= np.iinfo(dtype).max:
            return mask.astype(dtype)
    raise ScanError(f"A mask with label {top} cannot be written.")


def header_of(like: Header | Path | str | None) -> Header | None:
    """Read the header of a scan given as a path.

    Raises
    ------
    ScanError
        If it cannot be read.
    """
    if like is None or isinstance(like, Header):
        return like
    from napari_segdino.io.read import read_scan

    return read_scan(like, lazy=True).header


def check_fit(shape: tuple[int, ...], like: Header) -> None:
    """See that a mask has the spatial shape of its scan.

    Raises
    ------
    ScanError
        If it has not.
    """
    if tuple(shape) != like.spatial_shape:
        raise ScanError(
            f"A mask of shape {tuple(shape)} does not fit the scan "
            f"{like.name or 'given'}, whose shape is {like.spatial_shape}."
        )


def write_mask(
    path: Path | str,
    mask: Any,
    like: Scan | Header | Path | str | None = None,
    class_names: Sequence[str] | None = None,
) -> Path:
    """Write a mask, whole or not at all.

    Parameters
    ----------
    path : path
        Where to; the suffix decides the format: ``.nii``, ``.nii.gz``,
        ``.nrrd``, ``.mha``, ``.tif``, ``.ome.tif``, ``.png``, ``.npy``.
    mask : array of int, shape (Y, X), (Z, Y, X), (T, Z, Y, X) ...
        0 background, 1.. classes; kept as uint8, uint16 or uint32, the
        smallest that holds the labels.
    like : Scan, Header or path, optional
        The scan that the mask belongs to: gives spacing, origin, direction.
    class_names : sequence of str, optional
        Of classes 1, 2 ...; kept where the format has a place for them
        (NRRD, MetaImage, TIFF).

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ScanError
        If the suffix is not known, the mask does not fit the scan, or the
        system refuses (read-only folder, full disk); an older file of that
        name then stays as it was.
    """
    path = Path(path)
    suffix = split_suffix(path)[1]
    _check_suffix(path, suffix)
    labels, header = as_labels(mask), header_of(like)
    if header is not None:
        check_fit(labels.shape, header)
    _check_axes(path, suffix, labels)
    names = tuple(class_names or ())
    with atomic_path(path) as temporary:
        if suffix in ITK_OUT:
            write_itk(temporary, labels, header, names)
        elif suffix in TIFF_OUT:
            write_tiff(temporary, labels, header, names)
        elif suffix == ".png":
            _write_png(temporary, labels)
        else:
            with open(temporary, "wb") as file:
                np.save(file, labels, allow_pickle=False)
    return path


def _check_suffix(path: Path, suffix: str) -> None:
    if suffix in TWO_FILES:
        raise ScanError(
            f"{path.name} cannot be written: {suffix} is two files, choose "
            f"{TWO_FILES[suffix]}."
        )
    if suffix not in MASK_SUFFIXES:
        raise ScanError(
            f"{path.name} cannot be written: choose one of "
            f"{', '.join(MASK_SUFFIXES)} as its suffix."
        )


def _check_axes(path: Path, suffix: str, labels: NDArray[Any]) -> None:
    if suffix == ".png" and (labels.ndim != 2 or labels.dtype == np.uint32):
        raise ScanError(
            f"{path.name} cannot be written: PNG holds one plane with labels up "
            "to 65535, choose .tif or .nii.gz."
        )
    if not 2 <= labels.ndim <= 4:
        raise ScanError(f"{path.name} cannot be written: {labels.ndim} axes.")


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


def _grid(shape: tuple[int, ...], header: Header | None) -> Geometry:
    grid = header.geometry if header is not None else None
    if grid is not None and np.prod(grid.size) == np.prod(shape):
        return grid
    if header is None:
        return Geometry.plain(shape)
    return Geometry.plain(shape, in_mm(header))


def in_mm(header: Header) -> tuple[float, ...]:
    """Spacing of Z, Y, X in millimetres, as ITK's formats have it."""
    factors = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3, "inch": 25.4}
    factors["Å"] = 1e-7
    triples = zip(header.spatial_axes, header.spacing, header.units, strict=True)
    return tuple(
        step * factors.get(unit, 1.0) for axis, step, unit in triples if axis in "ZYX"
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
    from napari_segdino.io.itk import quiet_itk

    image = itk_image(labels, header)
    for number, name in enumerate(names, start=1):
        image.SetMetaData(f"Segment{number}_Name", name)
    with quiet_itk() as sitk:
        try:
            sitk.WriteImage(image, os.fspath(path), useCompression=True)
            again = sitk.GetArrayViewFromImage(sitk.ReadImage(os.fspath(path)))
            same = np.array_equal(again.reshape(labels.shape), labels)
        except (RuntimeError, ValueError) as error:
            _log.error("writing %s failed", path, exc_info=error)
            same = False
    if not same:
        raise OSError(28, "the file written is not whole")  # ENOSPC


def tiff_metadata(header: Header | None, axes: str) -> dict[str, Any]:
    """OME's metadata of a mask: axes, spacing and units."""
    about: dict[str, Any] = {"axes": axes}
    if header is None:
        return about
    triples = zip(header.spatial_axes, header.spacing, header.units, strict=True)
    for axis, step, unit in triples:
        if unit == PIXEL:
            continue
        key = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        about[key] = step
        about[f"{key}Unit"] = {"um": "µm", "inch": "in"}.get(unit, unit)
    return about


def _imagej_options(header: Header | None, axes: str) -> dict[str, Any]:
    about: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"imagej": True, "metadata": about}
    if header is None:
        return options
    axes_of = header.spatial_axes
    steps = dict(zip(axes_of, header.spacing, strict=True))
    unit = dict(zip(axes_of, header.units, strict=True))["X"]
    if unit != PIXEL:
        options["resolution"] = (1 / steps["X"], 1 / steps["Y"])
        about["unit"] = unit
        if "Z" in steps:
            about["spacing"] = steps["Z"]
        if "T" in steps:
            about["finterval"] = steps["T"]
    return options


def write_tiff(
    path: Path, labels: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write OME-TIFF, or ImageJ's TIFF when ImageJ knows the number type.

    Parameters
    ----------
    path : pathlib.Path
        ``.ome.tif`` makes OME-TIFF.
    labels : numpy.ndarray
    header : Header, optional
        For spacing and units.
    names : tuple of str
        Of the classes; OME only.
    """
    import tifffile

    axes = header.spatial_axes if header is not None else "TZYX"[-labels.ndim :]
    ome = ".ome." in split_suffix(path)[1]
    small = labels.dtype != np.uint32 and labels.nbytes < 2**31
    if ome or not small:
        about = tiff_metadata(header, axes)
        if names:
            about["Description"] = "; ".join(f"{i} {n}" for i, n in enumerate(names, 1))
        options: dict[str, Any] = {"metadata": about, "ome": True}
    else:
        options = _imagej_options(header, axes)
    big = labels.nbytes > 2**31
    options.update({} if options.get("imagej") else {"bigtiff": big})
    tifffile.imwrite(path, labels, compression="zlib", **options)


def _write_png(path: Path, labels: NDArray[Any]) -> None:
    from PIL import Image

    Image.fromarray(labels).save(path, format="PNG")
