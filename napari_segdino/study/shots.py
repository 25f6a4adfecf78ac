"""Few-shot: how good a probe gets with how few cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.io.cases import Case, Dataset
from napari_segdino.metrics import Row, bootstrap_mean, score_case
from napari_segdino.progress import Steps
from napari_segdino.segmenter import Segmenter
from napari_segdino.study.evaluate import (
    by_case,
    iter_labels_of,
    iter_part,
    mean_score,
)
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


@dataclass(frozen=True, slots=True)
class ShotRow:
    """The score of one case and class after learning from a few.

    Parameters
    ----------
    shots, repeat : int
        Cases learned from, and which draw of them.
    case : str
        The scored case.
    label : int
        Its class.
    dice, iou, hd95 : float
        Its scores.
    """

    shots: int
    repeat: int
    case: str
    label: int
    dice: float
    iou: float
    hd95: float


@dataclass(frozen=True, slots=True)
class ShotSummary:
    """Dice with one number of cases.

    Parameters
    ----------
    shots, repeats : int
        Cases learned from, and draws of them.
    mean, sd : float
        Over the repeats, of the mean over the scored cases (and over the
        classes of a case first); `sd` is NaN for one repeat.
    low, high : float
        95 % bootstrap interval of the mean over scored cases, each averaged
        over the repeats.
    recovered : float
        Share of the mean with most cases.
    """

    shots: int
    repeats: int
    mean: float
    sd: float
    low: float
    high: float
    recovered: float


def iter_fewshot(
    dataset: Dataset,
    segmenter: Segmenter,
    plan: ShotPlan,
    side: int = 512,
    binary: bool | None = None,
) -> Steps[list[ShotRow]]:
    """Learn from few cases, again and again, and score others.

    Parameters
    ----------
    dataset : Dataset
        The cases.
    segmenter : Segmenter
        What learns; it is fitted anew each time, its features are kept.
    plan : ShotPlan
        What is repeated.
    side : int
        Longer side of pictures; see :class:`CaseReader`. Pictures that are squashed
        have the size at which they are shown.
    binary : bool, optional
        See :func:`~napari_segdino.study.labels.decide`.

    Yields
    ------
    Progress, str
        A string is a line for people.

    Returns
    -------
    list of ShotRow

    Raises
    ------
    InputError
        If there are too few cases.
    """
    features = segmenter.feature_settings
    if features.squash:
        side = max(features.sides)
    drawn = yield from iter_draw(dataset, plan, side, binary, features.squash)
    rows: list[ShotRow] = []
    for repeat in range(plan.repeats):
        order = in_order(drawn.pool, plan.seed, repeat)
        for shots in plan.shots:
            chosen = [drawn.read(case) for case in order[:shots]]
            yield from iter_learn(segmenter, chosen)
            found = yield from iter_score(segmenter, drawn)
            rows += [_shot_row(shots, repeat, row) for row in found]
            dice = mean_score(found)
            yield f"{shots} cases, repeat {repeat + 1}: Dice {dice:.4f}"
    return rows


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
    """Choose cases; see :func:`iter_fewshot` and :class:`CaseReader`.

    Yields
    ------
    Progress, str
        A string is a line for people.

    Returns
    -------
    Drawn
    """
    pool, tests, notes = sides_of(dataset, plan)
    labels = yield from iter_labels([c.mask for c in [*pool, *tests]])
    rule = decide(labels, dataset.label_names, binary)
    pool = with_classes(pool, labels, max(plan.shots))
    yield from (rule.text, *notes, f"{len(tests)} scored, drawn from {len(pool)}.")
    colour = any_colour([*pool, *tests])
    read = CaseReader(rule, len(dataset.channel_names), side, colour, squash)
    return Drawn(pool, [(case, read(case)) for case in tests], read)


def iter_learn(segmenter: Segmenter, chosen: Sequence[Loaded]) -> Steps[None]:
    """Learn anew from some cases.

    Yields
    ------
    Progress
    """
    images, marks = [c.image for c in chosen], [c.marks for c in chosen]
    how: Any = {"axes": same_axes(chosen), "spacing": [c.voxel_mm for c in chosen]}
    yield from segmenter.iter_fit(images, marks, **how)


def iter_score(segmenter: Segmenter, drawn: Drawn) -> Steps[list[Row]]:
    """Score the cases that are not learned from.

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


def sides_of(
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
    pool, notes = without_groups(pool, tests, "training")
    if plan.test is not None and len(tests) > plan.test:
        chosen = sorted(rng.permutation(len(tests))[: plan.test])
        tests = [tests[i] for i in chosen]
    return pool, tests, notes


def with_classes(
    pool: Sequence[Case], labels: Sequence[tuple[int, ...]], most: int
) -> list[Case]:
    """Leave out cases that hold nothing but background: no probe learns from one.

    Parameters
    ----------
    pool : sequence of Case
        Cases to learn from.
    labels : sequence of tuple of int
        Labels above 0 of each, and perhaps of others after them.
    most : int
        Cases that are needed.

    Returns
    -------
    list of Case

    Raises
    ------
    InputError
        If fewer are left.
    """
    kept = [case for case, found in zip(pool, labels, strict=False) if found]
    if len(kept) < most:
        raise InputError(
            f"{len(kept)} cases are left to learn from, fewer than {most}: ask for "
            "fewer shots, or fewer --test cases."
        )
    return kept


def in_order(pool: Sequence[Case], seed: int, repeat: int) -> list[Case]:
    """Put cases in an order by chance, group by group."""
    rng = np.random.default_rng((seed, repeat))
    names = sorted({c.group for c in pool})
    groups = [names[i] for i in rng.permutation(len(names))]
    return [c for group in groups for c in pool if c.group == group]


def _shot_row(shots: int, repeat: int, row: Row) -> ShotRow:
    return ShotRow(shots, repeat, row.case, row.label, row.dice, row.iou, row.hd95)


# -- summary and table --------------------------------------------------------


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
    """Standard deviation over the repeats of the mean over cases; NaN for one."""
    return float(table.mean(1).std(ddof=1)) if len(table) > 1 else float("nan")


def summarise(rows: Sequence[ShotRow]) -> list[ShotSummary]:
    """Sum up by number of cases.

    Parameters
    ----------
    rows : sequence of ShotRow
        From :func:`iter_fewshot`.

    Returns
    -------
    list of ShotSummary
        By rising number of cases.
    """
    out: list[ShotSummary] = []
    most = max(row.shots for row in rows)
    best = float("nan")
    for shots in sorted({row.shots for row in rows}, reverse=True):
        mine = [row for row in rows if row.shots == shots]
        table = dice_table(mine)
        mean = float(table.mean())
        best = mean if shots == most else best
        low, high = bootstrap_mean(table.mean(0))
        share = mean / best if best > 0 else float("nan")
        sd = spread(table)
        out.append(ShotSummary(shots, len(table), mean, sd, low, high, share))
    return out[::-1]


def shot_table(summaries: Sequence[ShotSummary]) -> str:
    """Lay out Dice by number of cases.

    Parameters
    ----------
    summaries : sequence of ShotSummary
        From :func:`summarise`.

    Returns
    -------
    str
        A line each, under a line of names.
    """
    lines = [
        f"{'cases':>5} {'Dice':>8} {'sd':>8} {'95 % interval':>18} {'recovered':>10}"
    ]
    for one in summaries:
        span = f"{one.low:.4f} - {one.high:.4f}"
        share = f"{100 * one.recovered:8.1f} %"
        lines.append(
            f"{one.shots:>5} {one.mean:8.4f} {one.sd:8.4f} {span:>18} {share:>10}"
        )
    lines.append("sd is over the repeats, the interval over the scored cases.")
    return "\n".join(lines)
