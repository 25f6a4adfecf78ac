"""Scoring: what was trained, on cases of a data set, and files of masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.inference.predict import PlaneResult, label_dtype
from napari_segdino.io.cases import Case
from napari_segdino.io.read import read_mask, read_scan
from napari_segdino.metrics import Row, score_case
from napari_segdino.metrics.scores import by_case
from napari_segdino.progress import Progress, Steps, relay
from napari_segdino.study.labels import LabelRule, iter_labels, number_instances
from napari_segdino.study.read import CaseReader, Loaded

T = TypeVar("T")

Pair = tuple[Path, Path]
Labels = Sequence[tuple[int, ...]]

PICTURE_VALUE = 100
"""One label of at least this is how a picture shows yes, such as 255."""

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
        # In hundredths, so that progress within a case is seen.
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


# -- files of masks against files of references --------------------------------


def iter_rules(
    pairs: Sequence[Pair], binary: bool | None = None
) -> Steps[tuple[LabelRule, LabelRule]]:
    """Decide how predicted and true masks are read before they are compared.

    More careful than :func:`~napari_segdino.study.labels.decide`: a label may
    be alone because the others were not found.

    Parameters
    ----------
    pairs : sequence of (predicted, true)
        Files.
    binary : bool, optional
        True merges all labels above 0, False compares them as they are.

    Yields
    ------
    Progress

    Returns
    -------
    predicted, true : LabelRule
    """
    ours = yield from iter_labels([predicted for predicted, _ in pairs])
    theirs = yield from iter_labels([true for _, true in pairs])
    return _rule(ours, theirs, binary), _rule(theirs, ours, binary)


def _rule(mine: Labels, others: Labels, binary: bool | None) -> LabelRule:
    labels = tuple(sorted(set().union(*mine)))
    as_is = LabelRule(False, "Labels as they are.", labels)
    if binary is False or not labels:
        return as_is
    if binary:
        return LabelRule(True, "all labels above 0 are merged.", labels)
    if len(labels) == 1 and labels[0] >= PICTURE_VALUE:
        return LabelRule(True, f"0 and {labels[0]} are read as 0 and 1.", labels)
    # With one class on the other side, numbers here can only tell objects apart.
    if number_instances(mine) and set().union(*others) <= {1}:
        return LabelRule(True, "instance numbers are merged into one class.", labels)
    return as_is


def iter_compare(
    pairs: Sequence[Pair], rules: tuple[LabelRule, LabelRule]
) -> Steps[list[Row]]:
    """Score predicted masks against true ones.

    Parameters
    ----------
    pairs : sequence of (predicted, true)
        Files.
    rules : (LabelRule, LabelRule)
        From :func:`iter_rules`.

    Yields
    ------
    Progress

    Returns
    -------
    list of Row
        One a case and class that occurs in either mask, by the true file's
        name; distances in the unit of its spacing.

    Raises
    ------
    InputError
        If the shapes of a pair differ.
    """
    rows: list[Row] = []
    for done, (predicted, true) in enumerate(pairs):
        yield Progress(done, len(pairs), f"Scoring {true.name}")
        a, b = rules[0].apply(read_mask(predicted)), rules[1].apply(read_mask(true))
        # Of the reference: masks that a program wrote may have lost theirs.
        spacing = read_scan(true, lazy=True).spacing
        steps = spacing if len(spacing) == b.ndim else None
        try:
            rows += score_case(a, b, spacing=steps, case=true.name)
        except InputError as error:
            raise InputError(f"{true.name}: {error}") from error
    return rows
