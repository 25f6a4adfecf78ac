"""Undo acts on the slice that is seen, or goes where it acts: real keys and strokes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Labels
from qtpy.QtCore import Qt

from napari_segdino._qt.layers.undo import (
    bring_forward,
    find_step,
    keeping_redo,
    planes_of,
    stack_of,
)
from napari_segdino._qt.mouse import click, press_key, stroke

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def scan(make_user: Callable[..., Any], volume: np.ndarray) -> Any:
    """A user of five slices on screen; slice 2 has a first mask."""
    user = make_user(show=True, follow=False)
    user.open(volume)
    user.wait(lambda: user.dock.isVisible())
    go(user, 2)
    click(user.dock.actions.segment)
    user.rest()
    user.wait(lambda: user.viewer.layers.selection.active is user.annotation.mask)
    user.annotation.mask.brush_size = 3
    return user


def go(user: Any, plane: int) -> None:
    user.viewer.dims.set_current_step(0, plane)


def paint(user: Any, plane: int, y: int = 50) -> np.ndarray:
    """Paint class 1 on a slice; return the slice as it is then."""
    go(user, plane)
    user.annotation.mask.mode = "paint"
    stroke(user.viewer, user.annotation.mask, [(y, 52), (y, 66)])
    return np.array(user.annotation.mask.data[plane])


def settled(user: Any) -> None:
    user.wait(lambda: not user.annotation.mask_sync._timer.isActive())


def test_what_was_drawn_on_another_slice_is_shown_when_it_goes(scan: Any) -> None:
    go(scan, 4)
    scan.viewer.layers.selection.active = scan.annotation.mask
    press_key(Qt.Key.Key_Z, CTRL)
    assert scan.annotation.shown() == 2, "the slider went there"
    assert not scan.annotation.mask.data.any()
    assert "slice 2" in scan.status
    go(scan, 0)
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert scan.annotation.shown() == 2
    assert scan.annotation.mask.data[2].any()
    assert "slice 2" in scan.status


def test_the_slice_on_screen_comes_first(scan: Any) -> None:
    first = np.array(scan.annotation.mask.data[2])
    here, there = paint(scan, 2), paint(scan, 3)
    marks = np.array(scan.annotation.marks.data)
    go(scan, 2)
    press_key(Qt.Key.Key_Z, CTRL)
    assert scan.annotation.shown() == 2
    np.testing.assert_array_equal(scan.annotation.mask.data[2], first)
    np.testing.assert_array_equal(scan.annotation.mask.data[3], there)
    assert "other slices stays" in scan.status
    settled(scan)
    assert not scan.annotation.marks.data[2].any()
    np.testing.assert_array_equal(scan.annotation.marks.data[3], marks[3])
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(scan.annotation.mask.data[2], here)
    settled(scan)
    np.testing.assert_array_equal(scan.annotation.marks.data, marks)


def test_a_mask_update_of_all_waits_for_what_came_later_elsewhere(
    make_user: Callable[..., Any], volume: np.ndarray
) -> None:
    user = make_user(show=True, whole_volume=True)
    user.open(volume)
    user.wait(lambda: user.dock.isVisible())
    click(user.dock.actions.segment)
    user.wait(lambda: "A first mask" in user.status)
    drawn = np.array(user.annotation.mask.data)
    paint(user, 4)
    go(user, 1)
    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(user.annotation.mask.data, drawn)
    assert user.annotation.shown() == 4
    assert "slice 4" in user.status
    go(user, 1)
    press_key(Qt.Key.Key_Z, CTRL)
    assert not user.annotation.mask.data.any()
    assert user.annotation.shown() == 1, "it was drawn here too"


def test_marks_are_not_taken_back_out_of_sight(scan: Any) -> None:
    paint(scan, 3)
    go(scan, 0)
    scan.viewer.layers.selection.active = scan.annotation.marks
    press_key(Qt.Key.Key_Z, CTRL)
    assert scan.annotation.shown() == 3
    assert not scan.annotation.marks.data.any()


def test_a_confirming_stroke_elsewhere_goes_before_the_update(scan: Any) -> None:
    mask = scan.annotation.mask
    mask.mode = "paint"
    stroke(scan.viewer, mask, [(20, 15), (20, 30)])  # class 1 already
    assert scan.annotation.marks.data[2].any()
    drawn = np.array(mask.data)
    go(scan, 0)
    press_key(Qt.Key.Key_Z, CTRL)
    assert scan.annotation.shown() == 2
    assert not scan.annotation.marks.data.any()
    np.testing.assert_array_equal(mask.data, drawn)


def test_redo_of_what_looks_like_an_earlier_mask(shown: Any) -> None:
    mask, marks, line = (
        shown.annotation.mask,
        shown.annotation.marks,
        [(5, 60), (5, 70)],
    )
    stroke(shown.viewer, mask, line)
    mask.mode = "erase"
    stroke(shown.viewer, mask, line)
    marked = marks.data.copy()
    assert (marked[5, 60:71] == 1).all(), "the mask is as before, its marks are not"
    press_key(Qt.Key.Key_Z, CTRL)
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(marks.data, marked)


@pytest.mark.parametrize("how", ["stroke", "accept"])
def test_what_only_confirms_ends_redo_as_a_stroke_does(shown: Any, how: str) -> None:
    mask, marks = shown.annotation.mask, shown.annotation.marks
    stroke(shown.viewer, mask, [(5, 60), (5, 70)])
    press_key(Qt.Key.Key_Z, CTRL)
    if how == "accept":
        press_key(Qt.Key.Key_A, SHIFT)
    else:
        stroke(shown.viewer, mask, [(25, 15), (25, 30)])  # class 1 already
    drawn, marked = mask.data.copy(), marks.data.copy()
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(mask.data, drawn)
    np.testing.assert_array_equal(marks.data, marked)


def test_nothing_to_undo_is_said(scan: Any) -> None:
    press_key(Qt.Key.Key_Z, CTRL)
    press_key(Qt.Key.Key_Z, CTRL)
    assert "nothing left to undo" in scan.status


# -- the steps of napari, without a window ---------------------------------

SHAPE = (2, 3, 6, 7)
LEAD = SHAPE[:2]


def last(layer: Labels) -> set[int]:
    return planes_of(stack_of(layer, redo=False)[-1], LEAD)


def test_planes_of_every_kind_of_step() -> None:
    layer = Labels(np.zeros(SHAPE, np.uint8))
    layer.brush_size = 1
    layer.paint((1, 2, 3, 3), 1)
    assert last(layer) == {5}
    layer.fill((0, 1, 0, 0), 2)
    assert last(layer) == {1}
    layer.data_setitem(
        (np.array([0, 1]), np.array([0, 1]), np.array([0, 0]), np.array([0, 0])), 3
    )
    assert last(layer) == {0, 4}
    layer.n_edit_dimensions = 3
    layer.brush_size = 3
    layer.paint((1, 1, 3, 3), 4)
    assert last(layer) == {3, 4, 5}, "a ball of 3 pixels"
    assert planes_of(stack_of(layer, redo=False)[-1], ()) == {0}
    layer.undo()
    assert planes_of(stack_of(layer, redo=True)[-1], LEAD) == {3, 4, 5}


class History:
    """A layer of four planes whose steps are taken as the keys take them."""

    def __init__(self) -> None:
        self.layer = Labels(np.zeros((4, 1, 8), np.uint8))
        self.edits = 0

    def edit(self, planes: set[int]) -> None:
        self.edits += 1
        at = np.array(sorted(planes))
        x = np.full(at.shape, self.edits % 8)
        value = self.edits % 250 + 1
        self.layer.data_setitem((at, np.zeros_like(at), x), value)

    def step(self, plane: int, redo: bool) -> set[int]:
        """Take a step; return the planes that changed."""
        stack = stack_of(self.layer, redo)
        if not stack:
            return set()
        bring_forward(stack, find_step(stack, plane, (4,)))
        before = np.array(self.layer.data)
        (self.layer.redo if redo else self.layer.undo)()
        changed = (self.layer.data != before).any(axis=(1, 2))
        return set(np.flatnonzero(changed).tolist())


moves = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.sets(st.integers(0, 3), min_size=1, max_size=2)),
        st.tuples(st.sampled_from(("undo", "redo")), st.integers(0, 3)),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(moves)
def test_steps_in_another_order_undo_and_redo_all(todo: list[Any]) -> None:
    history = History()
    for kind, what in todo:
        if kind == "edit":
            history.edit(what)
        else:
            history.step(what, redo=kind == "redo")
    while stack_of(history.layer, redo=True):
        history.step(0, redo=True)
    final = np.array(history.layer.data)
    while stack_of(history.layer, redo=False):
        history.step(3, redo=False)
    assert not history.layer.data.any()
    while stack_of(history.layer, redo=True):
        history.step(1, redo=True)
    np.testing.assert_array_equal(history.layer.data, final)


def test_a_step_passes_only_those_it_has_no_plane_in_common_with() -> None:
    history = History()
    for planes in ({0}, {0, 1}, {1}, {2}):
        history.edit(planes)
    assert history.step(2, redo=False) == {2}
    assert history.step(0, redo=False) == {1}, "the last one on 1 comes first"
    assert history.step(0, redo=False) == {0, 1}
    assert history.step(3, redo=False) == {0}


def test_what_can_be_redone_elsewhere_stays() -> None:
    history = History()
    for planes in ({0}, {1, 2}, {3}, {2}):
        history.edit(planes)
    final = np.array(history.layer.data)
    for _ in range(4):
        history.step(0, redo=False)
    with keeping_redo(history.layer, 1, (4,)):
        history.layer.data_setitem((np.array([1]), np.array([0]), np.array([7])), 9)
    redone = [history.step(p, redo=True) for p in (0, 3, 0)]
    assert redone == [{0}, {3}, set()], "those on 1, and what stands on them, are gone"
    np.testing.assert_array_equal(history.layer.data[[0, 3]], final[[0, 3]])
