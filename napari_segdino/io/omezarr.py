"""OME-Zarr 0.4 and 0.5, read lazily through zarr and dask.

The ``ome-zarr`` package would do as well, but brings cloud clients with it
and, as of 0.18, holds pydantic back.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_segdino.errors import InputError, ScanError
from napari_segdino.files import split_suffix
from napari_segdino.images.planes import check_axes, guess_axes
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.scan import PIXEL, SHORT_UNITS, Scan

_log = logging.getLogger(__name__)


def read_zarr(path: Path, series: str | int | None = None) -> Scan:
    """Open an OME-Zarr image, or a plain zarr array.

    Parameters
    ----------
    path : pathlib.Path
        The folder of the image's group, of one of its labels, or of an array.
    series : str or int, optional
        Which image, in a group that holds several (bioformats2raw's layout);
        the first if not given.

    Returns
    -------
    Scan
        Dask arrays: full resolution, and the coarser levels as `pyramid`.

    Raises
    ------
    ScanError
        If it is damaged, or holds no image.
    """
    import zarr

    try:
        node = zarr.open(str(path), mode="r")
        if not isinstance(node, zarr.Group):
            return _plain(node, path)
        titles = _titles(node)
        group, about = _image(node, series)
        scan = _scan(group, about, path)
        if not titles:
            return scan
        number = str(series or 0)
        marked = f"{len(titles)} images are here; number {number} was taken."
        return replace(
            scan,
            series=number,
            all_series=titles,
            name=scan.name + (f" {number}" if number != "0" else ""),
            warnings=(marked,) if series is None else (),
        )
    except ScanError as error:
        raise ScanError(f"{path.name} {error}.") from error
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        _log.error("reading %s failed", path, exc_info=error)
        raise ScanError(
            f"{path.name} cannot be read: it is damaged or not OME-Zarr."
        ) from error


def _plain(array: Any, path: Path) -> Scan:
    """Read an array that says nothing about itself."""
    import dask.array as da

    try:
        axes = check_axes(guess_axes(array.shape), array.ndim)
    except InputError as error:
        raise ScanError(f"is a plain array: {str(error).rstrip('.')}") from error
    spatial = len(axes.replace("C", ""))
    return Scan(
        data=da.from_zarr(array),
        shape=tuple(array.shape),
        axes=axes,
        spacing=(1.0,) * spatial,
        units=(PIXEL,) * spatial,
        path=path,
        format="Zarr",
        name=split_suffix(path)[0],
    ).channels_first()


def ome_attributes(group: Any) -> dict[str, Any]:
    """Return OME's part of a group's attributes: 0.5 has it under ``ome``."""
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    return dict(inner) if isinstance(inner, dict) else attributes


def _titles(group: Any) -> dict[str, str]:
    """Titles of the images of a group that holds several, by their names."""
    if "multiscales" in ome_attributes(group):
        return {}
    names = (name for name in group.group_keys() if name.isdecimal())
    found = [name for name in names if "multiscales" in ome_attributes(group[name])]
    titles = {}
    for name in sorted(found, key=int):
        marked = ome_attributes(group[name])["multiscales"][0].get("name")
        titles[name] = str(marked or f"image {name}")
    return titles if len(titles) > 1 else {}


def _image(group: Any, series: str | int | None) -> tuple[Any, dict[str, Any]]:
    """Find the image's group."""
    about = ome_attributes(group)
    if "multiscales" in about:
        return group, about
    name = str(series or 0)
    if name in group and "multiscales" in ome_attributes(group[name]):
        return group[name], ome_attributes(group[name])
    raise ScanError(f"holds no OME-Zarr image {series or ''}".rstrip())


def _transform(one: dict[str, Any], kind: str, count: int, plain: float) -> list[float]:
    for step in one.get("coordinateTransformations", []):
        if step.get("type") == kind:
            return [float(v) for v in step[kind]]
    return [plain] * count


def _named(axes: list[Any]) -> tuple[str, list[str]]:
    """Letters and units of the axes; 0.3 has bare names."""
    plain = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    letters = "".join(str(axis["name"])[:1].upper() for axis in plain)
    if not set(letters) <= set("TCZYX") or len(set(letters)) != len(letters):
        raise ScanError(f"has axes {letters}, which cannot be named T, C, Z, Y, X")
    units = [str(axis.get("unit", "")) for axis in plain]
    return letters, [SHORT_UNITS.get(unit, unit or PIXEL) for unit in units]


def _channel_names(about: dict[str, Any]) -> tuple[str, ...]:
    channels = about.get("omero", {}).get("channels", [])
    names = tuple(str(channel.get("label", "")) for channel in channels)
    return names if all(names) else ()


def _levels(group: Any, image: dict[str, Any], axes: str, order: str) -> list[Any]:
    import dask.array as da

    turn = [axes.index(axis) for axis in order]
    arrays = [da.from_zarr(group[one["path"]]) for one in image["datasets"]]
    return [array.transpose(turn) for array in arrays]


def _scan(group: Any, about: dict[str, Any], path: Path) -> Scan:
    image = about["multiscales"][0]
    axes, units = _named(image["axes"])
    first = image["datasets"][0]
    n = len(axes)
    whole = _transform(image, "scale", n, 1.0)
    steps = [
        a * b for a, b in zip(_transform(first, "scale", n, 1.0), whole, strict=True)
    ]
    moved = _transform(first, "translation", n, 0.0)
    further = _transform(image, "translation", n, 0.0)
    origin = [a * s + b for a, s, b in zip(moved, whole, further, strict=True)]
    order = "".join(axis for axis in "CTZYX" if axis in axes)
    arrays = _levels(group, image, axes, order)
    spatial = order.replace("C", "")
    at = {axis: axes.index(axis) for axis in order}
    place = [axis for axis in "XYZ" if axis in axes]
    grid = Geometry.plain(tuple(arrays[0].shape[order.index(a)] for a in place[::-1]))
    return Scan(
        data=arrays[0],
        pyramid=tuple(arrays[1:]),
        shape=tuple(int(v) for v in arrays[0].shape),
        axes=order,
        spacing=tuple(steps[at[axis]] for axis in spatial),
        units=tuple(units[at[axis]] for axis in spatial),
        geometry=Geometry(
            grid.size,
            tuple(steps[at[axis]] for axis in place),
            tuple(origin[at[axis]] for axis in place),
            grid.direction,
        ),
        channel_names=_channel_names(about),
        path=path,
        format="OME-Zarr",
        name=split_suffix(path)[0],
    )
