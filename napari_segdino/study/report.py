"""Tables of the scores of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_segdino.metrics import MEASURES, Row, SummaryTable, summarise
from napari_segdino.study.evaluate import mean_score
from napari_segdino.study.settings import SeedResult


def all_rows(results: Sequence[SeedResult]) -> list[Row]:
    """Scores of all seeds; with several, the case's name says which.

    Parameters
    ----------
    results : sequence of SeedResult
        One a seed.

    Returns
    -------
    list of Row
    """
    if len(results) == 1:
        return list(results[0].rows)
    return [
        replace(row, case=f"{row.case} (seed {result.seed})")
        for result in results
        for row in result.rows
    ]


def summary_of(results: Sequence[SeedResult]) -> SummaryTable:
    """Sum up the test cases; several seeds are averaged by case first.

    A case scored with three seeds is one case, not three: intervals are over
    cases.

    Parameters
    ----------
    results : sequence of SeedResult
        One a seed.

    Returns
    -------
    SummaryTable
    """
    groups: dict[tuple[str, int], list[Row]] = {}
    for result in results:
        for row in result.rows:
            groups.setdefault((row.case, row.label), []).append(row)
    return summarise([_mean_row(rows) for rows in groups.values()])


def _mean_row(rows: Sequence[Row]) -> Row:
    dice, iou, hd95, assd = (
        float(np.mean([getattr(row, name) for row in rows])) for name in MEASURES
    )
    return replace(rows[0], dice=dice, iou=iou, hd95=hd95, assd=assd)


def seed_table(results: Sequence[SeedResult]) -> str:
    """Lay out the means of every seed and their spread.

    Parameters
    ----------
    results : sequence of SeedResult
        One a seed, at least two.

    Returns
    -------
    str
    """
    lines = [f"{'seed':>8} {'valid. Dice':>11} {'Dice':>8} {'IoU':>8} {'HD95':>9}"]
    table = []
    for one in results:
        values = [mean_score(one.rows, m) for m in ("dice", "iou", "hd95")]
        table.append([one.validation, *values])
        lines.append(_line(str(one.seed), table[-1]))
    lines.append(_line("mean", np.mean(table, 0)))
    lines.append(_line("sd", np.std(table, 0, ddof=1)))
    return "\n".join(lines)


def _line(name: str, values: Sequence[float]) -> str:
    valid, dice, iou, hd95 = values
    return f"{name:>8} {valid:11.4f} {dice:8.4f} {iou:8.4f} {hd95:9.3f}"


def case_table(rows: Sequence[Row]) -> str:
    """Lay out the scores of every case.

    Parameters
    ----------
    rows : sequence of Row
        One a case and class.

    Returns
    -------
    str
        A line each, under a line of names.
    """
    width = max([len("case"), *(len(row.case) for row in rows)])
    head = f"{'case':{width}} {'class':>5} {'dice':>7} {'iou':>7} {'hd95':>9}"
    lines = [
        f"{r.case:{width}} {r.label:>5} {r.dice:7.4f} {r.iou:7.4f} {r.hd95:9.3f}"
        for r in rows
    ]
    return "\n".join([head, *lines])
