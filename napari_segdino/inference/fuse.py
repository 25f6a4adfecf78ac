"""Joining the probability maps of several views."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from napari_segdino.errors import InputError

if TYPE_CHECKING:
    import torch

Fusion = Literal["entropy", "mean"]

TEMPERATURE = 0.5
"""Of the entropy weights (our reading; arXiv 2605.07221 does not say)."""


def certainty(
    probabilities: torch.Tensor, temperature: float = TEMPERATURE
) -> torch.Tensor:
    """Weigh each pixel of a view by how sure it is, before normalisation.

    ``w = exp(-H(p) / (temperature * log K))``, H in nats: 1 where one class is
    certain, ``exp(-1 / temperature)`` where all are equal. This form, per
    pixel, is our reading of "entropy-weighted fusion" [1]_.

    Parameters
    ----------
    probabilities : torch.Tensor, shape (K, Y, X)
        They sum to 1 over K; zeros are fine.
    temperature : float
        Lower prefers sure views more.

    Returns
    -------
    torch.Tensor, shape (Y, X)

    Raises
    ------
    InputError
        If the temperature is not above 0.

    References
    ----------
    .. [1] Jiang, Liu, Ye and Sun, DINO-MVR, arXiv 2605.07221, 2026.
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
        If there is no map, no such way, or a pixel that is a number in none.
    """
    import torch

    total: torch.Tensor | None = None
    norm: torch.Tensor | None = None
    for view in maps:
        # A view that overflowed on a pixel has nothing to say there.
        invalid = view.isnan().any(0)
        view = torch.where(invalid, 0.0, view)
        weight = torch.where(invalid, 0.0, _weight(view, how, temperature))
        if total is None or norm is None:
            total, norm = weight * view, weight
        else:
            # In place: with many classes the maps of a tile are hundreds of megabytes.
            total, norm = total.addcmul_(weight, view), norm + weight
    if total is None or norm is None:
        raise InputError("There is no view to join.")
    if not bool((norm > 0).all()):
        raise InputError(
            "The prediction holds no numbers: the model or the image is damaged."
        )
    return total / norm


def _weight(view: torch.Tensor, how: Fusion, temperature: float) -> torch.Tensor:
    if how == "entropy":
        return certainty(view, temperature)
    if how != "mean":
        raise InputError(f"Views are joined by entropy or mean, not {how!r}.")
    return view.new_ones(view.shape[1:])
