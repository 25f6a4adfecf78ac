"""Scoring what was trained on cases of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_segdino.inference.predict import PlaneResult, label_dtype
from napari_segdino.io.cases import Case
from napari_segdino.metrics import Row, score_case
from napari_segdino.progress import Progress, Steps, relay
from napari_segdino.study.read import CaseReader, Loaded

T = TypeVar("T")

Predict = Callable[[Loaded], Steps[None]]
"""Yields Progress and a PlaneResult for each plane of a case."""


def iter_labels_of(
    predict: Predict, loaded: Loaded, n_classes: int
) -> Steps[NDArray[Any]]:
    """Predict a case that is in memory.

    Parameters
    ----------
    predict : callable
        Does it plane by plane.
    loaded : Loaded
        The case.
    n_classes : int
        Classes with background.

    Yields
    ------
    Progress

    Returns
    -------
    numpy.ndarray, shape of the mask
        Labels.
    """
    shape = loaded.mask.shape
    planes = (int(np.prod(shape[:-2])), *shape[-2:])
    labels = np.zeros(planes, label_dtype(n_classes))
    for step in predict(loaded):
        if isinstance(step, PlaneResult):
            labels[step.index] = step.labels
        else:
            yield step
    return labels.reshape(shape)


def iter_evaluate(
    predict: Predict, n_classes: int, cases: Sequence[Case], read: CaseReader
) -> Steps[list[Row]]:
    """Score what was trained, case by case.

    Parameters
    ----------
    predict : callable
        Predicts plane by plane.
    n_classes : int
        Classes with background.
    cases : sequence of Case
        Not those it learned from.
    read : CaseReader
        Reads them.

    Yields
    ------
    Progress

    Returns
    -------
    list of Row
        One a case and class that occurs in either mask; distances in the unit
        of the spacing, after pictures were scaled by the reader.
    """
    rows: list[Row] = []
    for done, case in enumerate(cases):
        yield Progress(100 * done, 100 * len(cases), f"Scoring {case.name}")
        loaded = read(case)
        steps = iter_labels_of(predict, loaded, n_classes)
        text = f"Scoring {case.name}"
        labels = yield from iter_part(steps, done, len(cases), text)
        rows += score_case(labels, loaded.mask, loaded.spacing, case=case.name)
    return rows


def iter_part(steps: Steps[T], done: int, count: int, text: str) -> Steps[T]:
    """Run one of several tasks, showing how far all of them have come.

    Parameters
    ----------
    steps : generator
        The task.
    done, count : int
        Tasks before it, and in all.
    text : str
        What is being done, for people.

    Yields
    ------
    Progress
        In hundredths of a task.

    Returns
    -------
    object
        What the task returns.
    """

    def part_of_all(step: Any) -> Iterator[Progress]:
        part = step.done / step.total if step.total else 0
        yield Progress(round(100 * (done + part)), 100 * count, text)

    return relay(steps, part_of_all)


def mean_score(rows: Sequence[Any], measure: str = "dice") -> float:
    """Mean over cases of the mean over the classes of each; NaN without any.

    Parameters
    ----------
    rows : sequence
        Of things with a ``case`` and the measure.
    measure : str
        The measure's name.

    Returns
    -------
    float
    """
    means = list(by_case(rows, measure).values())
    return float(np.mean(means)) if means else float("nan")


def by_case(rows: Sequence[Any], measure: str = "dice") -> dict[str, float]:
    """Mean over the classes of each case; see :func:`mean_score`."""
    cases: dict[str, list[float]] = {}
    for row in rows:
        cases.setdefault(row.case, []).append(float(getattr(row, measure)))
    return {case: float(np.mean(values)) for case, values in cases.items()}
