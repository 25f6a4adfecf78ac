"""OME-Zarr in: images read lazily through zarr and dask.

Masks are written by ``omezarr_labels``.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.errors import InputError, ScanError
from napari_segdino.files import split_suffix
from napari_segdino.images.planes import check_axes, infer_axes
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.scan import PIXEL, SHORT_UNITS, ReadOptions, Scan
from napari_segdino.io.zarr_chunks import lazy_array

_log = logging.getLogger(__name__)

GROUP_FILES = ("zarr.json", ".zattrs", ".zgroup")
"""A folder with one of these is Zarr."""

MOST_TOLD = 10
"""Images that are named in an error."""

APPLIED = ("scale", "translation", "identity")
"""Kinds of transforms that are applied."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array.

    Parameters
    ----------
    path : pathlib.Path
        A folder; it may be missing.
    """
    return any((path / name).is_file() for name in GROUP_FILES)


def read_zarr(path: Path, options: ReadOptions) -> Scan:
    """Open an OME-Zarr image, or a plain zarr array.

    Parameters
    ----------
    path : pathlib.Path
        The folder of the image's group, of one of its labels, or of an array.
    options : ReadOptions
        `series` is which image, in a group that holds several (bioformats2raw's
        layout), or the well of a plate; the first if not given.

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
        node = zarr.open(_plain_files(path), mode="r")
        if not isinstance(node, zarr.Group):
            return _plain(node, path)
        titles = _titles(node)
        first = next(iter(titles), "0")
        name = first if options.series is None else str(options.series)
        group, about = _image(node, name, titles)
        scan = _scan(group, about, path)
        if len(titles) < 2:
            return scan
        note = f"{len(titles)} images are here; number {name} was taken."
        return replace(
            scan,
            series=name,
            all_series=titles,
            name=scan.name + (f" {name.replace('/', '-')}" if name != first else ""),
            warnings=(*scan.warnings, *((note,) if options.series is None else ())),
        )
    except ScanError as error:
        raise ScanError(f"{path.name} {error}.") from error
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        _log.error("reading %s failed", path, exc_info=error)
        why = "it is damaged or not OME-Zarr"
        if type(error).__name__ == "UnknownCodecError":  # zarr's or numcodecs'
            why = f"its compression is not supported ({error}), save it with another"
        raise ScanError(f"{path.name} cannot be read: {why}.") from error


def _plain_files(path: Path) -> Any:
    """Open a folder as a store that does not wait for pipes nor reads devices."""
    from zarr.storage import LocalStore

    class PlainFiles(LocalStore):  # type: ignore[misc]
        async def get(self, key: str, *args: Any, **options: Any) -> Any:
            file = self.root / key
            if file.exists() and not (file.is_file() or file.is_dir()):
                raise ScanError(f"cannot be read: {key} in it is a device, not a file")
            return await super().get(key, *args, **options)

    return PlainFiles(path, read_only=True)


def _plain(array: Any, path: Path) -> Scan:
    """Read an array that says nothing about itself."""
    try:
        axes = check_axes(infer_axes(array.shape), array.ndim)
    except InputError as error:
        raise ScanError(f"is a plain array: {str(error).rstrip('.')}") from error
    spatial = len(axes.replace("C", ""))
    return Scan(
        data=lazy_array(array, path),
        shape=tuple(array.shape),
        axes=axes,
        spacing=(1.0,) * spatial,
        units=(PIXEL,) * spatial,
        path=path,
        format="Zarr",
        name=split_suffix(path)[0],
    ).channels_first()


def _ome_attributes(group: Any) -> dict[str, Any]:
    """Return OME's part of a group's attributes: 0.5 has it under ``ome``."""
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    return dict(inner) if isinstance(inner, dict) else attributes


def _titles(group: Any) -> dict[str, str]:
    """Titles of the images of a group that holds several, by their names."""
    about = _ome_attributes(group)
    if "plate" in about:
        wells = [str(well["path"]) for well in about["plate"]["wells"]]
        return {name: f"well {name}" for name in wells}
    if "well" in about:
        fields = [str(image["path"]) for image in about["well"]["images"]]
        return {name: f"field {name}" for name in fields}
    if "multiscales" in about:
        return {}
    names = (name for name in group.group_keys() if name.isdecimal())
    found = [name for name in names if "multiscales" in _ome_attributes(group[name])]
    titles = {}
    for name in sorted(found, key=int):
        title = _ome_attributes(group[name])["multiscales"][0].get("name")
        titles[name] = str(title or f"image {name}")
    return titles


def _image(group: Any, name: str, titles: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """Find the image's group; of a well it is the first field."""
    about = _ome_attributes(group)
    if "multiscales" in about:
        return group, about
    if name in group:
        about = _ome_attributes(group[name])
        if "well" in about:
            return _image(group[name], str(about["well"]["images"][0]["path"]), {})
        if "multiscales" in about:
            return group[name], about
    if not titles:
        raise ScanError("holds no OME-Zarr image")
    listed = list(titles)[:MOST_TOLD]
    more = f" and {len(titles) - len(listed)} more" if len(titles) > MOST_TOLD else ""
    raise ScanError(f"holds no image {name!r}; it holds {', '.join(listed)}{more}")


def _scan(group: Any, about: dict[str, Any], path: Path) -> Scan:
    image = about["multiscales"][0]
    first = image["datasets"][0]
    n = group[first["path"]].ndim
    # Versions 0.1 and 0.2 have five axes and do not name them.
    axes, units = _named_axes(image.get("axes") or list("tczyx"[-n:]))
    # A dataset's own transform comes first, that of the whole image after it.
    whole = _transform(image, "scale", n, 1.0)
    own = _transform(first, "scale", n, 1.0)
    # A scale of 0 would put all pixels into one place.
    steps = [a * b or 1.0 for a, b in zip(own, whole, strict=True)]
    moved = _transform(first, "translation", n, 0.0)
    further = _transform(image, "translation", n, 0.0)
    origin = [a * s + b for a, s, b in zip(moved, whole, further, strict=True)]
    # Version 0.4 has channels after time; here they come first.
    order = "".join(axis for axis in "CTZYX" if axis in axes)
    levels = (lazy_array(group[one["path"]], path) for one in image["datasets"])
    arrays = [level.transpose([axes.index(axis) for axis in order]) for level in levels]
    spatial = order.replace("C", "")
    at = {axis: axes.index(axis) for axis in order}
    place = [axis for axis in "XYZ" if axis in axes]
    grid = Geometry.plain(tuple(arrays[0].shape[order.index(a)] for a in place[::-1]))
    return Scan(
        data=arrays[0],
        pyramid=tuple(arrays[1:]),
        shape=tuple(int(v) for v in arrays[0].shape),
        axes=order,
        spacing=tuple(abs(steps[at[axis]]) for axis in spatial),
        units=tuple(units[at[axis]] for axis in spatial),
        geometry=Geometry(
            grid.size,
            tuple(abs(steps[at[axis]]) for axis in place),
            tuple(origin[at[axis]] for axis in place),
            # A negative scale is an axis that runs the other way.
            tuple(np.diag([np.sign(steps[at[axis]]) for axis in place]).ravel()),
        ),
        channel_names=_channel_names(about),
        path=path,
        format="OME-Zarr",
        name=split_suffix(path)[0],
        warnings=_not_applied(image, first),
    )


def _transform(one: dict[str, Any], kind: str, count: int, plain: float) -> list[float]:
    """Read a scale or translation, `plain` where there is none or it is no number."""
    for step in one.get("coordinateTransformations", []):
        if step.get("type") == kind and kind in step:
            values = [float(v) for v in step[kind]]
            return [v if math.isfinite(v) else plain for v in values]
    return [plain] * count


def _not_applied(*described: dict[str, Any]) -> tuple[str, ...]:
    """Say which transforms are not read: those in arrays, and other kinds."""
    steps = [s for one in described for s in one.get("coordinateTransformations", [])]
    kinds = {
        str(step.get("type"))
        for step in steps
        if step.get("type") not in APPLIED or "path" in step
    }
    listed = ", ".join(sorted(kinds))
    return (f"The place is not sure: {listed} of the file is not applied.",) * bool(
        kinds
    )


def _named_axes(axes: list[Any]) -> tuple[str, list[str]]:
    """Letters and units of the axes, by their types, else by their names.

    Version 0.3 has bare names, and no types.
    """
    plain = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    names = [str(axis["name"]).upper() for axis in plain]
    kinds = [axis.get("type") for axis in plain]
    # Letters that no axis has by name, for axes of space that are called otherwise.
    free = [c for c in "ZYX"[-kinds.count("space") :] if c not in names]

    def letter(name: str, kind: Any) -> str:
        if name not in "ZYX" and kind == "space" and free:
            return free.pop(0)
        return {"channel": "C", "time": "T"}.get(str(kind), name[:1])

    letters = "".join(letter(*pair) for pair in zip(names, kinds, strict=True))
    if not set(letters) <= set("TCZYX") or len(set(letters)) != len(letters):
        named = ", ".join(str(axis["name"]) for axis in plain)
        raise ScanError(f"has axes {named}, which cannot be named T, C, Z, Y, X")
    units = [str(axis.get("unit", "")) for axis in plain]
    return letters, [SHORT_UNITS.get(unit, unit or PIXEL) for unit in units]


def _channel_names(about: dict[str, Any]) -> tuple[str, ...]:
    """Names of the channels, if all have one."""
    channels = about.get("omero", {}).get("channels", [])
    names = tuple(str(channel.get("label", "")) for channel in channels)
    return names if all(names) else ()
