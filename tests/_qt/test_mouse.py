"""The main job with real mouse and key events on a real window."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_segdino._qt.mouse import click, press_key, stroke

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def test_first_mask_is_there_and_ready_to_paint(shown: Any, plane: np.ndarray) -> None:
    mask = shown.viewer.layers["scan mask"]
    assert shown.viewer.layers.selection.active is shown.annotation.mask
    assert mask.mode == "paint"
    np.testing.assert_array_equal(mask.data, plane == 200)


def test_story(shown: Any, plane: np.ndarray) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    stroke(shown.viewer, mask, [(50, 52), (50, 60), (50, 66)])
    assert (marks.data[50, 53:65] == 2).all(), "painted: class 1"
    press_key(Qt.Key.Key_E)
    stroke(shown.viewer, mask, [(12, 12), (12, 20)])
    assert (marks.data[12, 13:19] == 1).all(), "erased: background"
    painted = marks.data.copy()

    click(shown.dock.actions.retrain)
    shown.rest()

    assert shown.segmenter.is_fitted
    np.testing.assert_array_equal(marks.data, painted)
    marked = painted > 0
    np.testing.assert_array_equal(mask.data[marked], painted[marked] - 1)
    # Class 1 was marked at 90, background like 200.
    assert mask.data[46, 51] == 1
    assert mask.data[35, 35] == 0


def test_ctrl_z_takes_the_mask_update_back_then_the_stroke(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    first = mask.data.copy()
    stroke(shown.viewer, mask, [(50, 52), (50, 66)])
    press_key(Qt.Key.Key_E)
    stroke(shown.viewer, mask, [(12, 12), (12, 20)])
    corrected, marked = mask.data.copy(), marks.data.copy()
    click(shown.dock.actions.retrain)
    shown.rest()
    redrawn = mask.data.copy()
    assert (redrawn != corrected).any()

    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, corrected)
    np.testing.assert_array_equal(marks.data, marked)

    press_key(Qt.Key.Key_Z, CTRL)
    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, first)
    assert not marks.data.any(), "undone strokes are not learned from"

    for _ in range(3):
        press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(mask.data, redrawn)
    np.testing.assert_array_equal(marks.data, marked)


def test_confirming_stroke_counts_and_can_be_undone(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    first = mask.data.copy()
    stroke(shown.viewer, mask, [(25, 15), (25, 30)])  # is class 1 already
    np.testing.assert_array_equal(mask.data, first)
    assert (marks.data[25, 15:31] == 2).all()
    press_key(Qt.Key.Key_Z, CTRL)
    assert not marks.data.any()
    np.testing.assert_array_equal(mask.data, first)
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert (marks.data[25, 15:31] == 2).all()


def test_keys_of_the_dock(shown: Any) -> None:
    shown.dock.session.add_class()
    press_key(Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    assert shown.annotation.mask.selected_label == 2
    assert shown.annotation.marks.selected_label == 3
    before = len(shown.segmenter.calls)
    press_key(Qt.Key.Key_S, SHIFT)
    shown.rest()
    assert len(shown.segmenter.calls) == before + 1
    shown.dock.close()
    press_key(Qt.Key.Key_S, SHIFT)
    shown.rest()
    assert len(shown.segmenter.calls) == before + 1, "keys are given back"


def test_painting_the_marks_layer(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    shown.viewer.layers.selection.active = marks
    shown.dock.pick_class(0)
    marks.brush_size = 3
    stroke(shown.viewer, marks, [(30, 15), (30, 30)])
    assert (marks.data[30, 16:29] == 1).all()
    shown.viewer.layers.selection.active = mask
    shown.dock.pick_class(1)
    stroke(shown.viewer, mask, [(50, 52), (50, 66)])
    click(shown.dock.actions.retrain)
    shown.rest()
    assert (mask.data[30, 16:29] == 0).all(), "a mark wins over the prediction"


def test_a_report_is_copied(shown: Any) -> None:
    keys = shown.dock.keys_list
    click(keys.toggleButton())
    QTest.qWait(50)
    click(keys.report)
    text = QApplication.clipboard().text()
    assert text.startswith("napari-segdino ") and "\nDevice: " in text
