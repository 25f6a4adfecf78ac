"""How uncertain a prediction is, and whether its probabilities can be believed.

Entropy as a share of its largest value; its split into what members of an
ensemble share and where they disagree (Houlsby and others 2011,
arXiv 1112.5745); reliability, expected calibration error and temperature as in
Guo and others (2017, arXiv 1706.04599).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.errors import InputError

Floats = NDArray[np.float64]
Map = NDArray[np.float32]

COLDEST, HOTTEST = 0.2, 10.0
"""Temperatures that are looked at."""


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Uncertainty at each pixel, shape (*spatial), float32, in [0, 1].

    Parameters
    ----------
    total : numpy.ndarray
        Entropy of the members' mean: what to look at next.
    between : numpy.ndarray
        The part of `total` that comes from members disagreeing (their mutual
        information): more marks help there. The rest, ``total - between``, is
        what all members find uncertain.
    """

    total: Map
    between: Map


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
    for one in p:
        total += entr(one.astype(np.float32, copy=False))
    share: Map = np.clip(total / np.float32(np.log(max(2, len(p)))), 0, 1)
    return share


def disagreement(members: Iterable[ArrayLike]) -> Uncertainty:
    """Uncertainty of an ensemble, holding two members at a time.

    Parameters
    ----------
    members : iterable of array of float, each (K, *spatial)
        Probabilities, one a member.

    Returns
    -------
    Uncertainty

    Raises
    ------
    InputError
        If there is no member.
    """
    total: Any = None
    within: Any = None
    count = 0
    for member in members:
        p = np.asarray(member, np.float32)
        count += 1
        total = p.copy() if total is None else total + p
        within = entropy(p) if within is None else within + entropy(p)
    if not count:
        raise InputError("There is no prediction to uncertainty.")
    whole = entropy(total / np.float32(count))
    return Uncertainty(whole, np.clip(whole - within / np.float32(count), 0, 1))


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often a prediction is right, by how sure it is: a figure's data.

    Parameters
    ----------
    edges : numpy.ndarray, shape (B + 1,)
        Borders of the bins of confidence.
    confidence, accuracy : numpy.ndarray, shape (B,)
        Mean probability of the predicted class, and how often it is the true
        one; NaN in an empty bin.
    weight : numpy.ndarray, shape (B,)
        Weight in each bin.
    error : float
        Expected calibration error: mean distance of both, by weight.
    """

    edges: Floats
    confidence: Floats
    accuracy: Floats
    weight: Floats
    error: float


def reliability(
    probabilities: ArrayLike,
    truth: ArrayLike,
    weights: ArrayLike | None = None,
    bins: int = 10,
) -> Reliability:
    """Compare how sure predictions are with how often they are right.

    Parameters
    ----------
    probabilities : array of float, shape (N, K)
        Of pixels with a known class.
    truth : array of int, shape (N,)
        That class, 0 to K - 1.
    weights : array of float, shape (N,), optional
        Weight of each pixel; 1 if not given.
    bins : int
        Of equal width, from 0 to 1.

    Returns
    -------
    Reliability

    Raises
    ------
    InputError
        If there is nothing to compare.
    """
    p, known, w = _checked(probabilities, truth, weights)
    sure = p.max(1)
    right = p.argmax(1) == known
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    weight = np.bincount(at, w, bins).astype(float)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(at, w * sure, bins) / weight
        accuracy = np.bincount(at, w * right, bins) / weight
    apart = np.abs(confidence - accuracy)
    error = float(np.nansum(apart * weight) / weight.sum())
    return Reliability(edges, confidence, accuracy, weight, error)


def temper(probabilities: ArrayLike, temperature: float, axis: int = 0) -> Map:
    """Make probabilities less sure (above 1) or surer (below 1).

    Parameters
    ----------
    probabilities : array of float
        They sum to 1 along `axis`.
    temperature : float
        Each becomes proportional to its power of ``1 / temperature``, which is
        a softmax of logits over the temperature.
    axis : int
        Axis of the classes.

    Returns
    -------
    numpy.ndarray of float32, same shape
        The same class stays the likeliest.

    Raises
    ------
    InputError
        If the temperature is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"The temperature must be above 0, not {temperature}.")
    p = np.asarray(probabilities, np.float32)
    if temperature == 1:
        return p
    p = p / np.maximum(p.max(axis, keepdims=True), 1e-30)
    p = p ** np.float32(1 / temperature)
    tempered: Map = p / p.sum(axis, keepdims=True)
    return tempered


def fit_temperature(
    probabilities: ArrayLike, truth: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Find the temperature under which what is known is likeliest.

    Parameters
    ----------
    probabilities, truth, weights
        As for :func:`reliability`; of pixels that were not learned from.

    Returns
    -------
    float
        For :func:`temper`.

    Raises
    ------
    InputError
        If there is nothing to compare.
    """
    from scipy.optimize import minimize_scalar

    p, known, w = _checked(probabilities, truth, weights)
    p = np.maximum(p, 1e-6)

    def loss(log_temperature: float) -> float:
        found = temper(p, float(np.exp(log_temperature)), axis=1)
        return float(-(w * np.log(found[np.arange(len(found)), known] + 1e-9)).sum())

    span = float(np.log(COLDEST)), float(np.log(HOTTEST))
    best = minimize_scalar(loss, bounds=span, method="bounded")
    return float(np.exp(best.x))


def _checked(
    probabilities: ArrayLike, truth: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, NDArray[np.intp], Floats]:
    p, known = np.asarray(probabilities, float), np.asarray(truth, np.intp)
    w = np.ones(len(known)) if weights is None else np.asarray(weights, float)
    if p.ndim != 2 or known.shape != (len(p),) or w.shape != (len(p),):
        raise InputError("Each pixel needs its probabilities, its class, its weight.")
    if not w.sum() > 0:
        raise InputError("There are no pixels of a known class to compare with.")
    return p, known, w
