"""Open a scan, whatever its format."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError, close_name
from napari_segdino.files import reason, split_suffix
from napari_segdino.io.formats import READ_SUFFIXES, read_format
from napari_segdino.io.scan import ReadOptions, Scan
from napari_segdino.progress import Progress, Steps, drive

_log = logging.getLogger(__name__)


def can_read(path: Path | str) -> bool:
    """Whether :func:`read_scan` reads this kind of file or folder.

    Parameters
    ----------
    path : path
        A file or folder; only names and a few first bytes are looked at.

    Returns
    -------
    bool
        False as well when there is nothing or looking is not allowed; this
        function raises nothing.
    """
    try:
        # macOS writes such a shadow beside each file on disks of other systems.
        if os.path.basename(path).startswith("._"):
            return False
        return os.path.exists(path) and read_format(path) is not None
    except (OSError, TypeError, ValueError) as error:
        _log.debug("looking at %r failed", path, exc_info=error)
        return False


def read_scan(
    path: Path | str,
    *,
    series: str | int | None = None,
    lazy: bool = False,
    channels_last: bool = False,
    axes: str | None = None,
) -> Scan:
    """Open a scan.

    Parameters
    ----------
    path : path
        A file or folder of one of :data:`~napari_segdino.io.formats.FORMATS`.
    series : str or int, optional
        Which series of a DICOM folder (its UID, its description or its number in
        :func:`~napari_segdino.io.list_series`), or which image of a TIFF or
        OME-Zarr, counted from 0. Without it the largest series, or the first
        image.
    lazy : bool
        Give dask arrays or memory maps that read pixels when they are needed,
        where the format can: TIFF, NPY; OME-Zarr is always read so.
    channels_last : bool
        Put channels that are not colour last as well.
    axes : str, optional
        Names of the axes of a NPY file, such as ``"ZYX"``.

    Returns
    -------
    Scan

    Raises
    ------
    ScanError
        If there is no such file or series, it is damaged, or of no known kind.
    """
    steps = iter_read_scan(
        path, series=series, lazy=lazy, channels_last=channels_last, axes=axes
    )
    return drive(steps)


def iter_read_scan(
    path: Path | str,
    *,
    series: str | int | None = None,
    lazy: bool = False,
    channels_last: bool = False,
    axes: str | None = None,
) -> Steps[Scan]:
    """Yield :class:`Progress` while doing what :func:`read_scan` does.

    Parameters
    ----------
    path : path
        As for :func:`read_scan`, and so on.
    series : str or int, optional
    lazy, channels_last : bool
    axes : str, optional
    """
    options = ReadOptions(series=series, lazy=lazy, axes=axes)
    scan = yield from _iter_read(Path(path), options)
    return scan.channels_last() if channels_last else scan


def _iter_read(path: Path, options: ReadOptions) -> Steps[Scan]:
    """Read a file; what libraries raise becomes one sentence."""
    yield Progress(0, 0, f"Reading {path.name}")
    try:
        scan = yield from _iter_read_format(path, options)
    except OSError as error:
        _log.error("reading %s failed", path, exc_info=error)
        # Without a number it is a library's word for a damaged file, not the system's.
        if path.exists() and error.errno is None:
            raise ScanError(f"{path.name} cannot be read: it is damaged.") from error
        raise ScanError(f"{path.name} cannot be read: {reason(error)}.") from error
    except MemoryError as error:
        raise ScanError(f"{path.name} does not fit into memory.") from error
    if 0 in scan.shape:
        raise ScanError(f"{path.name} holds no pixels.")
    kind = np.dtype(scan.data.dtype)
    if kind.kind not in "biuf":
        what = "complex numbers" if kind.kind == "c" else f"numbers of type {kind}"
        raise ScanError(f"{path.name} cannot be read: {what} are not supported.")
    return scan


def _iter_read_format(path: Path, options: ReadOptions) -> Steps[Scan]:
    if not path.exists():
        raise ScanError(f"{path.name} cannot be read: there is no such file.")
    if not path.is_file() and not path.is_dir():
        raise ScanError(f"{path.name} cannot be read: it is a device, not a file.")
    kind = read_format(path)
    if kind is None or kind.read is None:
        if path.is_dir():
            raise ScanError(f"{path.name} cannot be read: no scan was found in it.")
        raise ScanError(
            f"{path.name} cannot be read: its format is not known"
            f"{close_name(split_suffix(path)[1], READ_SUFFIXES)}, only "
            f"{', '.join(READ_SUFFIXES)} are."
        )
    if options.series is not None and not kind.several:
        raise ScanError(f"{path.name} holds a single image: there is no series in it.")
    found = kind.read(path, options)
    return (yield from found) if isinstance(found, Generator) else found


def read_mask(path: Path | str) -> NDArray[Any]:
    """Read a mask as whole numbers.

    A palette image gives its numbers, not its colours. A picture that holds
    only 0 and 255 (or any one other value above 1 in 8 bits with a full
    range) is a yes-or-no mask and gives 0 and 1; so does a JPEG, cut at half
    of its range, as its compression blurs the values.

    Parameters
    ----------
    path : path
        Any file that :func:`read_scan` reads.

    Returns
    -------
    numpy.ndarray, shape (Y, X), (Z, Y, X) ...
        uint8, uint16 or a wider integer type.

    Raises
    ------
    ScanError
        If it cannot be read, or holds colours, channels or fractions.
    """
    path = Path(path)
    scan = drive(_iter_read(path, ReadOptions(as_mask=True)))
    data = np.asarray(scan.data)
    if scan.colour:
        data = _grey(data, path)
    elif "C" in scan.axes and data.shape[scan.axes.index("C")] == 1:
        data = data.squeeze(scan.axes.index("C"))
    elif "C" in scan.axes:
        raise ScanError(f"{path.name} holds channels, so it is not a mask.")
    if scan.format == "JPEG":
        return (data > 127).astype(np.uint8)
    if data.dtype == np.uint8 and set(np.unique(data)) <= {0, 255}:
        return (data > 0).astype(np.uint8)
    return _whole(data, path)


def _grey(data: NDArray[Any], path: Path) -> NDArray[Any]:
    """Take one channel of a colour picture whose channels are equal."""
    if not (data[..., :3] == data[..., :1]).all():
        raise ScanError(f"{path.name} holds colours, so it is not a mask.")
    return data[..., 0]


def _whole(data: NDArray[Any], path: Path) -> NDArray[Any]:
    if data.dtype == bool:
        return data.astype(np.uint8)
    if data.dtype.kind in "ui":
        if data.size and data.min() < 0:
            raise ScanError(f"{path.name} holds negative values, so it is not a mask.")
        return data
    # NaN is no label: as -1 it is refused below.
    whole = np.nan_to_num(data, nan=-1).astype(np.int64)
    if data.dtype.kind != "f" or not (whole == data).all() or whole.min() < 0:
        raise ScanError(f"{path.name} holds fractions, so it is not a mask.")
    labels: NDArray[Any] = whole.astype(np.min_scalar_type(int(whole.max())))
    return labels
