"""OME-Zarr out: labels, beside an image or on their own.

Labels are written as OME-Zarr 0.4 (zarr format 2), which most programs read today;
inside an image's group in that image's version. The ``ome-zarr`` package would do as
well, but brings cloud clients with it and, as of 0.18, holds pydantic back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.io.omezarr import is_zarr
from napari_segdino.io.provenance import PROGRAM, Provenance
from napari_segdino.io.scan import PIXEL, SHORT_UNITS, Header

CHUNK = 512
"""Side of a chunk in Y and X, pixels; one plane deep."""

SMALLEST = 256
"""Levels are halved until their longer side is no longer than this."""

LONG_UNITS = {short: long for long, short in SHORT_UNITS.items()}


def _image_group(target: Path) -> Path | None:
    """Find the group of the image that a label at `target` belongs to."""
    if target.parent.name != "labels":
        return None
    group = target.parent.parent
    return group if is_zarr(group) else None


def _version(target: Path) -> int:
    group = _image_group(target)  # its own version, else 2
    return 3 if group is not None and (group / "zarr.json").is_file() else 2


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    chunks = (1,) * (len(shape) - 2) + tuple(min(CHUNK, n) for n in shape[-2:])
    more: dict[str, Any] = {}
    if group.metadata.zarr_format == 2:
        # OME-Zarr 0.4 asks for nested folders; zarr's own default is dots.
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

    Returns
    -------
    zarr.Array
        To write to, plane by plane.
    """
    import zarr

    group = zarr.open_group(str(content), mode="w", zarr_format=_version(target))
    return _array(group, "0", like.spatial_shape, dtype)


def open_labels(content: Path) -> Any:
    """Open the finest level of a group in the making, to go on with it.

    Parameters
    ----------
    content : pathlib.Path
        The group in the making.

    Returns
    -------
    zarr.Array
        As :func:`create_labels` gave it.
    """
    import zarr

    return zarr.open_group(str(content), mode="r+")["0"]


def _add_levels(group: Any) -> list[int]:
    """Write coarser levels band by band, taking every second pixel."""
    factors, fine = [1], group["0"]
    while max(fine.shape[-2:]) > SMALLEST:
        shape = (*fine.shape[:-2], *((n + 1) // 2 for n in fine.shape[-2:]))
        name = str(len(factors))
        # Left by a try that was cut off.
        if name in group:
            del group[name]
        coarse = _array(group, name, shape, fine.dtype)
        for lead in np.ndindex(*shape[:-2]):
            for y in range(0, shape[-2], CHUNK):
                band = fine[(*lead, slice(2 * y, 2 * (y + CHUNK)))]
                # Not averaged: between labels 1 and 3 lies another class.
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


def finish_labels(
    content: Path, like: Header, names: tuple[str, ...], provenance: Provenance
) -> None:
    """Add the coarser levels and OME's description; `names` are of classes 1, 2 ...

    Parameters
    ----------
    content : pathlib.Path
        The group in the making, its finest level whole.
    like : Header
        The scan.
    names : tuple of str
        Of classes 1, 2 ...
    provenance : Provenance
        An attribute of the group, beside OME's.
    """
    import zarr

    group = zarr.open_group(str(content), mode="r+")
    group.attrs[PROGRAM] = provenance.to_dict()
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
    """Enter a label into its image's list of labels, if it lies in an image.

    Parameters
    ----------
    target : pathlib.Path
        The label's group, in its place.
    """
    import zarr

    if _image_group(target) is None:
        return
    version: Any = _version(target)
    labels = zarr.open_group(str(target.parent), mode="a", zarr_format=version)
    about = dict(labels.attrs.get("ome", {})) if version == 3 else dict(labels.attrs)
    # Readers find labels by this list and not by the folders.
    names = [name for name in about.get("labels", []) if name != target.name]
    about["labels"] = [*names, target.name]
    if version == 3:
        labels.attrs["ome"] = {**about, "version": "0.5"}
    else:
        labels.attrs.update(about)
