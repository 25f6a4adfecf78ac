"""Masks out: in the scan's own format and geometry, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.files import atomic_path, split_suffix
from napari_segdino.io.scan import Header, Scan
from napari_segdino.io.seg import write_seg
from napari_segdino.io.write_itk import write_itk, write_itk_channels
from napari_segdino.io.write_tiff import write_channels, write_tiff

ITK_OUT = (".nii", ".nii.gz", ".nrrd", ".mha")
TIFF_OUT = (".tif", ".tiff", ".ome.tif", ".ome.tiff")
MASK_SUFFIXES = (*ITK_OUT, *TIFF_OUT, ".png", ".npy", ".dcm")
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
        DICOM and other volumes in space, ``".ome.tif"`` for OME-Zarr,
        ``".tif"`` for the rest.
    """
    if like is None:
        return ".tif"
    if like.format in ("DICOM", "OME-Zarr"):
        return ".nii.gz" if like.format == "DICOM" else ".ome.tif"
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
            labels: NDArray[np.integer[Any]] = mask.astype(dtype)
            return labels
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
        ``.nrrd``, ``.mha``, ``.tif``, ``.ome.tif``, ``.png``, ``.npy``, and
        ``.dcm`` for DICOM-SEG, which needs a scan read from DICOM and the
        package highdicom.
    mask : array of int, shape (Y, X), (Z, Y, X), (T, Z, Y, X) ...
        0 background, 1.. classes; kept as uint8, uint16 or uint32, the
        smallest that holds the labels.
    like : Scan, Header or path, optional
        The scan that the mask belongs to: gives spacing, origin, direction.
    class_names : sequence of str, optional
        Of classes 1, 2 ...; kept where the format has a place for them
        (NRRD, MetaImage, OME-TIFF, DICOM-SEG).

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
        elif suffix == ".dcm":
            write_seg(temporary, labels, header, names)
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


def _write_png(path: Path, labels: NDArray[Any]) -> None:
    from PIL import Image

    Image.fromarray(labels).save(path, format="PNG")


def write_probabilities(
    path: Path | str,
    probabilities: Any,
    like: Scan | Header | Path | str | None = None,
    class_names: Sequence[str] | None = None,
) -> Path:
    """Write probability maps, whole or not at all.

    Parameters
    ----------
    path : path
        ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.mha`` (one component a class),
        ``.tif`` or ``.ome.tif`` (one channel a class), ``.npy``.
    probabilities : array, shape (K, *spatial)
        K counts background; kept as float32.
    like : Scan, Header or path, optional
        The scan that they belong to: gives spacing, origin, direction.
    class_names : sequence of str, optional
        Of classes 1, 2 ...; names the channels of an OME-TIFF.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ScanError
        As :func:`write_mask`.
    """
    path = Path(path)
    suffix = split_suffix(path)[1]
    allowed = (*ITK_OUT, *TIFF_OUT, ".npy")
    if suffix not in allowed:
        raise ScanError(
            f"{path.name} cannot be written: choose one of {', '.join(allowed)} as "
            "its suffix."
        )
    maps = np.asarray(probabilities, np.float32)
    if not 3 <= maps.ndim <= 5:
        raise ScanError(f"{path.name} cannot be written: {maps.ndim} axes.")
    header = header_of(like)
    if header is not None:
        check_fit(maps.shape[1:], header)
    with atomic_path(path) as temporary:
        if suffix in ITK_OUT:
            write_itk_channels(temporary, maps, header)
        elif suffix in TIFF_OUT:
            names = ("background", *(class_names or ()))
            write_channels(temporary, maps, header, names)
        else:
            with open(temporary, "wb") as file:
                np.save(file, maps, allow_pickle=False)
    return path
