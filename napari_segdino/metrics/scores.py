"""Scores of many cases: rows, their summary, CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_segdino.files import write_csv
from napari_segdino.metrics.measures import (
    Floats,
    dice,
    iou,
    plane_distances,
    pooled_assd,
    pooled_hd95,
    same_shape,
    surface_distances,
)

MEASURES = ("dice", "iou", "hd95", "assd")


@dataclass(frozen=True, slots=True)
class Row:
    """Agreement on one class of one case.

    Parameters
    ----------
    case : str
        Name of the image.
    label : int
        Class, from 1.
    dice, iou : float
        Overlap, 0 to 1.
    hd95, assd : float
        95 % Hausdorff and average symmetric surface distance, in the unit of
        the spacing; pixels without one.
    predicted, true : int
        Pixels of the class in either mask.
    """

    case: str
    label: int
    dice: float
    iou: float
    hd95: float
    assd: float
    predicted: int
    true: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One measure of one class over all cases.

    Parameters
    ----------
    label : int
        Class; 0 stands for the mean over classes of each case.
    measure : str
        One of :data:`MEASURES`.
    mean, sd : float
        Over the finite values; NaN where there are none, `sd` also for one.
    low, high : float
        95 % bootstrap interval of the mean.
    cases, infinite : int
        Values in all, and those left out because they are infinite.
    """

    label: int
    measure: str
    mean: float
    sd: float
    low: float
    high: float
    cases: int
    infinite: int


# A tuple and not a list in a dataclass: code reads it, people print it.
class SummaryTable(tuple[Summary, ...]):
    """Summaries that print as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        lines = [
            f"{'class':>5} {'measure':>7} {'mean':>8} {'sd':>8} {'95 % interval':>18}"
        ]
        for one in self:
            name = "all" if one.label == 0 else str(one.label)
            span = f"{one.low:.4f} - {one.high:.4f}"
            left = f"  ({one.infinite} infinite)" if one.infinite else ""
            lines.append(
                f"{name:>5} {one.measure:>7} {one.mean:8.4f} {one.sd:8.4f} "
                f"{span:>18}  n={one.cases}{left}"
            )
        return "\n".join(lines)


def score_case(
    predicted: ArrayLike,
    true: ArrayLike,
    spacing: Sequence[float] | None = None,
    classes: Iterable[int] | None = None,
    case: str = "",
    by_plane: bool = False,
) -> list[Row]:
    """Compare two masks, class by class.

    Parameters
    ----------
    predicted, true : array of int, same shape
        0 background, 1.. classes.
    spacing : sequence of float, optional
        Distance between pixels by axis; 1 if not given.
    classes : iterable of int, optional
        Which classes; all that occur in either mask if not given.
    case : str
        Name of the image.
    by_plane : bool
        Whether distances are measured within the planes of the first axis and
        pooled; `spacing` is (Y, X) then.

    Returns
    -------
    list of Row
        One a class, in rising order.

    Raises
    ------
    InputError
        If shapes differ or the spacing does not fit.

    Examples
    --------
    >>> row, = score_case([[1, 1, 0]], [[1, 0, 0]], case="a")
    >>> row.dice, row.hd95
    (0.6666666666666666, 0.95)
    """
    first, second = same_shape(predicted, true)
    if classes is None:
        classes = set(np.unique(first).tolist()) | set(np.unique(second).tolist())
        classes.discard(0)
    rows = []
    distances = plane_distances if by_plane else surface_distances
    for label in sorted(int(c) for c in classes):
        a, b = first == label, second == label
        ways = distances(a, b, spacing)
        counts = int(a.sum()), int(b.sum())
        overlap = dice(a, b), iou(a, b)
        rows.append(
            Row(case, label, *overlap, pooled_hd95(*ways), pooled_assd(*ways), *counts)
        )
    return rows


def bootstrap_mean(
    values: ArrayLike, repeats: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a mean.

    Parameters
    ----------
    values : array, shape (n,)
        Independent cases.
    repeats : int
        Samples drawn with replacement.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    low, high : float
        NaN without values.
    """
    data = np.asarray(values, float)
    if not len(data):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    # Not scipy's bootstrap, which refuses a single value.
    means = [data[rng.integers(0, len(data), len(data))].mean() for _ in range(repeats)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _summary(label: int, measure: str, values: Floats, seed: int) -> Summary:
    good = values[np.isfinite(values)]
    mean = float(good.mean()) if len(good) else float("nan")
    # Of a sample: numpy's own default is that of a population.
    sd = float(good.std(ddof=1)) if len(good) > 1 else float("nan")
    low, high = bootstrap_mean(good, seed=seed)
    left = len(values) - len(good)
    return Summary(label, measure, mean, sd, low, high, len(values), left)


def by_case(rows: Sequence[Any], measure: str = "dice") -> dict[str, float]:
    """Average over the classes of each case.

    Parameters
    ----------
    rows : sequence of Row
        Or of anything with a ``case`` and the measure.
    measure : str
        One of :data:`MEASURES`.

    Returns
    -------
    dict of str to float
        By case, in the order of the rows; infinite where a class is.
    """
    cases: dict[str, list[float]] = {}
    for row in rows:
        cases.setdefault(row.case, []).append(float(getattr(row, measure)))
    return {case: float(np.mean(values)) for case, values in cases.items()}


def summarise(rows: Sequence[Row], seed: int = 0) -> SummaryTable:
    """Sum up the rows of many cases.

    Parameters
    ----------
    rows : sequence of Row
        From :func:`score_case`.
    seed : int
        For the bootstrap.

    Returns
    -------
    SummaryTable
        A tuple of :class:`Summary` that prints as a table: every measure for
        every class, then (label 0) for the mean over classes by case.
    """
    table = []
    for label in sorted({row.label for row in rows}):
        mine = [row for row in rows if row.label == label]
        for measure in MEASURES:
            values = np.array([getattr(row, measure) for row in mine], float)
            table.append(_summary(label, measure, values, seed))
    # With one class the mean over classes would say the same again.
    if len({row.label for row in rows}) > 1:
        for measure in MEASURES:
            means = np.array(list(by_case(rows, measure).values()))
            table.append(_summary(0, measure, means, seed))
    return SummaryTable(table)


def to_csv(path: Path | str, rows: Sequence[Any]) -> Path:
    """Write dataclasses of one kind as CSV, whole or not at all.

    Parameters
    ----------
    path : path
        Where to.
    rows : sequence of dataclass
        Such as Row or Summary; their fields name the columns.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ScanError
        If the system refuses.
    """
    names = [f.name for f in fields(type(rows[0]) if rows else Row)]
    return write_csv(path, names, (astuple(row) for row in rows))
