"""OME-Zarr: images read lazily through zarr and dask, labels out.

Labels are written as OME-Zarr 0.4 (zarr format 2), which most programs read today;
inside an image's group in that image's version. The ``ome-zarr`` package would do as
well, but brings cloud clients with it and, as of 0.18, holds pydantic back.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.errors import InputError, ScanError
from napari_segdino.files import split_suffix
from napari_segdino.images.planes import check_axes, guess_axes
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.omezarr_meta import (
    channel_names,
    named_axes,
    not_applied,
    transform,
)
from napari_segdino.io.scan import PIXEL, SHORT_UNITS, Header, ReadOptions, Scan
from napari_segdino.io.zarr_chunks import lazy_array

_log = logging.getLogger(__name__)

GROUP_FILES = ("zarr.json", ".zattrs", ".zgroup")
"""A folder with one of these is Zarr."""

MOST_TOLD = 10
"""Images that are named in an error."""

CHUNK = 512
"""Side of a chunk in Y and X, pixels; one plane deep."""

SMALLEST = 256
"""Levels are halved until their longer side is no longer than this."""

LONG_UNITS = {short: long for long, short in SHORT_UNITS.items()}


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
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
        axes = check_axes(guess_axes(array.shape), array.ndim)
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


def ome_attributes(group: Any) -> dict[str, Any]:
    """Return OME's part of a group's attributes: 0.5 has it under ``ome``."""
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    return dict(inner) if isinstance(inner, dict) else attributes


def _titles(group: Any) -> dict[str, str]:
    """Titles of the images of a group that holds several, by their names."""
    about = ome_attributes(group)
    if "plate" in about:
        wells = [str(well["path"]) for well in about["plate"]["wells"]]
        return {name: f"well {name}" for name in wells}
    if "well" in about:
        fields = [str(image["path"]) for image in about["well"]["images"]]
        return {name: f"field {name}" for name in fields}
    if "multiscales" in about:
        return {}
    names = (name for name in group.group_keys() if name.isdecimal())
    found = [name for name in names if "multiscales" in ome_attributes(group[name])]
    titles = {}
    for name in sorted(found, key=int):
        title = ome_attributes(group[name])["multiscales"][0].get("name")
        titles[name] = str(title or f"image {name}")
    return titles


def _image(group: Any, name: str, titles: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """Find the image's group; of a well it is the first field."""
    about = ome_attributes(group)
    if "multiscales" in about:
        return group, about
    if name in group:
        about = ome_attributes(group[name])
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
    axes, units = named_axes(image.get("axes") or list("tczyx"[-n:]))
    whole = transform(image, "scale", n, 1.0)
    own = transform(first, "scale", n, 1.0)
    steps = [a * b or 1.0 for a, b in zip(own, whole, strict=True)]
    moved = transform(first, "translation", n, 0.0)
    further = transform(image, "translation", n, 0.0)
    origin = [a * s + b for a, s, b in zip(moved, whole, further, strict=True)]
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
            tuple(np.diag([np.sign(steps[at[axis]]) for axis in place]).ravel()),
        ),
        channel_names=channel_names(about),
        path=path,
        format="OME-Zarr",
        name=split_suffix(path)[0],
        warnings=not_applied(image, first),
    )


# -- out --------------------------------------------------------------------


def image_group(target: Path) -> Path | None:
    """Find the group of the image that a label at `target` belongs to."""
    if target.parent.name != "labels":
        return None
    group = target.parent.parent
    return group if is_zarr(group) else None


def _version(target: Path) -> int:
    group = image_group(target)  # its own version, else 2
    return 3 if group is not None and (group / "zarr.json").is_file() else 2


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    chunks = (1,) * (len(shape) - 2) + tuple(min(CHUNK, n) for n in shape[-2:])
    more: dict[str, Any] = {}
    if group.metadata.zarr_format == 2:
        more["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    return group.create_array(
        name, shape=shape, dtype=dtype, chunks=chunks, fill_value=0, **more
    )


def create_labels(content: Path, target: Path, like: Header, dtype: Any) -> Any:
    """Make the group and its finest level, zeros of the spatial shape of a scan.

    Parameters
    ----------
    content, target : pathlib.Path
        The group in the making, and where it will lie, which decides the version.
    like : Header
        The scan.
    dtype : dtype
        Of the labels.
    """
    import zarr

    group = zarr.open_group(str(content), mode="w", zarr_format=_version(target))
    return _array(group, "0", like.spatial_shape, dtype)


def open_labels(content: Path) -> Any:
    """Open the finest level of a group in the making, to go on with it."""
    import zarr

    return zarr.open_group(str(content), mode="r+")["0"]


def _add_levels(group: Any) -> list[int]:
    """Write coarser levels band by band, taking every second pixel."""
    factors, fine = [1], group["0"]
    while max(fine.shape[-2:]) > SMALLEST:
        shape = (*fine.shape[:-2], *((n + 1) // 2 for n in fine.shape[-2:]))
        name = str(len(factors))
        if name in group:
            del group[name]
        coarse = _array(group, name, shape, fine.dtype)
        for lead in np.ndindex(*shape[:-2]):
            for y in range(0, shape[-2], CHUNK):
                band = fine[(*lead, slice(2 * y, 2 * (y + CHUNK)))]
                coarse[(*lead, slice(y, y + CHUNK))] = band[::2, ::2]
        factors.append(factors[-1] * 2)
        fine = coarse
    return factors


def _axes(like: Header) -> list[dict[str, str]]:
    axes = []
    for axis, unit in zip(like.spatial_axes, like.units, strict=True):
        one = {"name": axis.lower(), "type": "time" if axis == "T" else "space"}
        if unit != PIXEL:
            one["unit"] = LONG_UNITS.get(unit, unit)
        axes.append(one)
    return axes


def _datasets(like: Header, factors: list[int]) -> list[dict[str, Any]]:
    lead = len(like.spacing) - 2
    straight = like.geometry is not None and len(like.plane_spacing) == (
        like.geometry.ndim
    )
    origin = like.geometry.origin[::-1] if straight and like.geometry else ()
    moved = [0.0] * (len(like.spacing) - len(origin)) + [float(v) for v in origin]
    # Axes that run backwards have a negative scale.
    signs = np.sign(np.diag(like.geometry.matrix)) if origin and like.geometry else ()
    plain = [1.0] * (len(like.spacing) - len(signs))
    signed = [
        s * (g or 1.0) for s, g in zip(like.spacing, [*plain, *signs], strict=True)
    ]
    datasets = []
    for level, factor in enumerate(factors):
        scale = [s * (factor if i >= lead else 1) for i, s in enumerate(signed)]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(moved):
            steps.append({"type": "translation", "translation": moved})
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    return datasets


def finish_labels(content: Path, like: Header, names: tuple[str, ...]) -> None:
    """Add the coarser levels and OME's description; `names` are of classes 1, 2 ..."""
    import zarr

    group = zarr.open_group(str(content), mode="r+")
    new = group.metadata.zarr_format == 3
    multiscale: dict[str, Any] = {
        "name": content.parent.name.strip("."),
        "axes": _axes(like),
        "datasets": _datasets(like, _add_levels(group)),
    }
    label: dict[str, Any] = {
        "properties": [
            {"label-value": i, "class": name} for i, name in enumerate(names, 1)
        ]
    }
    if new:
        about = {"version": "0.5", "multiscales": [multiscale], "image-label": label}
        group.attrs["ome"] = about
        return
    multiscale["version"] = label["version"] = "0.4"
    group.attrs.update({"multiscales": [multiscale], "image-label": label})


def register_label(target: Path) -> None:
    """Enter a label into its image's list of labels, if it lies in an image."""
    import zarr

    if image_group(target) is None:
        return
    version: Any = _version(target)
    labels = zarr.open_group(str(target.parent), mode="a", zarr_format=version)
    about = dict(labels.attrs.get("ome", {})) if version == 3 else dict(labels.attrs)
    names = [name for name in about.get("labels", []) if name != target.name]
    about["labels"] = [*names, target.name]
    if version == 3:
        labels.attrs["ome"] = {**about, "version": "0.5"}
    else:
        labels.attrs.update(about)
