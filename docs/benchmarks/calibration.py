#!/usr/bin/env python3
"""How often is the probe right, by how sure it says it is?

    python docs/benchmarks/calibration.py DATA [--sets kvasir ...] [--strokes 3 6 12]

A robot paints inside the largest wrong region; after so many strokes the probability
of the predicted class is compared with the truth, on pixels that were not painted.
The temperature that is applied to a set was fitted on the other sets. Prints the
expected calibration error and writes the reliability diagram.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from suggest_robot import Plane, cases, most_wrong

PIXELS = 4000
"""Compared on each image."""

COLDEST, HOTTEST = 0.2, 10.0
"""Temperatures that are tried."""

Floats = NDArray[np.float64]


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
    ValueError
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
    ValueError
        If there is nothing to compare.
    """
    from scipy.optimize import minimize_scalar

    from napari_segdino.inference.uncertainty import temper

    p, known, w = _checked(probabilities, truth, weights)
    p = np.maximum(p, 1e-6)

    def loss(log_temperature: float) -> float:
        heat = float(np.exp(log_temperature))
        found = temper(torch.from_numpy(p), heat, axis=1).numpy()
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
        raise ValueError("Each pixel needs its probabilities, its class, its weight.")
    if not w.sum() > 0:
        raise ValueError("There are no pixels of a known class to compare with.")
    return p, known, w


def play(
    segmenter: Any, image: Plane, truth: Plane, stops: list[int]
) -> dict[int, tuple[Plane, Plane]]:
    """Probabilities (N, 2) and truth (N,) of unpainted pixels, by strokes."""
    random = np.random.default_rng(0)
    marks = np.zeros(truth.shape, np.uint8)
    for start in (most_wrong(truth), most_wrong(~truth)):
        marks[start] = np.where(truth[start], 2, 1)
    found = {}
    for strokes in range(2, max(stops) + 1):
        segmenter.fit(image, marks)
        chances = segmenter.predict_proba(image)
        if strokes in stops:
            free = np.flatnonzero(marks == 0)
            chosen = random.choice(free, min(PIXELS, len(free)), replace=False)
            of_class = chances.reshape(2, -1)[:, chosen].T
            found[strokes] = of_class, truth.ravel()[chosen].astype(int)
        mask = np.where(marks > 0, marks > 1, chances[1] > chances[0])
        covered = most_wrong(mask != truth)
        if covered is None:
            break
        marks[covered] = np.where(truth[covered], 2, 1)
    return found


def draw(path: Path, curves: dict[str, Any]) -> None:
    """Write the reliability diagram."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.plot([0.5, 1], [0.5, 1], "k:", label="as sure as right")
    for name, curve in curves.items():
        axis.plot(curve.confidence, curve.accuracy, "o-", label=name)
    axis.set(xlabel="probability of the predicted class", ylabel="share that is right")
    axis.legend()
    figure.savefig(path, dpi=80)


def main() -> None:
    """Play, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    sets = ["kvasir", "isic2018", "ddti", "dsb2018"]
    parser.add_argument("--sets", nargs="+", default=sets)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--strokes", nargs="+", type=int, default=[3, 6, 12])
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    from napari_segdino import Segmenter
    from napari_segdino.inference.uncertainty import temper

    found: dict[tuple[str, int], list[tuple[Plane, Plane]]] = {}
    for name in asked.sets:
        for image, truth in cases(asked.data, name, asked.cases, asked.side):
            game = play(Segmenter(asked.encoder), image, truth, asked.strokes)
            for strokes, pair in game.items():
                found.setdefault((name, strokes), []).append(pair)

    def joined(names: list[str], strokes: int) -> tuple[Plane, Plane]:
        pairs = [p for n in names for p in found.get((n, strokes), [])]
        return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))

    print("| strokes | set | error | temperature of the others | error with it |")
    print("|---|---|---|---|---|")
    curves: dict[str, Any] = {}
    for strokes in asked.strokes:
        tempered = []
        for name in asked.sets:
            others = [n for n in asked.sets if n != name]
            heat = fit_temperature(*joined(others, strokes))
            chances, truth = joined([name], strokes)
            cooled = temper(torch.from_numpy(chances), heat, axis=1).numpy()
            tempered.append((cooled, truth))
            before, after = reliability(chances, truth), reliability(cooled, truth)
            line = f"{name} | {before.error:.3f} | {heat:.2f} | {after.error:.3f}"
            print(f"| {strokes} | {line} |", flush=True)
        before = reliability(*joined(asked.sets, strokes))
        parts = zip(*tempered, strict=True)
        after = reliability(*(np.concatenate(part) for part in parts))
        heat = fit_temperature(*joined(asked.sets, strokes))
        line = f"all | {before.error:.3f} | {heat:.2f} (all) | {after.error:.3f}"
        print(f"| {strokes} | {line} |", flush=True)
        curves[f"{strokes} strokes"] = before
    if asked.plot is not None:
        draw(asked.plot, curves)


if __name__ == "__main__":
    main()
