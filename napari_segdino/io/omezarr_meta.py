"""What OME-Zarr says of an image: names and units of axes, scales, channels."""

from __future__ import annotations

import math
from typing import Any

from napari_segdino.errors import ScanError
from napari_segdino.io.scan import PIXEL, SHORT_UNITS

APPLIED = ("scale", "translation", "identity")
"""Kinds of transforms that are."""


def transform(one: dict[str, Any], kind: str, count: int, plain: float) -> list[float]:
    """Read a scale or translation, `plain` where there is none or it is no number."""
    for step in one.get("coordinateTransformations", []):
        if step.get("type") == kind and kind in step:
            values = [float(v) for v in step[kind]]
            return [v if math.isfinite(v) else plain for v in values]
    return [plain] * count


def not_applied(*described: dict[str, Any]) -> tuple[str, ...]:
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


def named_axes(axes: list[Any]) -> tuple[str, list[str]]:
    """Letters and units of the axes, by their types, else by their names.

    Version 0.3 has bare names, and no types.
    """
    plain = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    names = [str(axis["name"]).upper() for axis in plain]
    kinds = [axis.get("type") for axis in plain]
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


def channel_names(about: dict[str, Any]) -> tuple[str, ...]:
    """Names of the channels, if all have one."""
    channels = about.get("omero", {}).get("channels", [])
    names = tuple(str(channel.get("label", "")) for channel in channels)
    return names if all(names) else ()
