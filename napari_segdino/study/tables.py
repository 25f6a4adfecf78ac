"""Tables of scores as text."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from napari_segdino.files import atomic_path
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


def write_csv(path: Path, rows: Sequence[Any]) -> Path:
    """Write dataclasses of one kind as CSV, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    rows : sequence of dataclass
        At least one; its fields name the columns.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ScanError
        If the system refuses.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f.name for f in fields(rows[0])])
        writer.writerows(astuple(row) for row in rows)
    return path
