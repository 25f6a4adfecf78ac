"""The table of formats: which file is of which, what reads it, what writes it.

A format is one file in this folder, with a reader and maybe writers, and one row
here. Dialogs, napari's manifest, the command line and docs/formats.md follow the
table; tests compare them with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_segdino.files import split_suffix
from napari_segdino.io import (
    dicom,
    dicom_pixels,
    itk,
    nifti,
    npy,
    omezarr,
    photo,
    seg,
    tiff,
    tiff_masks,
)
from napari_segdino.io.provenance import Provenance
from napari_segdino.io.scan import Header, ReadOptions, Scan
from napari_segdino.progress import Steps

Reader = Callable[[Path, ReadOptions], Scan | Steps[Scan]]
Writer = Callable[
    [Path, NDArray[Any], Header | None, tuple[str, ...], Provenance], None
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A file format.

    Parameters
    ----------
    name : str
        As users know it.
    suffixes : tuple of str
        Of files that are read, in small letters.
    read : callable, optional
        Takes a path and :class:`~napari_segdino.io.scan.ReadOptions`, gives a
        :class:`~napari_segdino.io.scan.Scan` or a generator that returns one.
    mask_suffixes : tuple of str
        Of masks that are written; the first is taken where the scan's own is none.
    write : callable, optional
        Writes a mask: path, labels, header, names of the classes and what it was
        made with. Formats that only :class:`~napari_segdino.io.MaskWriter` writes
        have none.
    write_maps : callable, optional
        Writes probabilities of shape (K, ...) to the same suffixes.
    planes : bool
        Whether masks can be written plane by plane.
    proposed : str
        Suffix proposed for masks of its scans; empty is the scan's own.
    several : bool
        Whether a file or folder can hold several images.
    napari : bool
        Whether napari offers it to this program: it reads plain pictures and
        arrays itself.
    needs : str
        What writing needs besides this program.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    read: Reader | None = None
    mask_suffixes: tuple[str, ...] = ()
    write: Writer | None = None
    write_maps: Writer | None = None
    planes: bool = False
    proposed: str = ""
    several: bool = False
    napari: bool = True
    needs: str = ""


def _itk(
    name: str, suffixes: tuple[str, ...], mask_suffixes: tuple[str, ...]
) -> Format:
    return Format(
        name=name,
        suffixes=suffixes,
        read=partial(itk.read_itk_file, name),
        mask_suffixes=mask_suffixes,
        write=itk.write_itk,
        write_maps=itk.write_itk_maps,
    )


def _picture(name: str, *suffixes: str, **more: Any) -> Format:
    return Format(
        name=name, suffixes=suffixes, read=photo.read_photo, napari=False, **more
    )


FORMATS = (
    Format(
        name="NIfTI",
        suffixes=(".nii", ".nii.gz"),
        read=nifti.read_nifti,
        mask_suffixes=(".nii", ".nii.gz"),
        write=nifti.write_nifti,
        write_maps=nifti.write_nifti_maps,
    ),
    _itk("NRRD", (".nrrd", ".nhdr"), (".nrrd",)),
    _itk("MetaImage", (".mha", ".mhd"), (".mha",)),
    Format(
        name="Analyze",
        suffixes=(".hdr", ".img"),
        read=nifti.read_nifti,
        proposed=".nii",
    ),
    Format(
        name="TIFF",
        suffixes=tiff.SUFFIXES,
        read=tiff.read_tiff,
        mask_suffixes=(".tif", ".tiff", ".ome.tif", ".ome.tiff"),
        write=tiff_masks.write_tiff,
        write_maps=tiff_masks.write_tiff_maps,
        several=True,
    ),
    _picture(
        "PNG",
        ".png",
        mask_suffixes=(".png",),
        write=photo.write_png,
        needs="one plane, labels up to 65535",
    ),
    _picture("JPEG", ".jpg", ".jpeg", proposed=".png"),
    _picture("BMP", ".bmp", proposed=".png"),
    Format(
        name="NPY",
        suffixes=(".npy",),
        read=npy.read_npy,
        mask_suffixes=(".npy",),
        write=npy.write_npy,
        write_maps=npy.write_npy,
        planes=True,
        napari=False,
    ),
    Format(
        name="DICOM",
        suffixes=dicom_pixels.SUFFIXES,
        read=dicom.iter_read_dicom,
        proposed=".nii.gz",
        several=True,
    ),
    Format(
        name="DICOM-SEG",
        mask_suffixes=(".dcm",),
        write=seg.write_seg,
        proposed=".nii.gz",
        needs="a scan read from DICOM, and `pip install 'napari-segdino[dicom-seg]'`",
    ),
    Format(
        name="OME-Zarr",
        suffixes=(".ome.zarr", ".zarr"),
        read=omezarr.read_zarr,
        mask_suffixes=(".ome.zarr",),
        planes=True,
        proposed=".ome.tif",
        several=True,
    ),
)
"""All formats, in the order in which they are listed."""

READ_SUFFIXES = tuple(s for one in FORMATS for s in one.suffixes)
"""Suffixes that :func:`~napari_segdino.io.read_scan` reads."""

MASK_SUFFIXES = tuple(s for one in FORMATS for s in one.mask_suffixes)
"""Suffixes that :func:`~napari_segdino.io.write_mask` writes."""

MAX_LOOKED_AT = 40
"""Files of a folder whose first bytes are read to find a DICOM one."""

_BY_NAME = {one.name: one for one in FORMATS}
_BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}
_WRITERS = {suffix: one for one in FORMATS for suffix in one.mask_suffixes}


def read_format(path: Path | str) -> Format | None:
    """Say which format a file or folder is of.

    Parameters
    ----------
    path : path
        A file or folder; a file's suffix counts first, then its first bytes.

    Returns
    -------
    Format or None
        None when it is none that is read.

    Raises
    ------
    OSError
        If the system refuses to look.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(path)
    found = _BY_SUFFIX.get(split_suffix(path)[1])
    if found is _BY_NAME["OME-Zarr"]:
        return None  # it is a folder
    if found is None and path.is_file() and dicom.is_dicom(path):
        return _BY_NAME["DICOM"]
    return found


def _of_folder(path: Path) -> Format | None:
    if omezarr.is_zarr(path):
        return _BY_NAME["OME-Zarr"]
    walk = (
        Path(root, name)
        for root, _folders, names in os.walk(path)
        for name in names
        if not name.startswith(".")
    )
    series = _BY_NAME["DICOM"]
    # Not all: napari asks on its GUI thread, and a folder may hold thousands of files.
    for file in islice(walk, MAX_LOOKED_AT):
        # Scanners leave out the suffix, or what follows the last dot is a part of a
        # UID.
        plain = file.suffix == "" or file.suffix[1:].isdigit()
        known = file.suffix.lower() in series.suffixes
        if file.is_file() and (known or (plain and dicom.is_dicom(file))):
            return series
    return None


def mask_format(suffix: str) -> Format | None:
    """Say which format masks of a suffix are written in.

    Parameters
    ----------
    suffix : str
        In small letters, with its dot.
    """
    return _WRITERS.get(suffix)


def instead_of(suffix: str) -> str:
    """Suffix of masks of a format that is read but not written; empty if none.

    Parameters
    ----------
    suffix : str
        In small letters, with its dot.
    """
    found = _BY_SUFFIX.get(suffix)
    if found is None:
        return ""
    return found.proposed or found.mask_suffixes[0]


def own_suffix(like: Header | None) -> str:
    """Suffix of masks that belong to a scan, to propose to the user.

    Parameters
    ----------
    like : Header, optional
        Of the scan that the mask belongs to.

    Returns
    -------
    str
        The file's own suffix where masks can be written so, else what its
        format's row proposes; ``".nii.gz"`` for volumes in space of no file,
        ``".tif"`` for the rest.
    """
    if like is None:
        return ".tif"
    suffix = split_suffix(like.path)[1] if like.path is not None else ""
    found = _BY_NAME.get(like.format) or _BY_SUFFIX.get(suffix)
    if found is None:
        return ".nii.gz" if like.geometry is not None else ".tif"
    if found.proposed:
        return found.proposed
    return suffix if suffix in found.mask_suffixes else found.mask_suffixes[0]
