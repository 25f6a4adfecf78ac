"""Painting in a view that cuts across the slices, with the real mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segdino._qt.mouse import polygon, press_key, stroke

CONTROL = Qt.KeyboardModifier.ControlModifier
ROW = 5
"""Of every slice, where the view cuts it: background alone."""


@pytest.fixture
def across(make_user: Callable[..., Any], volume: np.ndarray) -> Any:
    """A user of a segmented volume of five slices, who looks at it from the side."""
    user = make_user(show=True)
    user.open(volume)
    user.dock.inputs.volume.setChecked(True)
    user.segment()
    assert not np.asarray(user.annotation.mask.data)[:, ROW].any()
    user.viewer.dims.order = (1, 0, 2)
    user.viewer.dims.set_current_step(1, ROW)
    user.annotation.mask.brush_size, user.annotation.mask.selected_label = 1, 1
    user.rest()
    return user


def marked(user: Any) -> np.ndarray:
    """Marks on the cut: slices x columns."""
    marks = np.asarray(user.annotation.marks.data)
    assert not np.delete(marks, ROW, axis=1).any(), "only where the view cuts"
    return marks[:, ROW]


def line(value: int, slices: slice = slice(1, 4)) -> np.ndarray:
    """What a stroke along column 20 leaves."""
    out = np.zeros((5, 80), int)
    out[slices, 20] = value
    return out


def undo(user: Any, redo: bool = False) -> None:
    user.viewer.layers.selection.active = user.annotation.mask
    shift = Qt.KeyboardModifier.ShiftModifier
    press_key(Qt.Key.Key_Z, CONTROL | shift if redo else CONTROL)


def became(user: Any, wanted: np.ndarray) -> bool:
    """Whether these are the marks on the cut, once what was painted is noted."""
    user.wait(lambda: np.array_equal(marked(user), wanted))
    return np.array_equal(marked(user), wanted)


@pytest.mark.parametrize("mode, mark", [("paint", 2), ("erase", 1)])
def test_a_stroke_marks_every_slice_that_it_crosses(
    across: Any, mode: str, mark: int
) -> None:
    """Erasing what is background changes nothing there: it confirms it."""
    before = np.array(across.annotation.mask.data)
    across.annotation.mask.mode = mode
    stroke(across.viewer, across.annotation.mask, [(1, 20), (3, 20)])
    assert became(across, line(mark))
    changed = np.asarray(across.annotation.mask.data) != before
    np.testing.assert_array_equal(changed[:, ROW], line(mark) == 2)
    undo(across)
    assert became(across, line(0))
    undo(across, redo=True)
    assert became(across, line(mark))


def test_a_stroke_that_changes_one_slice_is_undone_on_all(across: Any) -> None:
    stroke(across.viewer, across.annotation.mask, [(1, 20)])
    assert became(across, line(2, slice(1, 2)))
    across.annotation.mask.mode = "erase"
    stroke(across.viewer, across.annotation.mask, [(1, 20), (3, 20)])
    assert became(across, line(1))
    undo(across)
    assert became(across, line(2, slice(1, 2)))


def test_a_polygon_across_the_slices(across: Any) -> None:
    across.annotation.mask.mode = "polygon"
    across.annotation.mask.selected_label = 0
    polygon(across.viewer, across.annotation.mask, [(1, 10), (1, 30), (3, 30), (3, 10)])
    wanted = np.zeros((5, 80), int)
    wanted[1:4, 10:31] = 1
    assert became(across, wanted)
