"""Scores: held-out strokes, the curve, a reference layer, CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtGui import QPixmap

from napari_segdino._qt.controllers import score_review as score_module
from napari_segdino._qt.controllers.score_review import (
    ELSEWHERE,
    TOO_FEW,
    held_out_text,
    table_rows,
)
from napari_segdino._qt.layers.image_layers import Spacing, spacing_of
from napari_segdino._qt.mouse import click
from napari_segdino._qt.worker import idle as idle_module
from napari_segdino.heads.probe.samples import UNSUPERVISED
from napari_segdino.metrics import score_case
from napari_segdino.review.live_score import HeldOut
from napari_segdino.study.plots import Line, draw_curve


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_module, "PATIENCE", 0.0)
    monkeypatch.setattr(idle_module, "REST", 0.05)


# -- units -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "units", "steps", "unit"),
    [
        ((1, 1), None, (1, 1), "px"),
        ((2, 0.5), None, (2, 0.5), ""),
        ((3, 0.5), ("mm", "mm"), (3, 0.5), "mm"),
        ((2, 0.5), ("mm", "um"), (2000, 0.5), "µm"),
        ((4, 2, 0.5), ("s", "mm", "mm"), (4, 2, 0.5), "mm"),
    ],
)
def test_spacing_in_the_unit_of_the_last_axis(
    scale: tuple[float, ...], units: Any, steps: tuple[float, ...], unit: str
) -> None:
    layer = Image(np.zeros((2,) * len(scale)), scale=scale, units=units)
    found = spacing_of(layer)
    assert found.steps == pytest.approx(steps)
    assert found.unit == unit


def test_distances_for_people() -> None:
    assert Spacing((1, 1), "mm").text(3.14159) == "3.14 mm"
    assert Spacing((1, 2), "").text(2.0) == "2"
    assert Spacing((1, 1), "px").text(float("inf")) == "–"


# -- held-out strokes ------------------------------------------------------


def held_out(*rows: Any, right: float = 0.75, skipped: int = 1) -> HeldOut:
    nothing = np.zeros((0, 2), np.float32)
    return HeldOut(rows, 5, skipped, right, nothing, np.zeros(0, int), np.zeros(0))


def test_what_is_said_of_held_out_strokes() -> None:
    from napari_segdino.metrics import Row

    unit = Spacing((0.5, 0.5), "mm")
    row = Row("c", 1, 0.8, 0.7, 2.5, 1.0, 10, 10)
    assert held_out_text(held_out(row), unit) == (
        "Strokes left out: overlap (Dice) 0.80, distance (HD95) 2.5 mm (5 of 6 strokes)"
    )
    assert "75% right" in held_out_text(held_out(), unit), "background only"
    assert held_out_text(None, unit) == TOO_FEW


def confirm(user: Any) -> None:
    """Mark two more dots, one a class, where the mask is right already."""
    marks = user.annotation.marks
    marks.mode, marks.brush_size = "paint", 3
    marks.paint((48, 52), 2)
    marks.paint((5, 5), 1)


def test_score_comes_by_itself_while_the_user_rests(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane, scale=(0.5, 0.5), units=("mm", "mm"))
    panel = user.dock.review.score.panel
    user.wait(lambda: panel.held_out.text() == TOO_FEW)
    confirm(user)
    model = user.segmenter.model_
    user.retrain()
    user.wait(lambda: "Dice" in panel.held_out.text())
    assert " mm (" in panel.held_out.text()
    # Without a picture Qt 5 gives None, Qt 6 an empty one.
    user.wait(lambda: not (panel.curve.pixmap() or QPixmap()).isNull(), 30)
    assert user.segmenter.model_ is not model
    (kept,) = (v for k, v in user.segmenter.samples_.items() if k != UNSUPERVISED)
    assert (kept.marks.numpy() > 0).sum() == 4 * 9, (
        "the user's own probe has learned all strokes"
    )


def test_it_is_not_scored_where_nobody_looks(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane, review=False)
    panel = user.dock.review.score.panel
    user.wait(lambda: "+" in user.dock.review.change.panel.counts.text())
    assert "score" not in user.dock.review.idle._waiting
    panel.idle.setChecked(False)
    user.dock.tabs.setCurrentWidget(user.dock.review)
    assert "score" not in user.dock.review.idle._waiting
    panel.idle.setChecked(True)
    user.wait(lambda: panel.held_out.text() == TOO_FEW)


def test_another_probe_starts_a_new_curve(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    review = user.dock.review.score
    user.wait(lambda: review.panel.held_out.text() == TOO_FEW)
    confirm(user)
    user.retrain()
    user.wait(lambda: bool(review.rows()))
    user.dock.files.new.click()
    user.retrain()
    assert {row.case for row in review.rows()} <= {"round 1, 4 strokes"}


def test_held_out_figures_belong_to_their_image_and_round(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    first, panel = user.dock.image, user.dock.review.score.panel
    user.wait(lambda: panel.held_out.text() == TOO_FEW)
    confirm(user)
    user.retrain()
    user.wait(lambda: "Dice" in panel.held_out.text())
    assert panel.held_out.isEnabled()
    figure = panel.held_out.text()
    panel.idle.setChecked(False)
    user.open(plane[::-1].copy(), name="other")
    assert panel.held_out.text() == ELSEWHERE
    user.dock.inputs.image.setValue(first)
    assert panel.held_out.text() == figure
    user.annotation.marks.paint((55, 5), 1)
    user.retrain()
    assert panel.held_out.text() == figure
    assert not panel.held_out.isEnabled(), "of the round before"
    panel.idle.setChecked(True)
    user.wait(panel.held_out.isEnabled)


# -- the curve -------------------------------------------------------------


def test_the_curve_has_the_size_of_its_place() -> None:
    line = Line("reference", "#4fd08a", ((1, 0.2), (2, 0.6), (4, 0.9)))
    picture = draw_curve([line], 200, 100, ratio=1.5)
    assert picture.shape == (150, 300, 4)
    assert picture.dtype == np.uint8
    green = (np.abs(picture[..., :3].astype(int) - (0x4F, 0xD0, 0x8A)) < 12).all(-1)
    columns = np.flatnonzero((green & (picture[..., 3] > 200)).any(0))
    assert columns.max() - columns.min() > 100, "the line goes across"
    assert (picture[..., 3] == 0).any(), "the dock shows through"


# -- the reference ---------------------------------------------------------


@pytest.fixture
def scored(train: Callable[..., Any], volume: np.ndarray) -> Any:
    """A user who has picked a reference that misses a row of one slice."""
    user = train(volume, show=True, follow=False, scale=(3, 1, 1), units=("mm",) * 3)
    user.wait(lambda: user.dock.isVisible())
    user.dock.review.score.panel.idle.setChecked(False)
    mask = user.annotation.mask
    mask.data_setitem(np.nonzero(mask.data), 0)
    square = np.zeros_like(mask.data)
    square[:, 10:20, 10:20] = 1
    mask.data_setitem(np.nonzero(square), 1)
    truth = mask.data.copy()
    truth[3, 15:20] = 0
    reference = user.viewer.add_labels(truth, name="truth")
    user.dock.review.score.panel.reference.setValue(reference)
    user.wait(lambda: user.dock.review.score.panel.table.rowCount() == 6)
    return user


def table(user: Any) -> list[list[str]]:
    found = user.dock.review.score.panel.table
    return [
        [found.item(y, x).text() for x in range(4)] for y in range(found.rowCount())
    ]


def test_a_row_goes_to_its_slice_whatever_the_image_is_called() -> None:
    mask = np.ones((2, 2), int)
    rows = score_case(mask, mask, case="stack z=9")
    table = table_rows(([], {3: rows}), Spacing((1, 1), "px"))
    assert table == [(3, ("3", "1", "1.000", "0 px"))]


def test_scores_by_class_and_slice_the_worst_first(scored: Any) -> None:
    found = table(scored)
    # 500 and 450 pixels, 450 of them shared; in slice 3 100 and 50.
    assert found[0][:3] == ["all", "1", f"{900 / 950:.3f}"]
    assert found[1] == ["3", "1", f"{100 / 150:.3f}", "5 mm"]
    assert {tuple(row[2:]) for row in found[2:]} == {("1.000", "0 mm")}


def test_clicking_a_slice_goes_there(scored: Any) -> None:
    panel = scored.dock.review.score.panel
    panel.table.cellClicked.emit(1, 0)
    assert scored.annotation.shown() == 3


def test_scores_follow_the_mask(scored: Any) -> None:
    mask = scored.annotation.mask
    scored.viewer.dims.set_current_step(0, 3)
    wrong = mask.data != scored.viewer.layers["truth"].data
    mask.data_setitem(np.nonzero(wrong), 0)
    scored.wait(lambda: table(scored)[0][2] == "1.000")
    assert table(scored)[0][2] == "1.000"


def test_scores_are_grey_until_the_changed_mask_is_measured(scored: Any) -> None:
    panel = scored.dock.review.score.panel
    assert panel.table.isEnabled()
    before = table(scored)
    scored.viewer.dims.set_current_step(0, 3)
    scored.annotation.mask.data_setitem(
        (np.array([3]), np.array([50]), np.array([50])), 1
    )
    scored.wait(lambda: not panel.table.isEnabled())
    scored.wait(panel.table.isEnabled)
    assert table(scored) != before


def test_a_table_belongs_to_its_image(scored: Any, volume: np.ndarray) -> None:
    first, mine = scored.dock.image, table(scored)
    scored.open(volume[:2].copy(), name="other")
    assert table(scored) == []
    scored.dock.inputs.image.setValue(first)
    assert table(scored) == mine


def test_export(scored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.csv"
    monkeypatch.setattr(
        "napari_segdino._qt.controllers.review.ask_export_table", lambda *_: path
    )
    click(scored.dock.review.score.panel.export)
    scored.rest()
    assert "saved to" in scored.status
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["scan", *(f"scan z={z}" for z in range(5))]
    assert float(rows[4]["dice"]) == pytest.approx(100 / 150)
    assert float(rows[4]["hd95"]) == 5


def test_nothing_to_export(user: Any, plane: np.ndarray) -> None:
    user.open(plane)
    user.segment()
    user.dock.review.score.panel.export.click()
    assert "no scores yet" in user.status


def test_a_reference_of_another_shape(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    panel = user.dock.review.score.panel
    names = [panel.reference.itemText(i) for i in range(panel.reference.count())]
    assert names == ["no reference"], "the program's own layers are no reference"
    small = user.viewer.add_labels(np.zeros((4, 5), np.uint8), name="small")
    panel.reference.setValue(small)
    user.wait(lambda: "another shape" in user.status)
    user.viewer.layers.remove(small)
    assert panel.reference.value() is None
