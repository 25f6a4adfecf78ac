"""Every tool of a Labels layer counts as a correction, with undo and redo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segdino._qt.hand import polygon, press_key, stroke

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
    mask = user.work.mask
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
    mask, marks = shown.work.mask, shown.work.marks
    first = mask.data.copy()
    use(shown, tool)
    np.testing.assert_array_equal(mask.data, first)
    wanted = confirmed(tool)
    assert (marks.data[wanted > 0] == wanted[wanted > 0]).all()
    assert np.count_nonzero(marks.data) <= np.count_nonzero(wanted) + 6
    said = marks.data.copy()
    undo()
    assert not marks.data.any()
    np.testing.assert_array_equal(mask.data, first)
    redo()
    np.testing.assert_array_equal(marks.data, said)


def test_a_polygon_that_changes_and_confirms(shown: Any) -> None:
    mask, marks = shown.work.mask, shown.work.marks
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
    mask, marks = shown.work.mask, shown.work.marks
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


def test_tools_are_given_back(shown: Any) -> None:
    mask, marks = shown.work.mask, shown.work.marks
    shown.dock.release()
    mask.paint_polygon(CORNERS, 1)
    assert "paint_polygon" not in vars(mask)
    assert not marks.data.any()


def test_a_polygon_on_a_slice_that_is_not_shown(make_user: Any, volume: Any) -> None:
    user = make_user()
    user.open(volume)
    user.segment()
    mask = user.work.mask
    other = (user.work.shown() + 1) % 5
    mask.paint_polygon([(other, y, x) for y, x in CORNERS], 2)
    user.wait(lambda: user.work.marks.data[other].any())
    assert (user.work.marks.data[other, 15:31, 15:31] == 3).all()
    assert not user.work.marks.data[user.work.shown()].any()
