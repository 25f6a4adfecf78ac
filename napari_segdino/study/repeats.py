"""Learning from a few cases again and again, and scoring others each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.io.cases import Case, Dataset
from napari_segdino.metrics import Row, score_case
from napari_segdino.metrics.scores import by_case
from napari_segdino.progress import Steps
from napari_segdino.segmenter import Segmenter
from napari_segdino.study.evaluate import iter_labels_of, iter_part
from napari_segdino.study.labels import decide, iter_labels
from napari_segdino.study.read import CaseReader, Loaded, any_colour, same_axes
from napari_segdino.study.split import TEST, draw, without_groups


@dataclass(frozen=True, slots=True)
class ShotPlan:
    """What is repeated.

    Parameters
    ----------
    shots : tuple of int
        Numbers of cases to learn from, rising.
    repeats : int
        How often the cases are drawn; within a repeat, fewer cases are the
        first of more.
    test : int, optional
        Cases that are scored, at most; None: the data set's test cases, else
        a fifth.
    seed : int
        The same seed draws the same cases.
    """

    shots: tuple[int, ...]
    repeats: int = 5
    test: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """What is learned from and what is scored.

    Parameters
    ----------
    pool : list of Case
        To learn from.
    scored : list of (Case, Loaded)
        Others.
    read : CaseReader
        Reads them all.
    """

    pool: list[Case]
    scored: list[tuple[Case, Loaded]]
    read: CaseReader


def iter_draw(
    dataset: Dataset, plan: ShotPlan, side: int, binary: bool | None, squash: str = ""
) -> Steps[Drawn]:
    """Choose cases and say how they are read.

    Parameters
    ----------
    dataset : Dataset
        The cases.
    plan : ShotPlan
        How many are learned from and scored.
    side, squash
        See :class:`CaseReader`.
    binary : bool, optional
        See :func:`~napari_segdino.study.labels.decide`.

    Yields
    ------
    Progress, str
        A string is a line for people.

    Returns
    -------
    Drawn
    """
    pool, tests, notes = _sides_of(dataset, plan)
    labels = yield from iter_labels([c.mask for c in [*pool, *tests]])
    rule = decide(labels, dataset.label_names, binary)
    pool = _with_classes(pool, labels, max(plan.shots))
    yield from (rule.text, *notes, f"{len(tests)} scored, drawn from {len(pool)}.")
    colour = any_colour([*pool, *tests])
    read = CaseReader(rule, len(dataset.channel_names), side, colour, squash)
    return Drawn(pool, [(case, read(case)) for case in tests], read)


def iter_learn(
    segmenter: Segmenter, drawn: Drawn, cases: Sequence[Case]
) -> Steps[None]:
    """Learn anew from some cases.

    Parameters
    ----------
    segmenter : Segmenter
        What learns; what it learned before is forgotten.
    drawn : Drawn
        Reads the cases.
    cases : sequence of Case
        Of its pool.

    Yields
    ------
    Progress
    """
    chosen = [drawn.read(case) for case in cases]
    images, marks = [c.image for c in chosen], [c.marks for c in chosen]
    how: Any = {"axes": same_axes(chosen), "spacing": [c.voxel_mm for c in chosen]}
    yield from segmenter.iter_fit(images, marks, **how)


def iter_score(segmenter: Segmenter, drawn: Drawn) -> Steps[list[Row]]:
    """Score the cases that are not learned from.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    drawn : Drawn
        Holds them.

    Yields
    ------
    Progress

    Returns
    -------
    list of Row
        One a scored case and class that it holds.

    Raises
    ------
    InputError
        If the scored cases hold nothing but background.
    """
    rows: list[Row] = []
    for done, (case, loaded) in enumerate(drawn.scored):
        steps = iter_labels_of(
            lambda one: segmenter.iter_predict(
                one.image, axes=one.axes, spacing=one.voxel_mm
            ),
            loaded,
            segmenter.n_classes_,
        )
        text = f"Scoring {case.name}"
        labels = yield from iter_part(steps, done, len(drawn.scored), text)
        # A class that is only predicted is a fault of the true ones already.
        classes = [int(v) for v in np.unique(loaded.mask) if v]
        rows += score_case(labels, loaded.mask, loaded.spacing, classes, case.name)
    if not rows:
        raise InputError("The scored cases hold nothing but background.")
    return rows


def _sides_of(
    dataset: Dataset, plan: ShotPlan
) -> tuple[list[Case], list[Case], list[str]]:
    """Choose the cases to learn from and those that are scored.

    Returns
    -------
    pool, tests : list of Case
        No group is on both sides.
    notes : list of str
        Sentences for people.
    """
    rng = np.random.default_rng(plan.seed)
    tests = list(dataset.of("test"))
    pool = [c for c in dataset.cases if c.split != "test"]
    if not tests:
        share = TEST if plan.test is None else plan.test / len(pool)
        pool, tests = draw(pool, min(share, 1.0), rng)
    # Also for a data set that says its test cases: its groups may still cross.
    pool, notes = without_groups(pool, tests, "training")
    if plan.test is not None and len(tests) > plan.test:
        chosen = sorted(rng.permutation(len(tests))[: plan.test])
        tests = [tests[i] for i in chosen]
    return pool, tests, notes


def _with_classes(
    pool: Sequence[Case], labels: Sequence[tuple[int, ...]], most: int
) -> list[Case]:
    """Leave out cases that hold nothing but background: no probe learns from one.

    `labels` may go on with those of other cases; `most` cases are needed.
    """
    kept = [case for case, found in zip(pool, labels, strict=False) if found]
    if len(kept) < most:
        raise InputError(
            f"{len(kept)} cases are left to learn from, fewer than {most}: ask for "
            "fewer shots, or fewer --test cases."
        )
    return kept


def in_order(pool: Sequence[Case], seed: int, repeat: int) -> list[Case]:
    """Put cases in an order by chance, group by group.

    Parameters
    ----------
    pool : sequence of Case
        Cases to learn from.
    seed, repeat : int
        The same two give the same order, so that fewer cases are the first of more.
    """
    # Of both and not of what was drawn before: a repeat is the same whatever ran before
    # it.
    rng = np.random.default_rng((seed, repeat))
    names = sorted({c.group for c in pool})
    groups = [names[i] for i in rng.permutation(len(names))]
    # Group by group: five cases of one patient are little more than one.
    return [c for group in groups for c in pool if c.group == group]


def scores_of(row: Row) -> tuple[str, int, float, float, float]:
    """Return what a table of repeats keeps of a row.

    Parameters
    ----------
    row : Row
        Of one scored case and class.

    Returns
    -------
    tuple
        Case, label, Dice, IoU and HD95.
    """
    return row.case, row.label, row.dice, row.iou, row.hd95


def dice_table(rows: Sequence[Any]) -> NDArray[np.float64]:
    """Dice of each scored case in each repeat, mean over its classes.

    Parameters
    ----------
    rows : sequence
        Of things with a ``repeat``, a ``case`` and a ``dice``.

    Returns
    -------
    numpy.ndarray, shape (repeats, cases)
    """
    repeats = sorted({row.repeat for row in rows})
    return np.array(
        [list(by_case([r for r in rows if r.repeat == k]).values()) for k in repeats]
    )


def spread(table: NDArray[np.float64]) -> float:
    """Return the standard deviation over the repeats of the mean over cases.

    Parameters
    ----------
    table : numpy.ndarray, shape (repeats, cases)
        From :func:`dice_table`.

    Returns
    -------
    float
        NaN for one repeat.
    """
    return float(table.mean(1).std(ddof=1)) if len(table) > 1 else float("nan")
