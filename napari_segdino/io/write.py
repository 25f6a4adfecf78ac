"""Masks out: in the scan's own format and geometry, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError, close_name
from napari_segdino.files import atomic_path, split_suffix
from napari_segdino.io.formats import FORMATS, Format, instead_of, mask_format
from napari_segdino.io.mask_writer import MaskWriter
from napari_segdino.io.provenance import Provenance
from napari_segdino.io.read import read_scan
from napari_segdino.io.scan import PIXEL, Header, Scan


def _as_labels(mask: Any) -> NDArray[np.integer[Any]]:
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


def _header_of(like: Header | Path | str | None) -> Header | None:
    """Read the header of a scan given as a path.

    Raises
    ------
    ScanError
        If it cannot be read.
    """
    if like is None or isinstance(like, Header):
        return like
    return read_scan(like, lazy=True).header


def _check_fit(shape: tuple[int, ...], like: Header) -> None:
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
    provenance: Provenance = Provenance(),  # noqa: B008
) -> Path:
    """Write a mask, whole or not at all.

    Parameters
    ----------
    path : path
        Where to; the suffix decides the format, one of
        :data:`~napari_segdino.io.formats.MASK_SUFFIXES`. ``.dcm`` is DICOM-SEG,
        which needs a scan read from DICOM and the package highdicom.
    mask : array of int, shape (Y, X), (Z, Y, X), (T, Z, Y, X) ...
        0 background, 1.. classes; kept as uint8, uint16 or uint32, the
        smallest that holds the labels.
    like : Scan, Header or path, optional
        The scan that the mask belongs to: gives spacing, origin, direction.
    class_names : sequence of str, optional
        Of classes 1, 2 ...; kept where the format has a place for them
        (NRRD, MetaImage, OME-TIFF, OME-Zarr, DICOM-SEG).
    provenance : Provenance, optional
        What it was made with, such as :meth:`Segmenter.provenance` says. The file
        says this, the version, the time and the image, where it has a place for them.

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
    kind = _format_for(path)
    labels, header = _as_labels(mask), _header_of(like)
    if header is not None:
        _check_fit(labels.shape, header)
    if not 2 <= labels.ndim <= 4:
        raise ScanError(f"{path.name} cannot be written: {labels.ndim} axes.")
    names = tuple(class_names or ())
    if kind.write is None:
        _write_planes(path, labels, header, names, provenance)
        return path
    with atomic_path(path) as temporary:
        kind.write(temporary, labels, header, names, provenance.stamped(header))
    return path


def _format_for(path: Path, maps: bool = False) -> Format:
    """Find the format that a name asks for, or say which there are."""
    suffix = split_suffix(path)[1]
    found = mask_format(suffix)
    if found is not None and (found.write_maps or not maps):
        return found
    if found is None and instead_of(suffix):
        raise ScanError(
            f"{path.name} cannot be written: masks are not written as {suffix}, "
            f"choose {instead_of(suffix)}."
        )
    known = (one for one in FORMATS if one.write_maps or not maps)
    suffixes = [s for one in known for s in one.mask_suffixes]
    raise ScanError(
        f"{path.name} cannot be written{close_name(suffix, suffixes)}: choose one of "
        f"{', '.join(suffixes)} as its suffix."
    )


def _write_planes(
    path: Path,
    labels: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
) -> None:
    """Write a mask through the writer that masks of any size go through."""
    if header is None:
        n = labels.ndim
        header = Header(
            shape=labels.shape,
            axes="TZYX"[-n:],
            spacing=(1.0,) * n,
            units=(PIXEL,) * n,
        )
    planes = labels.reshape(-1, *labels.shape[-2:])
    how: Any = {"dtype": labels.dtype, "class_names": names, "provenance": provenance}
    with MaskWriter(path, header, **how) as writer:
        for index, plane in enumerate(planes):
            writer.write_plane(index, plane)


def write_probabilities(
    path: Path | str,
    probabilities: Any,
    like: Scan | Header | Path | str | None = None,
    class_names: Sequence[str] | None = None,
    provenance: Provenance = Provenance(),  # noqa: B008
) -> Path:
    """Write probability maps, whole or not at all.

    Parameters
    ----------
    path : path
        NIfTI, NRRD or MetaImage (one component a class), TIFF (one channel a
        class) or NPY.
    probabilities : array, shape (K, *spatial)
        K counts background; kept as float32.
    like : Scan, Header or path, optional
        The scan that they belong to: gives spacing, origin, direction.
    class_names : sequence of str, optional
        Of classes 1, 2 ...; names the channels of an OME-TIFF.
    provenance : Provenance, optional
        What it was made with, such as :meth:`Segmenter.provenance` says. The file
        says this, the version, the time and the image, where it has a place for them.

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
    kind = _format_for(path, maps=True)
    maps = np.asarray(probabilities, np.float32)
    if not 3 <= maps.ndim <= 5:
        raise ScanError(f"{path.name} cannot be written: {maps.ndim} axes.")
    header = _header_of(like)
    if header is not None:
        _check_fit(maps.shape[1:], header)
    names = ("background", *(class_names or ()))
    assert kind.write_maps is not None
    with atomic_path(path) as temporary:
        kind.write_maps(temporary, maps, header, names, provenance.stamped(header))
    return path
