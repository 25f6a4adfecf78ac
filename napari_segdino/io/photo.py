"""PNG, JPEG and BMP through Pillow, and NPY through numpy."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError, ScanError
from napari_segdino.images.planes import check_axes, guess_axes
from napari_segdino.io.scan import PIXEL, Scan

_log = logging.getLogger(__name__)

PLAIN_MODES = ("1", "L", "I", "F", "RGB", "RGBA", "I;16", "I;16B", "I;16L")
"""Modes of Pillow whose pixels are taken as they are."""


def load_pixels(path: Path, keep_palette: bool = False) -> NDArray[Any]:
    """Decode a photo, turned as its EXIF orientation says.

    Parameters
    ----------
    path : pathlib.Path
        PNG, JPEG or BMP.
    keep_palette : bool
        Give a palette image's numbers (masks) and not its colours.

    Returns
    -------
    numpy.ndarray, shape (Y, X) or (Y, X, 3 or 4)

    Raises
    ------
    ScanError
        If it is damaged, or too large for Pillow's guard.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path) as photo:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            upright = ImageOps.exif_transpose(photo)
            if upright.mode == "P" and keep_palette:
                return np.array(upright)
            if upright.mode not in PLAIN_MODES:
                clear = upright.has_transparency_data
                upright = upright.convert("RGBA" if clear else "RGB")
            return np.array(upright)
    except Image.DecompressionBombError as error:
        raise ScanError(
            f"{path.name} is too large for a photo format: save it as TIFF."
        ) from error
    except (UnidentifiedImageError, SyntaxError, ValueError, EOFError) as error:
        _log.error("reading %s failed", path, exc_info=error)
        raise ScanError(
            f"{path.name} cannot be read: it is damaged or not a picture."
        ) from error


def read_photo(path: Path) -> Scan:
    """Read a photo.

    Parameters
    ----------
    path : pathlib.Path
        PNG, JPEG or BMP.

    Returns
    -------
    Scan
        ``"YX"`` or colour ``"YXC"``; spacing in pixels.

    Raises
    ------
    ScanError
        See :func:`load_pixels`.
    """
    data = load_pixels(path)
    return Scan(
        data=data,
        shape=data.shape,
        axes="YXC" if data.ndim == 3 else "YX",
        spacing=(1.0, 1.0),
        units=(PIXEL, PIXEL),
        colour=data.ndim == 3,
        path=path,
        files=(str(path),),
        format=path.suffix.lstrip(".").upper().replace("JPG", "JPEG"),
        name=path.stem,
    )


def read_npy(path: Path, axes: str | None = None, lazy: bool = False) -> Scan:
    """Read an array saved by numpy.

    Parameters
    ----------
    path : pathlib.Path
        An NPY file without objects in it.
    axes : str, optional
        One letter an axis; guessed from the shape if not given.
    lazy : bool
        Map the file instead of loading it.

    Raises
    ------
    ScanError
        If it is damaged, holds no numbers, or its shape can be read two ways.
    """
    try:
        data = np.load(path, mmap_mode="r" if lazy else None, allow_pickle=False)
        axes = check_axes(axes, data.ndim) if axes else guess_axes(data.shape)
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
