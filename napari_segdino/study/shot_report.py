"""What is said of few-shot runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_segdino.metrics import bootstrap_mean
from napari_segdino.study.evaluate import by_case


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


def _dice_of(rows: Sequence[ShotRow], repeat: int) -> list[float]:
    """Dice of each scored case in one repeat."""
    return list(by_case([row for row in rows if row.repeat == repeat]).values())


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
        repeats = sorted({row.repeat for row in mine})
        table = np.array([_dice_of(mine, k) for k in repeats])
        means = table.mean(1)
        mean = float(means.mean())
        best = mean if shots == most else best
        sd = float(means.std(ddof=1)) if len(repeats) > 1 else float("nan")
        low, high = bootstrap_mean(table.mean(0))
        share = mean / best if best > 0 else float("nan")
        out.append(ShotSummary(shots, len(repeats), mean, sd, low, high, share))
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
