"""Which file is of which format, told from names and first bytes only."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from napari_segdino.files import split_suffix

ITK_FORMATS = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".hdr": "Analyze",
    ".img": "Analyze",
}
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
TIFF_SUFFIXES = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf", ".tf8")
PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
ZARR_SUFFIXES = (".zarr", ".ome.zarr")
ZARR_MARKS = ("zarr.json", ".zattrs", ".zgroup")

MAX_LOOKED_AT = 40
"""Files of a folder whose first bytes are read to find a DICOM one."""


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM files do."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _folder_kind(path: Path) -> str:
    if any((path / name).is_file() for name in ZARR_MARKS):
        return "zarr"
    walk = (
        Path(root, name)
        for root, _folders, names in os.walk(path)
        for name in names
        if not name.startswith(".")
    )
    for file in islice(walk, MAX_LOOKED_AT):
        plain = file.suffix == "" or file.suffix[1:].isdigit()
        if file.suffix.lower() in DICOM_SUFFIXES or (plain and is_dicom(file)):
            return "dicom folder"
    return ""


def _file_kind(path: Path) -> str:
    suffix = split_suffix(path)[1]
    if suffix in ITK_FORMATS:
        return "itk"
    if suffix in TIFF_SUFFIXES:
        return "tiff"
    if suffix in PHOTO_SUFFIXES:
        return "photo"
    if suffix == ".npy":
        return "npy"
    if suffix in DICOM_SUFFIXES or (path.is_file() and is_dicom(path)):
        return "dicom"
    return ""


def kind_of(path: Path | str) -> str:
    """Say how a file or folder would be read.

    Parameters
    ----------
    path : path
        A file or folder; a file's suffix counts first, then its first bytes.

    Returns
    -------
    str
        ``"itk"``, ``"dicom"``, ``"dicom folder"``, ``"tiff"``, ``"photo"``,
        ``"npy"``, ``"zarr"``, or empty when it is none of these.

    Raises
    ------
    OSError
        If the system refuses to look.
    """
    path = Path(path)
    return _folder_kind(path) if path.is_dir() else _file_kind(path)
