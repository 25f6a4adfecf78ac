"""NPY, in and out, through numpy."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError, ScanError
from napari_segdino.images.planes import check_axes, infer_axes
from napari_segdino.io.provenance import Provenance
from napari_segdino.io.scan import PIXEL, Header, ReadOptions, Scan

_log = logging.getLogger(__name__)


def read_npy(path: Path, options: ReadOptions) -> Scan:
    """Read an array saved by numpy.

    Parameters
    ----------
    path : pathlib.Path
        An NPY file without objects in it.
    options : ReadOptions
        `axes` has one letter an axis, inferred from the shape if not given; `lazy`
        maps the file instead of loading it.

    Returns
    -------
    Scan

    Raises
    ------
    ScanError
        If it is damaged, holds no numbers, or its shape can be read two ways.
    """
    try:
        mode: Any = "r" if options.lazy else None
        data = np.load(path, mmap_mode=mode, allow_pickle=False)
        axes = options.axes or infer_axes(data.shape)
        axes = check_axes(axes, data.ndim)
    except InputError as error:
        raise ScanError(f"{path.name}: {error}") from error
    except (ValueError, EOFError) as error:
        _log.error("reading %s failed", path, exc_info=error)
        raise ScanError(
            f"{path.name} cannot be read: it is damaged or not a NPY file of numbers."
        ) from error
    spatial = len(axes.replace("C", ""))
    colour = axes == "YXC" and data.shape[-1] in (3, 4) and data.dtype == np.uint8
    return Scan(
        data=data,
        shape=data.shape,
        axes=axes,
        spacing=(1.0,) * spatial,
        units=(PIXEL,) * spatial,
        colour=colour,
        path=path,
        files=(str(path),),
        format="NPY",
        name=path.stem,
    ).channels_first()


def write_npy(
    path: Path,
    array: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
) -> None:
    """Write an array as it is; nothing else has a place in it.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    array : numpy.ndarray
        A mask, or probabilities.
    header : Header, optional
        Of the scan; not used.
    names : tuple of str
        Of the classes; not used.
    provenance : Provenance
        Not used.
    """
    # An open file, since np.save adds a suffix to names.
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)
