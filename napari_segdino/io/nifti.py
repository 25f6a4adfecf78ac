"""NIfTI-1 and NIfTI-2, in and out, and Analyze, in, through nibabel.

Which of sform and qform says where a scan lies is decided as nibabel does: the sform
where its code is above 0, else the qform, else neither. Masks take the header of their
scan, so that they lie on it in every program, whichever of the two that one reads.
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.files import split_suffix
from napari_segdino.io.geometry import SHEAR_DEGREES, SHEARED, Geometry, Matrix
from napari_segdino.io.itk import mask_grid
from napari_segdino.io.provenance import PROGRAM, Provenance
from napari_segdino.io.scan import PIXEL, Header, ReadOptions, Scan, check_claim

_log = logging.getLogger(__name__)

FLIP = np.diag([-1.0, -1.0, 1.0])
"""From NIfTI's frame (right, anterior) to LPS."""

MM = {"meter": 1e3, "mm": 1.0, "micron": 1e-3}
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}

NO_SIDES = "Analyze files do not say which side is left: they are read as SPM does."

COMMENT = 6
"""Code of an extension that is plain text."""

LONGEST = 2**15 - 1
"""Voxels along an axis that NIfTI-1 can hold."""


def read_nifti(path: Path, options: ReadOptions) -> Scan:
    """Read a NIfTI or Analyze file.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii``, ``.nii.gz``, or one of the two files ``.hdr`` and ``.img``.
    options : ReadOptions
        None of them matters here.

    Returns
    -------
    Scan
        Spacing in mm and s; the fifth axis of a file is channels. Data in the
        file's own number type, rescaled ones in floats.

    Raises
    ------
    ScanError
        If the file is damaged, or not what its name says.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Any = nib.load(path, mmap=False)
            stored = image.header.get_data_dtype().itemsize
            pixel_file = Path(image.file_map["image"].filename)
            check_claim(pixel_file, stored * math.prod(map(int, image.shape)))
            data = _pixels(image)
    except (ImageFileError, HeaderDataError) as error:
        _log.error("reading %s failed", path, exc_info=error)
        raise ScanError(
            f"{path.name} cannot be read: it is damaged or not NIfTI or Analyze."
        ) from error
    except (EOFError, ValueError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        _log.error("reading %s failed", path, exc_info=error)
        raise ScanError(
            f"{path.name} cannot be read: it is damaged or ends too early."
        ) from error
    if data.ndim < 2 or data.ndim > 5:
        raise ScanError(
            f"{path.name} cannot be read: {data.ndim} axes are not supported."
        )
    return _scan(path, image, data)


def _pixels(image: Any) -> NDArray[Any]:
    """Values as [c, t,] z, y, x; colours come last as channels of the file."""
    stored = np.dtype(image.header.get_data_dtype())
    if stored.names:  # red, green, blue and perhaps alpha
        raw = np.asarray(image.dataobj.get_unscaled()).squeeze()
        colours: NDArray[Any] = np.stack([raw[name] for name in stored.names])
        return colours.transpose(0, *range(raw.ndim, 0, -1))
    data: NDArray[Any] = image.dataobj.get_unscaled()
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    if (slope, intercept) != (1, 0):
        # float32 has 24 bits of precision: enough for scaled values of 16, at half the
        # memory.
        narrow = stored.itemsize <= 2 or stored.kind == "f" and stored.itemsize <= 4
        scaled = data.astype(np.float64) * slope + intercept
        data = scaled.astype(np.float32 if narrow else np.float64)
    while data.ndim > 5 and data.shape[-1] == 1:
        data = data[..., 0]
    return data.astype(data.dtype.newbyteorder("="), copy=False).T


def _scan(path: Path, image: Any, data: NDArray[Any]) -> Scan:
    header = image.header
    nifti = "sform_code" in header
    colours = header.get_data_dtype().names
    axes = "CTZYX"[-data.ndim :] if not colours else "C" + "TZYX"[1 - data.ndim :]
    shape = dict(zip(axes, data.shape, strict=True))
    flat = [i for i, axis in enumerate(axes) if axis in "CTZ" and shape[axis] == 1]
    data = data.squeeze(tuple(flat))
    axes = "".join(axis for axis in axes if axis not in "CTZ" or shape[axis] > 1)
    space, time = header.get_xyzt_units() if nifti else ("mm", "unknown")
    factor = MM.get(space, 1.0)
    grid, notes = _grid(
        [shape[axis] for axis in "XYZ" if axis in shape], image.affine, factor
    )
    zooms = [float(v) for v in header.get_zooms()]
    step = zooms[3] if len(zooms) > 3 else 1.0
    spacing = {**dict(zip("XYZ", grid.spacing, strict=False))}
    spacing["T"] = step * SECONDS.get(time, 1.0)
    units = {"T": "s" if time in (*SECONDS, "unknown") else PIXEL}
    spatial = axes.replace("C", "")
    scan = Scan(
        data=data,
        shape=data.shape,
        axes=axes,
        spacing=tuple(spacing[axis] for axis in spatial),
        units=tuple(units.get(axis, "mm") for axis in spatial),
        geometry=grid,
        colour=bool(colours),
        path=path,
        files=(str(path),),
        format="NIfTI" if nifti else "Analyze",
        name=split_suffix(path)[0],
        warnings=(*notes, *(_differing(header) if nifti else (NO_SIDES,))),
    )
    return scan.channels_last() if colours else scan


def _grid(
    size: list[int], matrix: Matrix, factor: float
) -> tuple[Geometry, tuple[str, ...]]:
    """Make the grid; axes almost at right angles are taken to be at such."""
    n = len(size)
    axes = FLIP @ matrix[:3, :3] * factor
    spacing = np.linalg.norm(axes, axis=0)
    if not np.isfinite(matrix).all() or spacing.min() <= 0:
        return Geometry.plain(tuple(size[::-1])), (
            "The file does not say where its voxels lie: spacing is not known.",
        )
    # Of columns of length 1: where two point the same way, a singular value is near 0.
    left, values, right = np.linalg.svd(axes / spacing)
    if values.min() < np.cos(np.radians(90 - SHEAR_DEGREES)):
        return Geometry.plain(tuple(size[::-1]), tuple(spacing[:n][::-1])), (
            "Two axes of the file point the same way: its place is not known.",
        )
    direction = axes / spacing
    origin = FLIP @ matrix[:3, 3] * factor
    grid = Geometry(
        tuple(size),
        tuple(float(v) for v in spacing[:n]),
        tuple(float(v) for v in origin[:n]),
        tuple(float(v) for v in direction[:n, :n].ravel()),
    )
    if (off := grid.shear) > SHEAR_DEGREES:
        return grid, (SHEARED.format(off),)
    # The nearest matrix with right angles (its polar decomposition): files hold
    # directions in 32 bits, and ITK refuses what is a little off.
    straight = (left @ right)[:n, :n]
    return replace(grid, direction=tuple(float(v) for v in straight.ravel())), ()


def _differing(header: Any) -> tuple[str, ...]:
    """Say which of two places counts, where a file gives two or none."""
    from nibabel.spatialimages import HeaderDataError

    codes = int(header["sform_code"]), int(header["qform_code"])
    if codes == (0, 0):
        return ("The file does not say where it lies: only its spacing is known.",)
    if min(codes) <= 0:
        return ()
    try:
        off = float(np.abs(header.get_sform() - header.get_qform()).max())
    except HeaderDataError:
        return ("The qform of the file is damaged: its sform counts.",)
    if off < 1e-2 * float(np.abs(header.get_zooms()[:3]).min()):
        return ()
    return (f"sform and qform of the file differ by {off:.2g}: the sform counts.",)


# -- out --------------------------------------------------------------------


def write_nifti(
    path: Path,
    labels: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
) -> None:
    """Write a mask; names have no place in it.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    labels : numpy.ndarray of int, shape ([T,] [Z,] Y, X)
    header : Header, optional
        Of the scan. Where that is a NIfTI file which is still there, the mask
        has its sform, qform and units.
    names : tuple of str
        Of the classes.
    provenance : Provenance
        A comment among the header's extensions.
    """
    spatial = labels.shape[1:] if _timed(header) else labels.shape
    grid = mask_grid(spatial, header)
    times = labels.shape[:1] if _timed(header) else ()
    _write(path, labels.reshape(*times, *grid.array_shape).T, grid, header, provenance)


def write_nifti_maps(
    path: Path,
    maps: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
) -> None:
    """Write probabilities, shape (K, ...), along the fifth axis; as the masks.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    maps : numpy.ndarray of float32, shape (K, [T,] [Z,] Y, X)
        Of `K` classes.
    header : Header, optional
        See :func:`write_nifti`.
    names : tuple of str
        Have no place in it.
    provenance : Provenance
        See :func:`write_nifti`.
    """
    spatial = maps.shape[2:] if _timed(header) else maps.shape[1:]
    grid = mask_grid(spatial, header)
    times = maps.shape[1] if _timed(header) else 1
    volume = (1,) * (3 - grid.ndim) + grid.array_shape
    _write(
        path,
        maps.reshape(len(maps), times, *volume).T,
        grid,
        header,
        provenance,
        vectors=True,
    )


def _timed(header: Header | None) -> bool:
    return header is not None and "T" in header.axes


def _write(
    path: Path,
    data: NDArray[Any],
    grid: Geometry,
    header: Header | None,
    provenance: Provenance,
    vectors: bool = False,
) -> None:
    import nibabel as nib

    source = _source_header(header, data.shape)
    large = max(data.shape) > LONGEST or isinstance(source, nib.Nifti2Header)
    kind: Any = nib.Nifti2Image if large else nib.Nifti1Image
    if source is not None:
        image = kind(data, source.get_best_affine(), source, dtype=data.dtype)
    else:
        matrix = np.eye(4)
        n = grid.ndim
        straight = np.reshape(grid.direction, (n, n)) * grid.spacing
        matrix[:n, :n], matrix[:n, 3] = straight, grid.origin
        matrix[:3] = FLIP @ matrix[:3]
        image = kind(data, matrix, dtype=data.dtype)
        # Both, as some programs heed the one and some the other; 1 is the scanner's
        # frame.
        image.set_sform(matrix, 1)
        image.set_qform(matrix, 1)
        image.header.set_xyzt_units("mm", "sec")
        if data.ndim > 3 and header is not None and _timed(header):
            step = header.spacing[header.axes.replace("C", "").index("T")] or 1.0
            zooms = image.header.get_zooms()
            image.header.set_zooms((*zooms[:3], step, *zooms[4:]))
    # Without the intent the fifth axis is not read as components.
    image.header.set_intent("vector" if vectors else "none")
    # The scan's header may rescale, and labels must not be.
    image.header.set_slope_inter(1, 0)
    _comment(image.header, provenance)
    nib.save(image, path)


def _comment(header: Any, provenance: Provenance) -> None:
    """Put what a mask was made with in place of what its scan says of itself."""
    from nibabel.nifti1 import Nifti1Extension

    # A scan may be a mask of this program; what scanners and others say stays.
    ours = f'{{"{PROGRAM}"'.encode()
    header.extensions[:] = [
        one
        for one in header.extensions
        if not (one.get_code() == COMMENT and one.get_content().startswith(ours))
    ]
    header.extensions.append(Nifti1Extension(COMMENT, provenance.to_json().encode()))


def _source_header(header: Header | None, shape: tuple[int, ...]) -> Any:
    """Header of the scan's file, if it is NIfTI, there, and of this shape."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    if header is None or header.format != "NIfTI" or header.path is None:
        return None
    try:
        found: Any = nib.load(header.path)
    except (OSError, ImageFileError, ValueError, EOFError) as error:
        _log.warning("the header of %s is not read", header.path, exc_info=error)
        return None
    return found.header if found.shape[:3] == shape[:3] else None
