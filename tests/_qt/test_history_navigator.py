"""Mask and probe go back and forth together: real mouse, keys and probe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segdino._qt.mouse import click, press_key, stroke
from napari_segdino._qt.worker.runner import Job
from napari_segdino.progress import Progress

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def shown(make_user: Callable[..., Any], probe_maker: Any, plane: np.ndarray) -> Any:
    """A user of a window on screen, with a real probe that learned twice."""
    user = make_user(show=True, maker=probe_maker)
    user.open(plane)
    user.wait(lambda: user.dock.isVisible())
    click(user.dock.actions.segment)
    user.rest()
    user.annotation.mask.brush_size = 3
    paint(user, 1, [(50, 52), (50, 66)])
    paint(user, 0, [(14, 12), (14, 30)])
    user.states = [state(user)]
    press_key(Qt.Key.Key_R, SHIFT)
    user.rest()
    user.states.append(state(user))
    oppose(user, [(5, 60), (5, 75)])
    user.corrected = user.annotation.mask.data.copy()
    press_key(Qt.Key.Key_R, SHIFT)
    user.rest()
    user.states.append(state(user))
    return user


def paint(user: Any, label: int, points: list[tuple[int, int]]) -> None:
    press_key(Qt.Key.Key_2 if label else Qt.Key.Key_E)
    user.dock.classes.pick(label)
    stroke(user.viewer, user.annotation.mask, points)


def oppose(user: Any, points: list[tuple[int, int]]) -> int:
    """Paint what the mask does not say, and return it."""
    label = 1 - int(user.annotation.mask.data[points[0]])
    paint(user, label, points)
    return label


def state(user: Any) -> tuple[np.ndarray, Any]:
    return user.annotation.mask.data.copy(), getattr(user.segmenter, "model_", None)


def check(user: Any, number: int) -> None:
    mask, model = user.states[number]
    np.testing.assert_array_equal(user.annotation.mask.data, mask)
    assert getattr(user.segmenter, "model_", None) is model


def test_ctrl_z_takes_the_probe_back_with_the_mask(shown: Any) -> None:
    masks, models = zip(*shown.states, strict=True)
    assert (masks[0] != masks[1]).any() and (masks[1] != masks[2]).any()
    assert (shown.corrected != masks[2]).any(), "what follows tells Retrains apart"
    assert models[0] is None
    assert models[1] is not None and models[1] is not models[2]
    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(shown.annotation.mask.data, shown.corrected)
    assert shown.segmenter.model_ is shown.states[1][1]
    press_key(Qt.Key.Key_Z, CTRL)  # the stroke
    check(shown, 1)
    press_key(Qt.Key.Key_Z, CTRL)
    check(shown, 0)
    assert not shown.segmenter.is_fitted
    for _ in range(3):
        press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    check(shown, 2)


def test_marks_of_a_round_taken_back_are_learned_again(shown: Any) -> None:
    press_key(Qt.Key.Key_Z, CTRL)
    press_key(Qt.Key.Key_R, SHIFT)
    shown.rest()
    np.testing.assert_array_equal(shown.annotation.mask.data, shown.states[2][0])
    assert shown.segmenter.model_ is not shown.states[1][1]
    assert shown.dock.controller.history.place == (3, 3)


def test_going_back_keeps_later_strokes_and_can_be_undone(shown: Any) -> None:
    marked = oppose(shown, [(57, 5), (57, 15)])
    later = shown.annotation.mask.data.copy()
    shown.dock.review.change.navigator.step(-1)
    shown.rest()
    mask = shown.annotation.mask
    assert shown.segmenter.model_ is shown.states[1][1]
    assert (mask.data[57, 6:15] == marked).all(), "the last stroke stays"
    elsewhere = shown.annotation.marks.data == 0
    np.testing.assert_array_equal(mask.data[elsewhere], shown.corrected[elsewhere])
    assert "Model 2 of 3" in shown.status

    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, later)
    assert shown.segmenter.model_ is shown.states[2][1]


def test_back_to_the_start_and_forth_again(shown: Any) -> None:
    for _ in range(3):
        shown.dock.review.change.navigator.step(-1)
        shown.rest()
    assert "before the first Retrain" in shown.status
    assert not shown.segmenter.is_fitted
    for _ in range(3):
        shown.dock.review.change.navigator.step(1)
        shown.rest()
    check(shown, 2)


def test_the_probe_before_a_new_one_is_one_click_away(shown: Any) -> None:
    mask, marks = shown.states[2][0], shown.annotation.marks.data.copy()
    model, panel = shown.states[2][1], shown.dock.review.change.panel
    click(shown.dock.files.new)
    shown.dock.tabs.setCurrentWidget(shown.dock.review)
    assert not shown.segmenter.is_fitted
    shown.wait(lambda: panel.back.height() > 0)
    assert panel.place.text() == "Model 4 of 4"
    np.testing.assert_array_equal(shown.annotation.mask.data, mask)
    click(panel.back)
    shown.rest()
    assert shown.segmenter.model_ is model
    np.testing.assert_array_equal(shown.annotation.mask.data, mask)
    np.testing.assert_array_equal(shown.annotation.marks.data, marks)
    before = shown.segmenter.model_
    shown.retrain()
    assert shown.segmenter.model_ is before, "it knows all these marks"
    click(panel.forth)
    shown.rest()
    assert not shown.segmenter.is_fitted
    assert "new model" in shown.status


def test_what_a_new_probe_learns_goes_on_from_there(shown: Any) -> None:
    model = shown.segmenter.model_
    click(shown.dock.files.new)
    shown.retrain()
    assert shown.dock.controller.history.place == (5, 5)
    assert shown.segmenter.model_ is not model
    for _ in range(2):
        shown.dock.review.change.navigator.step(-1)
        shown.rest()
    assert shown.segmenter.model_ is model


def test_undo_while_a_retrain_is_at_work(
    shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update of the Retrain before is undone: this one stops, nothing is lost."""
    marks = shown.annotation.marks.data.copy()
    shown.dock.retrain()
    shown.wait(lambda: shown.dock.controller.runner.busy)
    press_key(Qt.Key.Key_Z, CTRL)
    shown.rest()
    assert shown.segmenter.model_ is shown.states[1][1]
    np.testing.assert_array_equal(shown.annotation.mask.data, shown.corrected)
    np.testing.assert_array_equal(shown.annotation.marks.data, marks)


def test_undo_waits_for_other_work(shown: Any) -> None:
    """A folder that is being segmented is not stopped; the probe follows after."""
    gate, done = threading.Event(), []

    def steps() -> Any:
        while not gate.wait(0.01):
            yield Progress(0, 0, "a folder")
        return "whole"

    shown.dock.controller.runner.start(Job("Folder", steps, on_done=done.append))
    shown.wait(lambda: not shown.dock.review.change.panel.back.isEnabled())
    press_key(Qt.Key.Key_Z, CTRL)
    assert shown.segmenter.model_ is shown.states[2][1]
    gate.set()
    shown.rest()
    assert done == ["whole"]
    assert shown.segmenter.model_ is shown.states[1][1]
    assert shown.dock.review.change.panel.back.isEnabled()


def test_a_volume_goes_back_as_a_whole(
    make_user: Callable[..., Any], probe_maker: Any, volume: np.ndarray
) -> None:
    user = make_user(maker=probe_maker, whole_volume=True)
    user.open(volume)
    user.segment()
    mask = user.annotation.mask
    mask.mode, mask.brush_size = "paint", 3
    mask.paint((2, 50, 60), 1)
    mask.paint((2, 25, 25), 0)
    before = mask.data.copy()
    user.retrain()
    after = mask.data.copy()
    assert (before != after).any(axis=(1, 2)).all()
    user.dock.review.change.navigator.step(-1)
    user.rest()
    np.testing.assert_array_equal(mask.data, before)
    assert not user.segmenter.is_fitted
    user.dock.review.change.navigator.step(1)
    user.rest()
    np.testing.assert_array_equal(mask.data, after)
    mask.undo()
    mask.undo()
    user.wait(lambda: user.segmenter.is_fitted)
    np.testing.assert_array_equal(mask.data, after)
