"""OME-Zarr labels out: a group of its own, or inside an image's group.

Written as OME-Zarr 0.4 (zarr format 2), which most programs read today; inside
an image's group in that image's version.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.io.scan import PIXEL, SHORT_UNITS, Header

CHUNK = 512
"""Side of a chunk in Y and X, pixels; one plane deep."""

SMALLEST = 256
"""Levels are halved until their longer side is no longer than this."""

LONG_UNITS = {short: long for long, short in SHORT_UNITS.items()}


def image_group(target: Path) -> Path | None:
    """Return the group of the image that a label at `target` belongs to."""
    from napari_segdino.io.formats import ZARR_MARKS

    if target.parent.name != "labels":
        return None
    group = target.parent.parent
    return group if any((group / mark).is_file() for mark in ZARR_MARKS) else None


def _version(target: Path) -> int:
    """Zarr format to write: the image's own, else 2."""
    group = image_group(target)
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
    """Make the group and its finest level.

    Parameters
    ----------
    content : pathlib.Path
        The group in the making.
    target : pathlib.Path
        Where it will lie, which decides the version.
    like : Header
        Gives the shape.
    dtype : dtype
        Of the labels.

    Returns
    -------
    zarr.Array
        Of the spatial shape, zeros.
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
    datasets = []
    for level, factor in enumerate(factors):
        scale = [s * (factor if i >= lead else 1) for i, s in enumerate(like.spacing)]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(moved):
            steps.append({"type": "translation", "translation": moved})
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    return datasets


def finish_labels(content: Path, like: Header, names: tuple[str, ...]) -> None:
    """Add the coarser levels and OME's description.

    Parameters
    ----------
    content : pathlib.Path
        The group, whose finest level is whole.
    like : Header
        For axes, spacing and place.
    names : tuple of str
        Of classes 1, 2 ...
    """
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
