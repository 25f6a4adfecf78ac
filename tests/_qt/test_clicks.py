"""Click to start, with real clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segdino._qt.mouse import click, press_key, stroke

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier


@pytest.fixture
def clicker(make_user: Callable[..., Any], plane: np.ndarray) -> Any:
    """A user of a window on screen with an empty mask and the tool in the hand."""
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    user.rest()
    press_key(Qt.Key.Key_K, SHIFT)
    return user


def click_at(user: Any, *point: float) -> None:
    stroke(user.viewer, user.annotation.mask, [point])
    user.rest()


def test_one_click_draws_what_looks_alike(clicker: Any, plane: Any) -> None:
    mask, marks = clicker.annotation.mask, clicker.annotation.marks
    assert clicker.dock.tools.from_clicks.isChecked()
    assert "Click on an object" in clicker.status
    click_at(clicker, 25, 25)
    assert clicker.segmenter.calls == [("from_clicks", [0])]
    np.testing.assert_array_equal(mask.data, plane == 200)
    assert marks.data[25, 25] == 2
    assert (marks.data > 0).sum() == 9, "a dot of three pixels"
    assert "after your clicks" in clicker.status
    assert mask.mode == "pan_zoom", "ready for the next click"


def test_a_click_is_undone_after_its_mask(clicker: Any) -> None:
    mask, marks = clicker.annotation.mask, clicker.annotation.marks
    click_at(clicker, 25, 25)
    press_key(Qt.Key.Key_Z, CTRL)
    assert (mask.data > 0).sum() == 9, "the mask goes first, the dot stays"
    assert (marks.data > 0).sum() == 9
    press_key(Qt.Key.Key_Z, CTRL)
    assert not mask.data.any()
    assert not marks.data.any()


def test_background_clicks_teach_the_probe(clicker: Any) -> None:
    mask, marks = clicker.annotation.mask, clicker.annotation.marks
    click_at(clicker, 50, 60)
    assert mask.data[25, 25] == 1, "brighter still"
    press_key(Qt.Key.Key_0, ALT)
    assert clicker.dock.tools.from_clicks.isChecked(), "the tool stays in the hand"
    click_at(clicker, 25, 25)
    assert [name for name, _ in clicker.segmenter.calls][-2:] == [
        "partial_fit",
        "predict",
    ]
    assert marks.data[25, 25] == 1
    assert mask.data[35, 35] == 0
    assert mask.data[46, 51] == 1
    press_key(Qt.Key.Key_1, ALT)
    click_at(clicker, 5, 70)
    assert clicker.segmenter.calls[-2][0] == "partial_fit", "a probe is there: retrain"


def test_a_drag_moves_the_view(clicker: Any) -> None:
    before = clicker.viewer.scene.camera.center
    stroke(clicker.viewer, clicker.annotation.mask, [(25, 25), (30, 40)])
    clicker.rest()
    assert clicker.viewer.scene.camera.center != before
    assert not clicker.annotation.marks.data.any()
    assert clicker.segmenter.calls == []


def test_beside_the_image_nothing_is_clicked(clicker: Any) -> None:
    click_at(clicker, -3, 20)
    assert not clicker.annotation.marks.data.any()
    assert clicker.segmenter.calls == []


def test_another_tool_ends_it(clicker: Any) -> None:
    mask = clicker.annotation.mask
    clicker.viewer.layers.selection.active = mask
    press_key(Qt.Key.Key_2)
    assert mask.mode == "paint"
    assert not clicker.dock.tools.from_clicks.isChecked()
    stroke(clicker.viewer, mask, [(50, 55), (50, 65)])
    clicker.rest()
    assert clicker.segmenter.calls == [], "a stroke is a stroke again"
    assert (clicker.annotation.marks.data == 2).any()


def test_the_button_gives_the_brush_back(clicker: Any, plane: Any) -> None:
    click(clicker.dock.tools.from_clicks)
    assert clicker.annotation.mask.mode == "paint"
    click(clicker.dock.tools.from_clicks)
    annotation = clicker.annotation
    clicker.open(plane, name="other")
    assert not clicker.dock.tools.from_clicks.isChecked(), "another image"
    assert annotation.mask.mode == "paint"


def test_a_mask_that_is_removed_ends_it(clicker: Any) -> None:
    clicker.viewer.layers.remove(clicker.annotation.mask)
    assert not clicker.dock.tools.from_clicks.isChecked()


def test_without_a_mask(user: Any) -> None:
    user.dock.tools.from_clicks.click()
    assert "Open an image first" in user.status
    assert not user.dock.tools.from_clicks.isChecked()
