"""Joining the probability maps of several views."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_segdino.errors import InputError

if TYPE_CHECKING:
    import torch

Fusion = Literal["entropy", "mean"]

TEMPERATURE = 0.5
"""Of the entropy weights (our reading; arXiv 2605.07221 does not say)."""


@dataclass(frozen=True, slots=True)
class WeightStatistics:
    """How much each view weighed, over the pixels.

    Parameters
    ----------
    mean, std, lowest, highest : tuple of float, one a view
        Of its normalised weight. With V views and no preference, each mean
        is 1 / V and each std is 0: then entropy weights do nothing.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]


def certainty(
    probabilities: torch.Tensor, temperature: float = TEMPERATURE
) -> torch.Tensor:
    """Weigh each pixel of a view by how sure it is, before normalisation.

    ``w = exp(-H(p) / (temperature * log K))``, H in nats: 1 where one class is
    certain, ``exp(-1 / temperature)`` where all are equal. This form, per
    pixel, is our reading of "entropy-weighted fusion" (arXiv 2605.07221).

    Parameters
    ----------
    probabilities : torch.Tensor, shape (K, Y, X)
        They sum to 1 over K; zeros are fine.
    temperature : float
        Lower prefers sure views more.

    Returns
    -------
    torch.Tensor, shape (Y, X)
    """
    import torch

    if temperature <= 0:
        raise InputError(f"The temperature must be above 0, not {temperature}.")
    entropy: torch.Tensor = torch.special.entr(probabilities).sum(0)
    most = math.log(max(2, probabilities.shape[0]))
    return (-entropy / (temperature * most)).exp()


def fuse(
    maps: Iterable[torch.Tensor],
    how: Fusion = "entropy",
    temperature: float = TEMPERATURE,
) -> torch.Tensor:
    """Join the maps of several views, holding two at a time.

    Parameters
    ----------
    maps : iterable of torch.Tensor, each (K, Y, X), float32
        Probabilities, one a view.
    how : {"entropy", "mean"}
        Weighted by :func:`certainty` per pixel, or the plain mean as control.
    temperature : float
        See :func:`certainty`.

    Returns
    -------
    torch.Tensor, shape (K, Y, X), float32
        They sum to 1 over K.

    Raises
    ------
    InputError
        If there is no map, or no such way.
    """
    total: torch.Tensor | None = None
    norm: torch.Tensor | None = None
    for view in maps:
        weight = _weight(view, how, temperature)
        if total is None or norm is None:
            total, norm = weight * view, weight
        else:
            total, norm = total.addcmul_(weight, view), norm + weight
    if total is None or norm is None:
        raise InputError("There is no view to join.")
    return total / norm


def fuse_with_statistics(
    maps: Iterable[torch.Tensor],
    how: Fusion = "entropy",
    temperature: float = TEMPERATURE,
) -> tuple[torch.Tensor, WeightStatistics]:
    """Join maps as :func:`fuse` does, and tell how much each view weighed.

    Returns
    -------
    probabilities : torch.Tensor, shape (K, Y, X), float32
        See :func:`fuse`.
    statistics : WeightStatistics
        Of the weights.
    """
    import torch

    views = list(maps)
    fused = fuse(views, how, temperature)
    weights = torch.stack([_weight(view, how, temperature) for view in views])
    shares = (weights / weights.sum(0)).flatten(1).double()
    return fused, WeightStatistics(
        mean=tuple(shares.mean(1).tolist()),
        std=tuple(shares.std(1, correction=0).tolist()),
        lowest=tuple(shares.amin(1).tolist()),
        highest=tuple(shares.amax(1).tolist()),
    )


def _weight(view: torch.Tensor, how: Fusion, temperature: float) -> torch.Tensor:
    if how == "entropy":
        return certainty(view, temperature)
    if how != "mean":
        raise InputError(f"Views are joined by entropy or mean, not {how!r}.")
    return view.new_ones(view.shape[1:])
