"""What each part of DINO-MVR adds: the same cases, one part more at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.io.cases import Dataset
from napari_segdino.metrics import bootstrap_mean
from napari_segdino.progress import Steps
from napari_segdino.segmenter import Segmenter
from napari_segdino.study.evaluate import mean_score
from napari_segdino.study.shot_report import dice_table, spread
from napari_segdino.study.shots import (
    ShotPlan,
    in_order,
    iter_draw,
    iter_learn_and_score,
)


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the ablation.

    Parameters
    ----------
    name : str
        What it has more than the line before.
    features : FeatureSettings
        The views.
    predicting : PredictSettings
        What is done with them.
    """

    name: str
    features: FeatureSettings
    predicting: PredictSettings


@dataclass(frozen=True, slots=True)
class RungRow:
    """The score of one case and class on one rung.

    Parameters
    ----------
    rung : str
        The rung's name.
    repeat : int
        Which draw of the cases that were learned from.
    case : str
        The scored case.
    label : int
        Its class.
    dice, iou, hd95 : float
        Its scores.
    """

    rung: str
    repeat: int
    case: str
    label: int
    dice: float
    iou: float
    hd95: float


@dataclass(frozen=True, slots=True)
class RungSummary:
    """Dice of one rung, and what it adds.

    Parameters
    ----------
    name : str
        The rung's.
    mean, sd : float
        Over the repeats, of the mean over the scored cases; `sd` is NaN for
        one repeat.
    change, low, high : float
        Mean difference to the rung before, case by case, and its 95 %
        bootstrap interval over the cases; NaN on the first rung.
    """

    name: str
    mean: float
    sd: float
    change: float
    low: float
    high: float


def ladder(
    sides: Sequence[int] = (512, 768),
    z_sigma: float = 1.0,
    volumes: bool = False,
    intensity: str = "auto",
) -> list[Rung]:
    """Return the rungs: one view, then one part of DINO-MVR more on each.

    Parameters
    ----------
    sides : sequence of int
        Longer sides of the views in pixels; the first one is the single view.
    z_sigma : float
        Width of the smoothing along z, in slices.
    volumes : bool
        Whether there is a z to smooth along.
    intensity : str
        See :class:`~napari_segdino.config.FeatureSettings`.

    Returns
    -------
    list of Rung
    """
    one = FeatureSettings((sides[0],), (1.0,), intensity=intensity, neighbours=0)
    more = replace(one, sides=tuple(sides))
    flips = replace(more, flips=True)
    mean = PredictSettings("mean", regularise=False)
    entropy = PredictSettings("entropy", regularise=False)
    rungs = [
        Rung("single view", one, mean),
        Rung("+ resolutions", more, mean),
        Rung("+ flips", flips, mean),
        Rung("+ entropy weight", flips, entropy),
        Rung("+ spatial", flips, PredictSettings("entropy")),
    ]
    if volumes:
        smooth = PredictSettings("entropy", z_sigma=z_sigma)
        rungs.append(Rung("+ z smoothing", flips, smooth))
    return rungs


def iter_ablation(
    dataset: Dataset,
    make: Callable[[Rung], Segmenter],
    rungs: Callable[[bool], Sequence[Rung]],
    plan: ShotPlan,
    side: int = 512,
    binary: bool | None = None,
) -> Steps[list[RungRow]]:
    """Learn and score on every rung, with the same cases.

    Parameters
    ----------
    dataset : Dataset
        The cases.
    make : callable
        Makes what learns on a rung.
    rungs : callable
        Takes whether the cases are volumes and returns the rungs.
    plan : ShotPlan
        With one number of cases.
    side, binary
        As for :func:`~napari_segdino.study.shots.iter_fewshot`.

    Yields
    ------
    Progress, str
        A string is a line for people.

    Returns
    -------
    list of RungRow

    Raises
    ------
    InputError
        If there are too few cases.
    """
    drawn = yield from iter_draw(dataset, plan, side, binary)
    steps = rungs(any("Z" in loaded.axes for _, loaded in drawn.scored))
    rows: list[RungRow] = []
    for repeat in range(plan.repeats):
        order = in_order(drawn.pool, plan.seed, repeat)
        chosen = [drawn.read(case) for case in order[: plan.shots[0]]]
        for rung in steps:
            found = yield from iter_learn_and_score(make(rung), chosen, drawn)
            rows += [
                RungRow(rung.name, repeat, r.case, r.label, r.dice, r.iou, r.hd95)
                for r in found
            ]
            yield f"{rung.name}, repeat {repeat + 1}: Dice {mean_score(found):.4f}"
    return rows


def summarise_rungs(rows: Sequence[RungRow]) -> list[RungSummary]:
    """Sum up by rung.

    Parameters
    ----------
    rows : sequence of RungRow
        From :func:`iter_ablation`.

    Returns
    -------
    list of RungSummary
        In the order of the rungs.
    """
    out: list[RungSummary] = []
    before = None
    for name in dict.fromkeys(row.rung for row in rows):
        mine = [row for row in rows if row.rung == name]
        table = dice_table(mine)
        cases = table.mean(0)
        change = low = high = float("nan")
        if before is not None:
            change = float((cases - before).mean())
            low, high = bootstrap_mean(cases - before)
        out.append(
            RungSummary(name, float(cases.mean()), spread(table), change, low, high)
        )
        before = cases
    return out


def rung_table(summaries: Sequence[RungSummary]) -> str:
    """Lay out Dice by rung.

    Parameters
    ----------
    summaries : sequence of RungSummary
        From :func:`summarise_rungs`.

    Returns
    -------
    str
        A line each, under a line of names.
    """
    lines = [f"{'':18} {'Dice':>8} {'sd':>8} {'change':>8} {'95 % interval':>20}"]
    for one in summaries:
        line = f"{one.name:18} {one.mean:8.4f} {one.sd:8.4f}"
        if not np.isnan(one.change):
            span = f"{one.low:+.4f} to {one.high:+.4f}"
            line += f" {one.change:+8.4f} {span:>20}"
        lines.append(line)
    lines.append("change is to the line above, its interval is over the scored cases.")
    return "\n".join(lines)
