"""Every tool of a Labels layer counts as a correction, with undo and redo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_segdino._qt.layers.mask_writer import Piece
from napari_segdino._qt.mouse import encircle, move, polygon, press_key, stroke

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier

CORNERS = [(15, 15), (15, 30), (30, 30), (30, 15)]
"""Inside the square, which the first mask says is class 1."""


def undo() -> None:
    press_key(Qt.Key.Key_Z, CTRL)


def redo() -> None:
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)


def use(user: Any, tool: str) -> None:
    """Take a tool and confirm some of the square, or of the dark for the eraser."""
    mask = user.annotation.mask
    mask.mode = tool
    if tool == "polygon":
        polygon(user.viewer, mask, CORNERS)
    elif tool == "fill":
        stroke(user.viewer, mask, [(25, 25)])
    else:
        y = 50 if tool == "erase" else 20
        stroke(user.viewer, mask, [(y, 15), (y, 30)])


def confirmed(tool: str) -> np.ndarray:
    """Return the marks that this says, but for the round ends of a brush."""
    marks = np.zeros((60, 80), np.uint8)
    if tool == "polygon":
        marks[15:31, 15:31] = 2
    elif tool == "fill":
        marks[10:40, 10:40] = 2
    elif tool == "erase":
        marks[49:52, 15:31] = 1
    else:
        marks[19:22, 15:31] = 2
    return marks


@pytest.mark.parametrize("tool", ["paint", "erase", "fill", "polygon"])
def test_a_tool_that_only_confirms_counts(shown: Any, tool: str) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    first = mask.data.copy()
    use(shown, tool)
    np.testing.assert_array_equal(mask.data, first)
    wanted = confirmed(tool)
    assert (marks.data[wanted > 0] == wanted[wanted > 0]).all()
    assert np.count_nonzero(marks.data) <= np.count_nonzero(wanted) + 6
    marked = marks.data.copy()
    undo()
    assert not marks.data.any()
    np.testing.assert_array_equal(mask.data, first)
    redo()
    np.testing.assert_array_equal(marks.data, marked)


def test_a_polygon_that_changes_and_confirms(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    first = mask.data.copy()
    mask.mode = "polygon"
    polygon(shown.viewer, mask, [(30, 30), (30, 50), (45, 50), (45, 30)])
    wanted = np.zeros_like(first)
    wanted[30:46, 30:51] = 2
    np.testing.assert_array_equal(marks.data, wanted)
    assert (mask.data[30:46, 30:51] == 1).all()
    undo()
    np.testing.assert_array_equal(mask.data, first)
    assert not marks.data.any(), "the confirmed corner goes with the changed rest"
    redo()
    np.testing.assert_array_equal(marks.data, wanted)


def test_a_fill_that_changes_says_nothing_of_its_neighbours(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    mask.paint_polygon([(45, 50), (45, 69), (54, 69), (54, 50)], 2)
    shown.dock.session.add_class()
    shown.dock.pick_class(1)
    undone = marks.data.copy()
    mask.mode = "fill"
    stroke(shown.viewer, mask, [(50, 60)])
    assert (mask.data[45:55, 50:70] == 1).all()
    assert (marks.data[45:55, 50:70] == 2).all()
    assert not marks.data[10:40, 10:40].any(), "the square was not clicked"
    undo()
    np.testing.assert_array_equal(marks.data, undone)


RING = [(16, 50), (16, 70), (28, 70), (28, 50), (16, 50)]
"""Round nothing, beside the square."""


def test_encircling_fills_and_is_one_step(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    first = mask.data.copy()
    encircle(shown.viewer, mask, RING)
    assert (mask.data[16:29, 50:71] == 1).all()
    shown.wait(lambda: not shown.annotation.mask_sync.tracker.stroking)
    changed = mask.data != first
    np.testing.assert_array_equal(marks.data, np.where(changed, 2, 0))
    assert not changed[:, :47].any()
    marked = marks.data.copy()
    undo()
    np.testing.assert_array_equal(mask.data, first)
    assert not marks.data.any(), "outline and inside are one step"
    redo()
    np.testing.assert_array_equal(marks.data, marked)


def test_encircling_what_is_right_already_confirms_it(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    first = mask.data.copy()
    corners = [*CORNERS, CORNERS[0]]
    encircle(shown.viewer, mask, corners)
    shown.wait(lambda: marks.data.any())
    np.testing.assert_array_equal(mask.data, first)
    assert (marks.data[16:29, 16:29] == 2).all()
    undo()
    assert not marks.data.any()


def test_encircling_is_a_stroke_until_it_closes(shown: Any) -> None:
    """What the program draws meanwhile waits, and is no part of the stroke."""
    mask = shown.annotation.mask
    encircle(shown.viewer, mask, RING[:3])
    assert shown.annotation.mask_sync.tracker.stroking
    drawn = np.zeros_like(mask.data)
    drawn[50, 5:9] = 1
    shown.annotation.writer.add(Piece(0, drawn))
    shown.annotation.writer.finish()
    QTest.qWait(100)
    assert not mask.data[50, 5:9].any()
    for y, x in RING[2:]:
        move(shown.viewer, mask, (y, x))
    shown.wait(lambda: mask.data[50, 5:9].all())
    assert (shown.annotation.marks.data[18:26, 52:68] == 2).all()
    undo()
    assert not mask.data[50, 5:9].any()
    assert (mask.data[18:26, 52:68] == 1).all(), "only the mask update was taken back"


def test_an_encircling_that_is_given_up_says_nothing(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    first = mask.data.copy()
    encircle(shown.viewer, mask, RING[:3])
    press_key(Qt.Key.Key_Escape)
    np.testing.assert_array_equal(mask.data, first)
    shown.wait(lambda: not shown.annotation.mask_sync.tracker.stroking)
    assert not marks.data.any()
    encircle(shown.viewer, mask, RING[:3])
    press_key(Qt.Key.Key_1)  # the eraser
    shown.wait(lambda: not shown.annotation.mask_sync.tracker.stroking)
    assert not marks.data.any()
    np.testing.assert_array_equal(mask.data, first)


def test_a_script_that_paints_counts_without_another_event(shown: Any) -> None:
    shown.annotation.mask.paint((5, 60), 1)
    shown.wait(lambda: shown.annotation.marks.data.any())
    assert shown.annotation.marks.data[5, 60] == 2


def test_tools_are_given_back(shown: Any) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    shown.dock.release()
    mask.paint_polygon(CORNERS, 1)
    assert "paint_polygon" not in vars(mask)
    assert not marks.data.any()


def test_a_polygon_on_a_slice_that_is_not_shown(make_user: Any, volume: Any) -> None:
    user = make_user()
    user.open(volume)
    user.segment()
    mask = user.annotation.mask
    other = (user.annotation.shown() + 1) % 5
    mask.paint_polygon([(other, y, x) for y, x in CORNERS], 2)
    user.wait(lambda: user.annotation.marks.data[other].any())
    assert (user.annotation.marks.data[other, 15:31, 15:31] == 3).all()
    assert not user.annotation.marks.data[user.annotation.shown()].any()
