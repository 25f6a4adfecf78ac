"""What is said of few-shot runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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


class Repeated(Protocol):
    """The score of a case in one of several repeats."""

    @property
    def repeat(self) -> int:
        """Which repeat."""


def dice_table(rows: Sequence[Repeated]) -> NDArray[np.float64]:
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
