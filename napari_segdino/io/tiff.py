"""TIFF, ImageJ TIFF, OME-TIFF and BigTIFF, in and out, through tifffile."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.files import split_suffix
from napari_segdino.io.photo import ORIENTATION, looked_up, turned_upright
from napari_segdino.io.scan import PIXEL, Header, ReadOptions, Scan

_log = logging.getLogger(__name__)

SUFFIXES = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf", ".tf8")

UNITS = {
    "µm": "um",
    "μm": "um",
    "\\u00b5m": "um",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "pixels": PIXEL,
    "": PIXEL,
    "sec": "s",
}
"""Spellings met in files, and the one used here."""

KNOWN_UNITS = {"nm", "um", "mm", "cm", "m", "inch", "s", "ms", "min", "Å", PIXEL}

Steps = dict[str, tuple[float, str]]
"""Spacing and unit by axis letter."""


def plain_unit(unit: str) -> str:
    """Spell a unit as pint and napari do; ``"pixel"`` if it is not known."""
    small = UNITS.get(unit.strip().lower(), unit.strip())
    return small if small in KNOWN_UNITS else PIXEL


def _ome_image(tif: Any, index: int) -> dict[str, Any]:
    """OME's description of one image, as dictionaries."""
    import tifffile

    images = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
    images = images if isinstance(images, list) else [images]
    found: dict[str, Any] = images[index]
    return found


def _ome_steps(pixels: dict[str, Any]) -> Steps:
    steps: Steps = {}
    for axis in "ZYX":
        size = pixels.get(f"PhysicalSize{axis}")
        if size:
            unit = plain_unit(str(pixels.get(f"PhysicalSize{axis}Unit", "um")))
            steps[axis] = (float(size), unit)
    if pixels.get("TimeIncrement"):
        unit = plain_unit(str(pixels.get("TimeIncrementUnit", "s")))
        steps["T"] = (float(pixels["TimeIncrement"]), unit)
    return steps


def _ome_channels(pixels: dict[str, Any]) -> tuple[str, ...]:
    channels = pixels.get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    names = tuple(str(channel.get("Name", "")) for channel in channels)
    return names if all(names) else ()


def _page_steps(page: Any, unit: str) -> Steps:
    """Spacing in the plane from the resolution tags.

    ImageJ's unit counts where there is one; without it only centimetres are
    believed, as inches mostly are a printer's default of 72 dots.
    """
    x, y = page.resolution
    if not (x > 0 and y > 0):
        return {}
    if unit != PIXEL:
        return {"X": (1 / x, unit), "Y": (1 / y, unit)}
    if int(page.resolutionunit) == 3:
        return {"X": (1e4 / x, "um"), "Y": (1e4 / y, "um")}
    return {}


def _imagej_steps(tif: Any, page: Any) -> Steps:
    about = tif.imagej_metadata or {}
    unit = plain_unit(str(about.get("unit", "")))
    steps = _page_steps(page, unit)
    if "spacing" in about and steps:
        steps["Z"] = (abs(float(about["spacing"])) or 1.0, unit)
    if about.get("finterval"):
        steps["T"] = (float(about["finterval"]), plain_unit(about.get("tunit", "s")))
    return steps


def _names_and_steps(tif: Any, index: int) -> tuple[tuple[str, ...], Steps]:
    if tif.is_ome:
        pixels = _ome_image(tif, index)["Pixels"]
        return _ome_channels(pixels), _ome_steps(pixels)
    return (), _imagej_steps(tif, tif.series[index].pages[0])


def napari_axes(axes: str) -> str:
    """Name tifffile's axes in our letters.

    ``S`` (samples of a pixel) becomes ``C``; pages that the file does not name
    become ``Z``, or ``T`` when there is a Z already.

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
    import tifffile

    try:
        tif = tifffile.TiffFile(path)
        try:
            return _read_open(tif, path, options)
        finally:
            if not options.lazy:
                tif.close()
    except ScanError as error:
        raise ScanError(f"{path.name} {error}.") from error
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

    Returns
    -------
    str
        In our letters; empty where there is none, or it is no TIFF.
    """
    import tifffile

    if split_suffix(path)[1] not in SUFFIXES:
        return ""
    try:
        with tifffile.TiffFile(path) as tif:
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
    stored, arrays = series.axes, _arrays(series, options.lazy)
    table = None if options.as_mask else _palette(tif, series)
    if table is not None:
        arrays = [looked_up(array, table) for array in arrays]
        stored += "S" * (table.ndim - 1)
    axes = napari_axes(stored)
    colour = "S" in stored and arrays[0].shape[stored.index("S")] in (3, 4)
    order = _ordered(axes, colour)
    arrays = [_transposed(array, axes, order) for array in arrays]
    names, steps = _names_and_steps(tif, index)
    tag = series.keyframe.tags.get(ORIENTATION)
    orientation = int(tag.value) if tag is not None else 1
    arrays = [turned_upright(array, orientation, order.index("Y")) for array in arrays]
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


# -- out --------------------------------------------------------------------


def _ome_metadata(header: Header | None, axes: str) -> dict[str, Any]:
    """OME's metadata of a mask: axes, spacing and units."""
    about: dict[str, Any] = {"axes": axes}
    if header is None:
        return about
    triples = zip(header.spatial_axes, header.spacing, header.units, strict=True)
    for axis, step, unit in triples:
        if unit == PIXEL:
            continue
        key = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        about[key] = step
        about[f"{key}Unit"] = {"um": "µm", "inch": "in"}.get(unit, unit)
    return about


def _imagej_options(header: Header | None, axes: str) -> dict[str, Any]:
    about: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"imagej": True, "metadata": about}
    if header is None:
        return options
    axes_of = header.spatial_axes
    steps = dict(zip(axes_of, header.spacing, strict=True))
    unit = dict(zip(axes_of, header.units, strict=True))["X"]
    if unit != PIXEL:
        options["resolution"] = (1 / steps["X"], 1 / steps["Y"])
        about["unit"] = unit
        if "Z" in steps:
            about["spacing"] = steps["Z"]
        if "T" in steps:
            about["finterval"] = steps["T"]
    return options


def write_tiff(
    path: Path, labels: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write OME-TIFF, or ImageJ's TIFF when ImageJ knows the number type.

    Parameters
    ----------
    path : pathlib.Path
        ``.ome.tif`` makes OME-TIFF.
    labels : numpy.ndarray
    header : Header, optional
        For spacing and units.
    names : tuple of str
        Of the classes; OME only.
    """
    import tifffile

    axes = header.spatial_axes if header is not None else "TZYX"[-labels.ndim :]
    ome = ".ome." in split_suffix(path)[1]
    small = labels.dtype != np.uint32 and labels.nbytes < 2**31
    if ome or not small:
        about = _ome_metadata(header, axes)
        if names:
            about["Description"] = "; ".join(f"{i} {n}" for i, n in enumerate(names, 1))
        options: dict[str, Any] = {"metadata": about, "ome": True}
    else:
        options = _imagej_options(header, axes)
    big = labels.nbytes > 2**31
    options.update({} if options.get("imagej") else {"bigtiff": big})
    options["photometric"] = "minisblack"  # or 3 columns would be taken for colours
    tifffile.imwrite(path, labels, compression="zlib", **options)


def write_tiff_maps(
    path: Path, maps: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write one channel a class as OME-TIFF.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    maps : numpy.ndarray, shape (K, *spatial)
    header : Header, optional
        For spacing and units.
    names : tuple of str
        Of the channels; left out unless there are K.
    """
    import tifffile

    axes = header.spatial_axes if header is not None else "TZYX"[1 - maps.ndim :]
    about = _ome_metadata(header, "C" + axes)
    if len(names) == len(maps):
        about["Channel"] = {"Name": list(names)}
    tifffile.imwrite(
        path,
        maps,
        ome=True,
        bigtiff=maps.nbytes > 2**31,
        compression="zlib",
        photometric="minisblack",
        metadata=about,
    )
