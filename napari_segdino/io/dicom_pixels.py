"""Pixels of a DICOM file, as pydicom decodes them, else SimpleITK with GDCM.

What belongs to a slice or a frame, such as its rescale slope, is taken from it and
not from the first one: GDCM takes one slope for a whole file or series, and exchanges
the bytes of some files.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.io.itk import quiet_itk
from napari_segdino.io.scan import check_claim

_log = logging.getLogger(__name__)

DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    struct.error,
)
"""What pydicom raises on files that are damaged or of another kind."""

SUFFIXES = (".dcm", ".dicom", ".ima")

NO_DECODER = (NotImplementedError, RuntimeError)
"""What pydicom raises where it lacks what a compression needs."""


def read_tags(path: Path | str, **options: Any) -> Any:
    """Read a file's tags; those of old files without a preamble too.

    Parameters
    ----------
    path : path
        A file. Without a preamble it counts as DICOM by its suffix only.
    **options
        As for :func:`pydicom.dcmread`.

    Returns
    -------
    pydicom.Dataset

    Raises
    ------
    Exception
        One of :data:`DAMAGED`, or pydicom's InvalidDicomError.
    """
    import pydicom

    force = Path(path).suffix.lower() in SUFFIXES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=force, **options)


def read_values(path: Path | str) -> tuple[Any, NDArray[Any]]:
    """Read what the pixels of a file mean: rescaled, or the colours of a palette.

    Parameters
    ----------
    path : path
        A file with one frame or many.

    Returns
    -------
    tags : pydicom.Dataset
        With all but the pixels, for who needs more.
    values : numpy.ndarray, shape (Y, X), (Y, X, C), (N, Y, X) or (N, Y, X, C)
        Whole numbers stay whole numbers, in a type that holds them.

    Raises
    ------
    ScanError
        If it is damaged, or compressed in a way that is not supported.
    """
    import pydicom

    path = Path(path)
    try:
        tags = read_tags(path)
    except (pydicom.errors.InvalidDicomError, *DAMAGED) as error:
        raise _damaged(path, error) from error
    names = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    claimed = math.prod(int(tags.get(name) or 1) for name in names)
    # Before anything is decoded, which would take the memory that is claimed.
    check_claim(path, claimed * int(tags.get("BitsAllocated") or 8) // 8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = tags.pixel_array
            # torch takes no array in the other byte order.
            native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
            return tags, _meant(tags, native)
    except NO_DECODER as error:
        _log.debug("pydicom does not decode %s", path, exc_info=error)
        return tags, _by_simpleitk(path, tags)
    except DAMAGED as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ScanError:
    _log.error("reading %s failed", path, exc_info=error)
    return ScanError(f"{path.name} cannot be read: it is damaged or holds no pixels.")


def _by_simpleitk(path: Path, tags: Any) -> NDArray[Any]:
    """Decode what pydicom cannot; GDCM rescales by the file's own slope."""
    with quiet_itk() as sitk:
        try:
            image = sitk.ReadImage(os.fspath(path))
        except RuntimeError as error:
            _log.error("reading %s failed", path, exc_info=error)
            syntax = getattr(tags.file_meta, "TransferSyntaxUID", None)
            name = getattr(syntax, "name", "unknown")
            raise ScanError(
                f"{path.name} cannot be read: its compression ({name}) is not "
                "supported, or it is damaged."
            ) from error
        values: NDArray[Any] = sitk.GetArrayFromImage(image)
    # GDCM gives a single slice a third axis.
    return values[0] if int(tags.get("NumberOfFrames") or 1) == 1 else values


def _meant(tags: Any, stored: NDArray[Any]) -> NDArray[Any]:
    if str(tags.get("PhotometricInterpretation")) == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        colours: NDArray[Any] = apply_color_lut(stored, tags)
        return colours
    if tags.get("ModalityLUTSequence"):
        from pydicom.pixels import apply_modality_lut

        looked_up: NDArray[Any] = apply_modality_lut(stored, tags)
        return looked_up
    limits = _limits(tags, stored)
    frames = tags.get("PerFrameFunctionalGroupsSequence")
    shared = tags.get("SharedFunctionalGroupsSequence")
    if not frames or stored.ndim < 3:
        return rescaled(stored, *_slope(tags, (), shared), limits)
    steps = [_slope(tags, (frame,), shared) for frame in frames]
    if len(set(steps)) == 1:
        return rescaled(stored, *steps[0], limits)
    pairs = zip(stored, steps, strict=True)
    return np.stack([rescaled(one, *step, limits) for one, step in pairs])


def _limits(tags: Any, stored: NDArray[Any]) -> tuple[int, int]:
    """Least and greatest value that a file's pixels can store."""
    bits = int(tags.get("BitsStored") or 8 * stored.itemsize)
    least = -(1 << (bits - 1)) if tags.get("PixelRepresentation") else 0
    return least, least + (1 << bits) - 1


def _slope(tags: Any, frame: tuple[Any, ...], shared: Any) -> tuple[float, float]:
    """Rescale slope and intercept of a frame, else of all, else of the file."""
    for group in (*frame, *(shared or ())):
        if found := group.get("PixelValueTransformationSequence"):
            tags = found[0]
            break
    slope, intercept = tags.get("RescaleSlope"), tags.get("RescaleIntercept")
    return float(1 if slope is None else slope), float(intercept or 0)


def rescaled(
    stored: NDArray[Any], slope: float, intercept: float, limits: tuple[int, int]
) -> NDArray[Any]:
    """Rescale stored values.

    Parameters
    ----------
    stored : numpy.ndarray
        As the file has them.
    slope, intercept : float
        ``stored * slope + intercept`` is meant.
    limits : tuple of int
        What the file can store, which decides the type as in GDCM: the features of
        earlier sessions are kept under names that depend on it.

    Returns
    -------
    numpy.ndarray, same shape
        float64 where slope or intercept are fractions, else the smallest type that
        holds all that the file could say.
    """
    if (slope, intercept) == (1.0, 0.0) or not stored.size:
        return stored
    if stored.dtype.kind == "f" or slope % 1 or intercept % 1:
        return stored * slope + intercept
    stored_ends = (*limits, int(stored.min()), int(stored.max()))
    ends = [value * int(slope) + int(intercept) for value in stored_ends]
    kinds = "ui"[min(ends) < 0]
    for kind in (np.dtype(f"{kinds}{size}") for size in (1, 2, 4, 8)):
        if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
            break
    # In 64 bits: stored values of 16 bits times a slope may need more on the way.
    wide = stored.astype(np.int64) * int(slope) + int(intercept)
    return wide.astype(kind)
