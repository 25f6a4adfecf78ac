"""How uncertain a prediction is: entropy, and the temperature that calibrates it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.errors import InputError

if TYPE_CHECKING:
    import torch

Map = NDArray[np.float32]


def entropy(probabilities: ArrayLike) -> Map:
    """Entropy over the classes, as a share of the largest possible.

    Parameters
    ----------
    probabilities : array of float, shape (K, *spatial)
        They sum to 1 over K; zeros are fine.

    Returns
    -------
    numpy.ndarray, shape (*spatial), float32
        0 where one class is certain, 1 where all are equal; 0 for one class.
    """
    from scipy.special import entr

    p = np.asarray(probabilities)
    total = np.zeros(p.shape[1:], np.float32)
    # Class by class: the entropy of all at once would need another copy of the maps.
    for one in p:
        total += entr(one.astype(np.float32, copy=False))
    share: Map = np.clip(total / np.float32(np.log(max(2, len(p)))), 0, 1)
    return share


def temper(
    probabilities: torch.Tensor, temperature: float, axis: int = 0
) -> torch.Tensor:
    """Make probabilities less sure (above 1) or surer (below 1) [1]_.

    Parameters
    ----------
    probabilities : torch.Tensor of float32
        They sum to 1 along `axis`.
    temperature : float
        Each becomes proportional to its power of ``1 / temperature``, which is
        a softmax of logits over the temperature.
    axis : int
        Axis of the classes.

    Returns
    -------
    torch.Tensor of float32, same shape
        The same class stays the likeliest.

    Raises
    ------
    InputError
        If the temperature is not above 0.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On calibration of modern
       neural networks, ICML 2017, arXiv 1706.04599.
    """
    if not temperature > 0:
        raise InputError(f"The temperature must be above 0, not {temperature}.")
    if temperature == 1:
        return probabilities
    # By the largest first: a high power of small numbers would be 0 in float32 for all
    # classes.
    largest = probabilities.amax(axis, keepdim=True).clamp_min(1e-30)
    p = (probabilities / largest).pow_(1 / temperature)
    return p.div_(p.sum(axis, keepdim=True))
