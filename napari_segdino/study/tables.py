"""Tables of scores as text."""

from __future__ import annotations

from collections.abc import Sequence

from napari_segdino.metrics import Row


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
