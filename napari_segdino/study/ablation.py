"""What each part of DINO-MVR adds: the same probe, one part more at a time."""

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
class AblationStep:
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
class StepRow:
    """The score of one case and class on one step.

    Parameters
    ----------
    step : str
        The step's name.
    repeat : int
        Which draw of the cases that were learned from.
    case : str
        The scored case.
    label : int
        Its class.
    dice, iou, hd95 : float
        Its scores.
    """

    step: str
    repeat: int
    case: str
    label: int
    dice: float
    iou: float
    hd95: float


@dataclass(frozen=True, slots=True)
class StepSummary:
    """Dice of one step, and what it adds.

    Parameters
    ----------
    name : str
        The step's.
    mean, sd : float
        Over the repeats, of the mean over the scored cases; `sd` is NaN for
        one repeat.
    change, low, high : float
        Mean difference to the step before, case by case, and its 95 %
        bootstrap interval over the cases; NaN on the first step.
    """

    name: str
    mean: float
    sd: float
    change: float
    low: float
    high: float


def ablation_steps(
    sides: Sequence[int] = (512, 768),
    z_sigma: float = 1.0,
    volumes: bool = False,
    intensity: str = "auto",
) -> list[AblationStep]:
    """Return the steps: one view, then one part of DINO-MVR more on each.

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
    list of AblationStep
    """
    # Each slice alone: neighbours as channels are ours and no part of the paper.
    one = FeatureSettings((sides[0],), (1.0,), intensity=intensity, neighbours=0)
    more = replace(one, sides=tuple(sides))
    flips = replace(more, flips=True)
    mean = PredictSettings("mean", regularise=False)
    entropy = PredictSettings("entropy", regularise=False)
    steps = [
        AblationStep("single view", one, mean),
        AblationStep("+ resolutions", more, mean),
        AblationStep("+ flips", flips, mean),
        AblationStep("+ entropy weight", flips, entropy),
        AblationStep("+ spatial", flips, PredictSettings("entropy")),
    ]
    if volumes:
        smooth = PredictSettings("entropy", z_sigma=z_sigma)
        steps.append(AblationStep("+ z smoothing", flips, smooth))
    return steps


def iter_ablation(
    dataset: Dataset,
    segmenter: Segmenter,
    steps: Callable[[bool], Sequence[AblationStep]],
    plan: ShotPlan,
    side: int = 512,
    binary: bool | None = None,
) -> Steps[list[StepRow]]:
    """Learn once as on the first step, and score that probe on every step.

    What is trained is the same on all: only what is done to predict differs.

    Parameters
    ----------
    dataset : Dataset
        The cases.
    segmenter : Segmenter
        What learns, anew on each repeat; its views and predictions are the steps'.
    steps : callable
        Takes whether the cases are volumes and returns the steps.
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
    list of StepRow

    Raises
    ------
    InputError
        If there are too few cases.
    """
    drawn = yield from iter_draw(dataset, plan, side, binary)
    chosen_steps = steps(any("Z" in loaded.axes for _, loaded in drawn.scored))
    rows: list[StepRow] = []
    for repeat in range(plan.repeats):
        order = in_order(drawn.pool, plan.seed, repeat)
        _take(segmenter, chosen_steps[0])
        yield from iter_learn(segmenter, drawn, order[: plan.shots[0]])
        for step in chosen_steps:
            _take(segmenter, step)
            found = yield from iter_score(segmenter, drawn)
            rows += [StepRow(step.name, repeat, *scores_of(row)) for row in found]
            yield f"{step.name}, repeat {repeat + 1}: Dice {mean_score(found):.4f}"
    return rows


def _take(segmenter: Segmenter, step: AblationStep) -> None:
    segmenter.set_params(features=step.features, predicting=step.predicting)


def summarise_steps(rows: Sequence[StepRow]) -> list[StepSummary]:
    """Sum up by step.

    Parameters
    ----------
    rows : sequence of StepRow
        From :func:`iter_ablation`.

    Returns
    -------
    list of StepSummary
        In the order of the steps.
    """
    out: list[StepSummary] = []
    before = None
    for name in dict.fromkeys(row.step for row in rows):
        mine = [row for row in rows if row.step == name]
        table = dice_table(mine)
        cases = table.mean(0)
        change = low = high = float("nan")
        if before is not None:
            change = float((cases - before).mean())
            # Paired: the same cases were scored on both lines, whose own spread drops
            # out.
            low, high = bootstrap_mean(cases - before)
        out.append(
            StepSummary(name, float(cases.mean()), spread(table), change, low, high)
        )
        before = cases
    return out


def step_table(summaries: Sequence[StepSummary]) -> str:
    """Lay out Dice by step.

    Parameters
    ----------
    summaries : sequence of StepSummary
        From :func:`summarise_steps`.

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
