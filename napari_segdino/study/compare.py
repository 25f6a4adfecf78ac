"""Comparing files of masks with files of references."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_segdino.errors import InputError
from napari_segdino.io.read import read_mask, read_scan
from napari_segdino.metrics import Row, score_case
from napari_segdino.progress import Progress, Steps
from napari_segdino.study.labels import LabelRule, iter_labels, number_instances

Pair = tuple[Path, Path]
Labels = Sequence[tuple[int, ...]]

PICTURE_VALUE = 100
"""One label of at least this is how a picture shows yes, such as 255."""


def iter_rules(
    pairs: Sequence[Pair], binary: bool | None = None
) -> Steps[tuple[LabelRule, LabelRule]]:
    """Decide how predicted and true masks are read before they are compared.

    More careful than :func:`~napari_segdino.study.labels.decide`: a label may
    be alone because the others were not found.

    Parameters
    ----------
    pairs : sequence of (predicted, true)
        Files.
    binary : bool, optional
        True merges all labels above 0, False compares them as they are.

    Yields
    ------
    Progress

    Returns
    -------
    predicted, true : LabelRule
    """
    ours = yield from iter_labels([predicted for predicted, _ in pairs])
    theirs = yield from iter_labels([true for _, true in pairs])
    return _rule(ours, theirs, binary), _rule(theirs, ours, binary)


def _rule(mine: Labels, others: Labels, binary: bool | None) -> LabelRule:
    labels = tuple(sorted(set().union(*mine)))
    as_is = LabelRule(False, "Labels as they are.", labels)
    if binary is False or not labels:
        return as_is
    if binary:
        return LabelRule(True, "all labels above 0 are merged.", labels)
    if len(labels) == 1 and labels[0] >= PICTURE_VALUE:
        return LabelRule(True, f"0 and {labels[0]} are read as 0 and 1.", labels)
    if number_instances(mine) and set().union(*others) <= {1}:
        return LabelRule(True, "instance numbers are merged into one class.", labels)
    return as_is


def iter_compare(
    pairs: Sequence[Pair], rules: tuple[LabelRule, LabelRule]
) -> Steps[list[Row]]:
    """Score predicted masks against true ones.

    Parameters
    ----------
    pairs : sequence of (predicted, true)
        Files.
    rules : (LabelRule, LabelRule)
        From :func:`iter_rules`.

    Yields
    ------
    Progress

    Returns
    -------
    list of Row
        One a case and class that occurs in either mask, by the true file's
        name; distances in the unit of its spacing.

    Raises
    ------
    InputError
        If the shapes of a pair differ.
    """
    rows: list[Row] = []
    for done, (predicted, true) in enumerate(pairs):
        yield Progress(done, len(pairs), f"Scoring {true.name}")
        a, b = rules[0].apply(read_mask(predicted)), rules[1].apply(read_mask(true))
        spacing = read_scan(true, lazy=True).spacing
        steps = spacing if len(spacing) == b.ndim else None
        try:
            rows += score_case(a, b, spacing=steps, case=true.name)
        except InputError as error:
            raise InputError(f"{true.name}: {error}") from error
    return rows
