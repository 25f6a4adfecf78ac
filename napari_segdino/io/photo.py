"""PNG, JPEG and BMP, in and out, through Pillow."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.io.provenance import Provenance
from napari_segdino.io.scan import PIXEL, Header, ReadOptions, Scan

_log = logging.getLogger(__name__)

ORIENTATION = 0x0112
"""The tag of TIFF and EXIF that says how an image was held."""

DAMAGED = (ValueError, EOFError, RuntimeError)
"""What Pillow and imagecodecs raise on what they cannot decode."""

PLAIN_MODES = ("1", "L", "I", "F", "RGB", "RGBA", "I;16", "I;16B", "I;16L")
"""Modes of Pillow whose pixels are taken as they are."""


def turned_upright(data: Any, orientation: int, axis: int = 0) -> Any:
    """Turn and mirror an image as an orientation tag of TIFF or EXIF says.

    Parameters
    ----------
    data : numpy or dask array
        Rows on `axis`, columns on the next.
    orientation : int
        1 to 8; 1, and what is none of these, changes nothing.
    axis : int
        The rows.

    Returns
    -------
    numpy or dask array
    """
    # TIFF 6.0, Orientation: from 5 on rows and columns are exchanged, before any flip.
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
    if 5 <= orientation <= 8:
        data = data.swapaxes(axis, axis + 1)
    for one in flips.get(orientation, ()):
        data = data[(slice(None),) * (axis + one) + (slice(None, None, -1),)]
    return data


def looked_up(data: Any, table: NDArray[Any]) -> Any:
    """Replace the numbers of a palette image by its colours.

    Parameters
    ----------
    data : numpy or dask array of int
        Numbers.
    table : numpy.ndarray, shape (N, 3) or (N,)
        Colours, or greys.

    Returns
    -------
    numpy or dask array
        Colours on a new last axis.
    """
    if isinstance(data, np.ndarray):
        return table[data]
    more: dict[str, Any] = {"dtype": table.dtype}
    if table.ndim > 1:
        more |= {"chunks": (*data.chunks, table.shape[1:]), "new_axis": data.ndim}
    return data.map_blocks(table.__getitem__, **more)


def _deep_png(path: Path, photo: Any) -> NDArray[Any] | None:
    """Decode colours of 16 bits, which Pillow cuts to 8; None for all else."""
    with open(path, "rb") as file:
        # Bits a channel and colour type, in the header chunk that every PNG begins
        # with.
        depth, kind = file.read(26)[24:]
    if depth != 16 or kind not in (2, 4, 6):
        return None
    import imagecodecs

    data: NDArray[Any] = imagecodecs.png_decode(path.read_bytes())
    if data.shape[-1] == 2:  # grey and alpha
        data = data[..., [0, 0, 0, 1]]
    upright: NDArray[Any] = turned_upright(data, photo.getexif().get(ORIENTATION, 1))
    return upright


def _pixels(path: Path, keep_palette: bool) -> NDArray[Any]:
    """Decode a photo, turned as its EXIF orientation says."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path) as photo:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if photo.format == "PNG" and (deep := _deep_png(path, photo)) is not None:
                return deep
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
    except (UnidentifiedImageError, SyntaxError, *DAMAGED) as error:
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
    path: Path,
    labels: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
) -> None:
    """Write the labels of one plane; spacing and names have no place in it.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    labels : numpy.ndarray of uint8 or uint16, shape (Y, X)
    header : Header, optional
        Of the scan; not used.
    names : tuple of str
        Of the classes; not used.
    provenance : Provenance
        Texts of the file: ``Software``, and all of it as ``Comment``.

    Raises
    ------
    ScanError
        If there are several planes, or labels above 65535.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if labels.ndim != 2 or labels.dtype == np.uint32:
        raise ScanError(
            f"{path.name} cannot be written: PNG holds one plane with labels up "
            "to 65535, choose .tif or .nii.gz."
        )
    texts = PngInfo()
    texts.add_text("Software", provenance.program)
    texts.add_text("Comment", provenance.to_json())
    Image.fromarray(labels).save(path, format="PNG", pnginfo=texts)
