"""PNG, JPEG and BMP, in and out, through Pillow."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.io.scan import PIXEL, Header, ReadOptions, Scan

_log = logging.getLogger(__name__)

PLAIN_MODES = ("1", "L", "I", "F", "RGB", "RGBA", "I;16", "I;16B", "I;16L")
"""Modes of Pillow whose pixels are taken as they are."""


def _pixels(path: Path, keep_palette: bool) -> NDArray[Any]:
    """Decode a photo, turned as its EXIF orientation says."""
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


def read_photo(path: Path, options: ReadOptions) -> Scan:
    """Read a photo.

    Parameters
    ----------
    path : pathlib.Path
        PNG, JPEG or BMP.
    options : ReadOptions
        `as_mask` gives a palette image's numbers.

    Returns
    -------
    Scan
        ``"YX"`` or colour ``"YXC"``; spacing in pixels.

    Raises
    ------
    ScanError
        If it is damaged, or too large for Pillow's guard.
    """
    data = _pixels(path, options.as_mask)
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


def write_png(
    path: Path, labels: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write the labels of one plane; spacing and names have no place in it.

    Raises
    ------
    ScanError
        If there are several planes, or labels above 65535.
    """
    from PIL import Image

    if labels.ndim != 2 or labels.dtype == np.uint32:
        raise ScanError(
            f"{path.name} cannot be written: PNG holds one plane with labels up "
            "to 65535, choose .tif or .nii.gz."
        )
    Image.fromarray(labels).save(path, format="PNG")
