"""TIFF, ImageJ TIFF, OME-TIFF and BigTIFF in, through tifffile.

Masks are written by ``tiff_masks``.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.files import split_suffix
from napari_segdino.io.itk import check_inside
from napari_segdino.io.photo import ORIENTATION, looked_up, turned_upright
from napari_segdino.io.scan import PIXEL, ReadOptions, Scan
from napari_segdino.io.tiff_units import names_and_steps

_log = logging.getLogger(__name__)

INKS = (5, 8, 9, 10)
"""CMYK and the kinds of L*a*b*, among photometric interpretations."""

LACKING = "Parts of the image are missing from its files: they are shown as zeros."

SUFFIXES = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf", ".tf8")


def napari_axes(axes: str) -> str:
    """Name tifffile's axes in our letters.

    ``S`` (samples of a pixel) becomes ``C``; pages that the file does not name
    become ``Z``, or ``T`` when there is a Z already.

    Parameters
    ----------
    axes : str
        Of tifffile, such as ``"QYX"``.

    Returns
    -------
    str
        As long as `axes`.

    Raises
    ------
    ScanError
        If there are more axes than the letters T, Z, C, Y, X name.
    """
    letters: list[str] = []
    for axis in axes:
        wanted = {"S": "C", "T": "T", "Z": "Z", "C": "C", "Y": "Y", "X": "X"}
        letter = wanted.get(axis, "")
        if not letter:
            free = [c for c in "ZT" if c not in axes and c not in letters]
            letter = free[0] if free else "?"
        letters.append(letter)
    named = "".join(letters)
    if "?" in named or len(set(named)) != len(named) or not {"Y", "X"} <= set(named):
        raise ScanError(f"has axes {axes}, which cannot be named T, Z, C, Y, X")
    return named


def _ordered(axes: str, colour: bool) -> str:
    """Give the order we keep: channels, time, depth, rows, columns; colour last."""
    order = "".join(axis for axis in "CTZYX" if axis in axes)
    return order.replace("C", "") + "C" if colour and "C" in order else order


def _transposed(data: Any, axes: str, order: str) -> Any:
    if axes == order:
        return data
    return data.transpose([axes.index(axis) for axis in order])


def _palette(tif: Any, series: Any) -> NDArray[Any] | None:
    """Colours (N, 3) or greys (N,) of a palette, uint8; None without one.

    ImageJ's is how it shows grey values, and not what they mean.
    """
    colours = series.keyframe.colormap
    if colours is None or series.keyframe.photometric != 3 or tif.is_imagej:
        return None
    # TIFF has 16 bits a colour.
    table: NDArray[Any] = (np.asarray(colours) >> 8).astype(np.uint8).T
    return table[:, 0] if (table == table[:, :1]).all() else table


def _arrays(series: Any, lazy: bool) -> list[Any]:
    """Full resolution first, then the coarser levels of a pyramid."""
    if not lazy:
        return [series.asarray()]
    import dask.array as da
    import zarr

    arrays = []
    for level in range(len(series.levels)):
        store = zarr.open_array(series.aszarr(level=level), mode="r")
        arrays.append(da.from_zarr(store))
    return arrays


@contextmanager
def _told() -> Iterator[list[str]]:
    """Collect what tifffile logs, in place of the terminal."""
    messages: list[str] = []

    def collect(record: logging.LogRecord) -> bool:
        messages.append(record.getMessage())
        _log.debug("tifffile: %s", messages[-1])
        return False

    log = logging.getLogger("tifffile")
    log.addFilter(collect)
    try:
        yield messages
    finally:
        log.removeFilter(collect)


def _opened(path: Path) -> Any:
    """Open a file; pages of one size that were added one by one are one image."""
    import tifffile

    tif = tifffile.TiffFile(path)
    for name in re.findall(r'FileName="([^"]*)"', tif.ome_metadata or ""):
        check_inside(path, html.unescape(name))
    kinds = {(s.kind, s.shape, s.dtype, len(s.pages)) for s in tif.series}
    if len(tif.series) < 2 or len(kinds) > 1 or tif.series[0].kind != "shaped":
        return tif
    if len(tif.series[0].pages) > 1:
        return tif
    tif.close()
    return tifffile.TiffFile(path, is_shaped=False)


def _check_compression(page: Any) -> None:
    """See that tifffile knows how to decompress a page."""
    import tifffile

    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except KeyError as error:
        name = getattr(page.compression, "name", page.compression)
        raise ScanError(
            f"cannot be read: its compression ({name}) is not supported, save it "
            "with another"
        ) from error


def read_tiff(path: Path, options: ReadOptions) -> Scan:
    """Read a TIFF of any kind.

    Parameters
    ----------
    path : pathlib.Path
        TIFF, ImageJ TIFF, OME-TIFF, BigTIFF.
    options : ReadOptions
        `series` is the number of one of several images, the first if not given;
        `lazy` gives dask arrays over the open file, with the pyramid's coarser
        levels where there are some.

    Returns
    -------
    Scan
        Spacing and units as the file gives them.

    Raises
    ------
    ScanError
        If it is damaged, or its axes are not those of an image.
    """
    try:
        with _told() as messages:
            tif = _opened(path)
            try:
                scan = _read_open(tif, path, options)
            finally:
                # Lazy arrays go on reading from the open file.
                if not options.lazy:
                    tif.close()
        if any("zeroed" in one for one in messages):
            return replace(scan, warnings=(*scan.warnings, LACKING))
        return scan
    except ScanError as error:
        text = str(error)
        raise ScanError(
            text if text.endswith(".") else f"{path.name} {text}."
        ) from error
    except OSError:
        raise
    except Exception as error:  # tifffile raises many kinds on damaged files
        _log.error("reading %s failed", path, exc_info=error)
        raise ScanError(
            f"{path.name} cannot be read: it is damaged or not a TIFF file."
        ) from error


@lru_cache(maxsize=64)
def tiff_axes(path: str, shape: tuple[int, ...]) -> str:
    """Name the axes of the image of a TIFF that has this shape.

    Parameters
    ----------
    path : str
        A file of any kind.
    shape : tuple of int
        Of the image that is meant.

    Returns
    -------
    str
        In our letters; empty where there is none, or it is no TIFF.
    """
    if split_suffix(path)[1] not in SUFFIXES:
        return ""
    try:
        with _told(), _opened(Path(path)) as tif:
            found = [s.axes for s in tif.series if tuple(s.shape) == shape]
        return napari_axes(found[0]) if found else ""
    except Exception:  # noqa: BLE001 - tifffile raises many kinds on damaged files
        _log.warning("the axes of %s are not known", path, exc_info=True)
        return ""


def _number(chosen: str | int | None, count: int) -> int:
    """Which of `count` images is meant."""
    index = str(chosen or 0)
    if not index.isdecimal() or int(index) >= count:
        raise ScanError(f"holds {count} images, there is no number {index}")
    return int(index)


def _titles(tif: Any) -> dict[str, str]:
    """Titles of the images of a file that holds several, by their numbers."""
    if len(tif.series) < 2:
        return {}
    shapes = (" x ".join(map(str, one.shape)) for one in tif.series)
    return {str(i): f"image ({shape})" for i, shape in enumerate(shapes)}


def _read_open(tif: Any, path: Path, options: ReadOptions) -> Scan:
    if not tif.series:
        raise ScanError("holds no image that is whole")
    index = _number(options.series, len(tif.series))
    series, titles = tif.series[index], _titles(tif)
    _check_compression(series.keyframe)
    stored, arrays = series.axes, _arrays(series, options.lazy)
    table = None if options.as_mask else _palette(tif, series)
    if table is not None:
        arrays = [looked_up(array, table) for array in arrays]
        stored += "S" * (table.ndim - 1)
    axes = napari_axes(stored)
    # Inks and the like are channels: as red, green and blue they would be wrong.
    inks = series.keyframe.photometric in INKS
    colour = "S" in stored and arrays[0].shape[stored.index("S")] in (3, 4) and not inks
    order = _ordered(axes, colour)
    arrays = [_transposed(array, axes, order) for array in arrays]
    names, steps = names_and_steps(tif, index)
    tag = series.keyframe.tags.get(ORIENTATION)
    orientation = int(tag.value) if tag is not None else 1
    arrays = [turned_upright(array, orientation, order.index("Y")) for array in arrays]
    # Rows and columns were exchanged, and their distances with them.
    if orientation >= 5 and steps:
        steps = {**steps, "X": steps["Y"], "Y": steps["X"]}
    spatial = order.replace("C", "")
    note = f"{len(titles)} images are here; number {index} was taken."
    return Scan(
        data=arrays[0],
        pyramid=tuple(arrays[1:]),
        shape=tuple(int(n) for n in arrays[0].shape),
        axes=order,
        spacing=tuple(steps.get(axis, (1.0, PIXEL))[0] for axis in spatial),
        units=tuple(steps.get(axis, (1.0, PIXEL))[1] for axis in spatial),
        channel_names=() if colour else names,
        colour=colour,
        path=path,
        files=(str(path),),
        series=str(index) if titles else "",
        all_series=titles,
        format="OME-TIFF" if tif.is_ome else "TIFF",
        name=split_suffix(path)[0] + (f" {index}" if index else ""),
        warnings=(note,) if titles and options.series is None else (),
    )
