"""Few-shot: how good a probe gets with how few cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_segdino.io.cases import Dataset
from napari_segdino.metrics import bootstrap_mean
from napari_segdino.progress import Steps
from napari_segdino.segmenter import Segmenter
from napari_segdino.study.evaluate import mean_score
from napari_segdino.study.repeats import (
    ShotPlan,
    dice_table,
    in_order,
    iter_draw,
    iter_learn,
    iter_score,
    scores_of,
    spread,
)


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
            yield from iter_learn(segmenter, drawn, order[:shots])
            found = yield from iter_score(segmenter, drawn)
            rows += [ShotRow(shots, repeat, *scores_of(row)) for row in found]
            dice = mean_score(found)
            yield f"{shots} cases, repeat {repeat + 1}: Dice {dice:.4f}"
    return rows


# -- summary and table --------------------------------------------------------


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
    # From the most on: all others are shares of its mean.
    for shots in sorted({row.shots for row in rows}, reverse=True):
        mine = [row for row in rows if row.shots == shots]
        table = dice_table(mine)
        mean = float(table.mean())
        best = mean if shots == most else best
        # Over cases: repeats of one case are not independent of each other.
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
