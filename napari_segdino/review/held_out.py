"""Scores of strokes that a probe was asked about without having learned them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_segdino.metrics import Row, score_case
from napari_segdino.review.folds import Stroke


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What the probe says of strokes that it did not learn from.

    Parameters
    ----------
    rows : tuple of Row
        One for each class but background, pooled over planes; compares marked
        pixels only. Write them with :func:`napari_segdino.metrics.to_csv`.
    strokes, skipped : int
        Strokes held out, and those that could not be: the only ones of their
        class, or all within a few pixels of each other.
    right : float
        Share of the pixels that are classified as marked, each stroke
        counting the same.
    probabilities : numpy.ndarray, shape (N, K), float32
        Of the pixels of the held-out strokes.
    truth : numpy.ndarray of int, shape (N,)
        Their classes.
    weights : numpy.ndarray, shape (N,)
        They sum to 1 over each stroke.
    """

    rows: tuple[Row, ...]
    strokes: int
    skipped: int
    right: float
    probabilities: NDArray[np.float32]
    truth: NDArray[np.intp]
    weights: NDArray[np.float64]

    @property
    def dice(self) -> float:
        """Mean Dice over the classes; NaN without any."""
        return _mean([row.dice for row in self.rows])

    @property
    def hd95(self) -> float:
        """Mean HD95 over the classes, in the unit of the spacing."""
        return _mean([row.hd95 for row in self.rows])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def summarise_answers(
    answers: Sequence[tuple[Stroke, NDArray[np.float32]]],
    shape: tuple[int, int],
    spacing: Sequence[float] | None,
    skipped: int,
    case: str,
) -> HeldOut:
    """Score answers: strokes and the probabilities (N, K) of their pixels.

    Parameters
    ----------
    answers : sequence of (Stroke, numpy.ndarray)
        At least one.
    shape : tuple of int
        (Y, X) of the plane.
    spacing : sequence of float, optional
        (Y, X) distance between pixels; 1 if not given.
    skipped : int
        Strokes that could not be held out.
    case : str
        Goes into the rows.
    """
    sizes = [len(s.pixels) for s, _ in answers]
    weights = np.repeat([1 / n for n in sizes], sizes)
    truth = np.repeat([s.code - 1 for s, _ in answers], sizes).astype(np.intp)
    width = max(p.shape[1] for _, p in answers)
    padded = [np.pad(p, ((0, 0), (0, width - p.shape[1]))) for _, p in answers]
    probabilities = np.concatenate(padded)
    right = float((weights * (probabilities.argmax(1) == truth)).sum() / len(answers))
    rows = _rows(answers, shape, spacing, case)
    return HeldOut(rows, len(answers), skipped, right, probabilities, truth, weights)


def _rows(
    answers: Sequence[tuple[Stroke, NDArray[np.float32]]],
    shape: tuple[int, int],
    spacing: Sequence[float] | None,
    case: str,
) -> tuple[Row, ...]:
    """Compare predicted and marked classes on the held-out pixels of all planes."""
    planes = sorted({s.plane for s, _ in answers})
    found, true = (np.zeros((len(planes), *shape), np.int32) for _ in range(2))
    for stroke, p in answers:
        at = planes.index(stroke.plane)
        found[at].reshape(-1)[stroke.pixels] = p.argmax(1)
        true[at].reshape(-1)[stroke.pixels] = stroke.code - 1
    labels = {s.code - 1 for s, _ in answers} - {0}
    return tuple(score_case(found, true, spacing, labels, case, by_plane=True))
