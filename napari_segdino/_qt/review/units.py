"""Distances between pixels, and the unit to say them in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pint import DimensionalityError

if TYPE_CHECKING:
    from napari.layers import Layer


@dataclass(frozen=True)
class Spacing:
    """Of the pixels of a layer.

    Parameters
    ----------
    steps : tuple of float
        By axis, slowest first.
    unit : str
        Such as ``"mm"``; ``"px"`` where nothing is known.
    """

    steps: tuple[float, ...]
    unit: str

    def text(self, distance: float) -> str:
        """Return a distance for people; a dash where there is none."""
        if not math.isfinite(distance):
            return "–"
        return f"{distance:.3g} {self.unit}".rstrip()


def spacing_of(layer: Layer) -> Spacing:
    """Return the spacing of a layer, all axes in the unit of the last."""
    scale = [abs(float(s)) for s in layer.scale]
    unit = layer.units[-1]
    if str(unit) == "pixel":
        return Spacing(tuple(scale), "px" if set(scale) == {1.0} else "")
    steps = []
    for step, own in zip(scale, layer.units, strict=True):
        try:
            steps.append(float((step * own).to(unit).magnitude))
        except DimensionalityError:  # time, or an axis without a unit
            steps.append(step)
    return Spacing(tuple(steps), f"{unit:~}")
