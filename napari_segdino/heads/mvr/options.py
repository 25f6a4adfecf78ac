"""Options of how the perceptrons on blocks are trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from napari_segdino.errors import InputError


@dataclass(frozen=True, slots=True)
class MVROptions:
    """Options of the recipes of ``mvr``; the paper says none of them (our reading).

    Parameters
    ----------
    hidden : int
        Units of the hidden layer of each perceptron.
    dropout : float
        Share of these units that a step leaves out; from 0 to below 1.
    steps : int
        Steps of descent.
    batch : int
        Pixels a step; all there are where there are fewer.
    lr, weight_decay : float
        Of AdamW; the rate falls to 0 along half a cosine.
    sigma : float
        Width of the Gaussian over the fused probabilities, in pixels of a tile whose
        longer side is 512; 0 is off.

    Raises
    ------
    InputError
        If one of them cannot be what it is.
    """

    hidden: int = 256
    dropout: float = 0.1
    steps: int = 300
    batch: int = 1024
    lr: float = 3e-3
    weight_decay: float = 1e-2
    sigma: float = 1.0

    def __post_init__(self) -> None:
        for name in ("hidden", "steps", "batch"):
            if type(value := getattr(self, name)) is not int or value < 1:
                raise InputError(f"{name} is a whole number above 0, not {value!r}.")
        for name in ("dropout", "lr", "weight_decay", "sigma"):
            value = getattr(self, name)
            number = type(value) in (int, float) and math.isfinite(value)
            if not number or value < 0:
                raise InputError(f"{name} is a number of at least 0, not {value!r}.")
        if not self.dropout < 1:
            raise InputError(f"dropout is below 1, not {self.dropout!r}.")

    def listed(self) -> tuple[tuple[str, Any], ...]:
        """As :attr:`Recipe.options` holds them."""
        return tuple(asdict(self).items())


OPTION_NAMES = tuple(f.name for f in fields(MVROptions))
