"""The slice that one goes to is drawn with the present probe, or says it is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_segdino._qt.controllers import automatic as follow_module
from napari_segdino._qt.mouse import click, press_key, stroke
from napari_segdino._qt.worker import idle as idle_module
from napari_segdino.session.settings import Settings

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_module, "REST", 0.05)
    monkeypatch.setattr(follow_module, "DRAW_DELAY", 0.02)


@pytest.fixture
def scan(make_user: Callable[..., Any], volume: np.ndarray) -> Any:
    """A user on screen with a first mask on slices 1 and 2, trained on slice 2."""
    user = make_user(show=True)
    user.open(volume)
    user.wait(lambda: user.dock.isVisible())
    for plane in (1, 2):
        go(user, plane)
        click(user.dock.actions.segment)
        user.rest()
    user.wait(lambda: user.viewer.layers.selection.active is user.annotation.mask)
    user.annotation.mask.brush_size = 3
    paint(user, 1, [(50, 52), (50, 66)])
    paint(user, 0, [(14, 12), (14, 30)])
    press_key(Qt.Key.Key_R, SHIFT)
    user.rest()
    user.segmenter.calls.clear()
    return user


def go(user: Any, plane: int) -> None:
    user.viewer.dims.set_current_step(0, plane)


def paint(user: Any, label: int, points: list[tuple[int, int]]) -> None:
    user.annotation.mask.mode = "paint"
    user.dock.classes.pick(label)
    stroke(user.viewer, user.annotation.mask, points)


def note(user: Any) -> str:
    QTest.qWait(30)
    return str(user.dock.inputs.note.text())


def calm(user: Any) -> None:
    """Wait until nothing more is wanted in the background."""
    idle = user.dock.review.idle
    user.wait(lambda: not idle._waiting and user.dock.controller.runner.free)
    QTest.qWait(30)


def test_the_slice_gone_to_is_drawn(scan: Any, no_popups: list[str]) -> None:
    assert note(scan) == ""
    marked = scan.status
    go(scan, 4)
    scan.wait(lambda: scan.annotation.mask.data[4].any())
    calm(scan)
    assert scan.segmenter.calls == [("predict", [4])], "never drawn before"
    assert scan.annotation.mask.data[4, 50, 60] == 1
    assert scan.annotation.mask.data[4, 25, 25] == 0
    assert scan.status == marked
    assert no_popups == []
    go(scan, 1)
    assert scan.dock.inputs.note.text() == "" or "earlier" in note(scan)
    scan.wait(lambda: ("predict", [1]) in scan.segmenter.calls)
    calm(scan)
    assert note(scan) == ""
    assert scan.annotation.mask.data[1, 25, 25] == 0, "the first mask was class 1 here"
    go(scan, 2)
    calm(scan)
    assert len(scan.segmenter.calls) == 2, "the present probe drew this one"


def test_it_is_one_step_and_not_drawn_again_when_taken_back(scan: Any) -> None:
    before = np.array(scan.annotation.mask.data[1])
    go(scan, 1)
    scan.wait(lambda: ("predict", [1]) in scan.segmenter.calls)
    calm(scan)
    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(scan.annotation.mask.data[1], before)
    assert scan.segmenter.is_fitted, "the probe stays"
    assert "earlier model" in note(scan)
    go(scan, 0)
    go(scan, 1)
    calm(scan)
    np.testing.assert_array_equal(scan.annotation.mask.data[1], before)


def test_what_was_painted_stays(scan: Any) -> None:
    click(scan.dock.inputs.follow)
    go(scan, 1)
    paint(scan, 1, [(25, 12), (25, 30)])
    go(scan, 3)
    paint(scan, 1, [(5, 52), (5, 66)])
    painted = scan.annotation.marks.data > 0
    click(scan.dock.inputs.follow)
    for plane in (1, 3):
        go(scan, plane)
        scan.wait(lambda plane=plane: ("predict", [plane]) in scan.segmenter.calls)
        calm(scan)
        here = painted[plane]
        assert here.any()
        assert (scan.annotation.mask.data[plane][here] == 1).all()
    np.testing.assert_array_equal(scan.annotation.marks.data > 0, painted)


def test_without_it_a_slice_says_that_it_is_out_of_date(scan: Any) -> None:
    click(scan.dock.inputs.follow)
    assert not scan.dock.session.settings.follow
    go(scan, 1)
    calm(scan)
    assert "earlier model" in note(scan)
    go(scan, 4)
    calm(scan)
    assert note(scan) == "", "never drawn"
    go(scan, 2)
    assert note(scan) == ""
    assert scan.segmenter.calls == []
    press_key(Qt.Key.Key_Z, CTRL)
    scan.rest()
    assert note(scan) == "", "the first mask, and no model any more"


def test_going_back_to_an_earlier_model(scan: Any) -> None:
    go(scan, 1)
    scan.wait(lambda: ("predict", [1]) in scan.segmenter.calls)
    calm(scan)
    click(scan.dock.inputs.follow)
    go(scan, 2)
    paint(scan, 0, [(5, 52), (5, 66)])
    press_key(Qt.Key.Key_R, SHIFT)
    scan.rest()
    go(scan, 3)
    click(scan.dock.actions.segment)
    scan.rest()
    scan.dock.review.change.navigator.step(-1)
    scan.rest()
    assert "later model" in note(scan)
    go(scan, 1)
    assert note(scan) == "", "drawn with the one that is back"


def test_not_when_the_whole_volume_is_wanted(scan: Any) -> None:
    click(scan.dock.inputs.volume)
    assert not scan.dock.inputs.follow.isEnabled()
    go(scan, 1)
    calm(scan)
    assert scan.segmenter.calls == []
    assert "earlier model" in note(scan)


def test_not_before_a_model_is_there(user: Any, volume: np.ndarray) -> None:
    user.open(volume)
    user.segment()
    user.segmenter.calls.clear()
    go(user, 4)
    calm(user)
    assert user.segmenter.calls == []


def test_a_mask_from_elsewhere_and_a_copy_are_left_alone(scan: Any) -> None:
    scan.annotation.mask.data[4, 5:9, 5:9] = 1
    scan.annotation.marks.data[4] = 0
    before = np.array(scan.annotation.mask.data[4])
    scan.annotation.mask_sync._seen[4] = (
        before  # as it is when a mask was there at first
    )
    go(scan, 4)
    calm(scan)
    assert scan.segmenter.calls == []
    np.testing.assert_array_equal(scan.annotation.mask.data[4], before)
    go(scan, 2)
    press_key(Qt.Key.Key_C, SHIFT)
    scan.rest()
    assert scan.annotation.shown() == 3
    calm(scan)
    mask = scan.annotation.mask.data
    np.testing.assert_array_equal(mask[3], mask[2])
    assert scan.segmenter.calls == []


def test_a_slice_that_is_right_is_left_alone(scan: Any) -> None:
    click(scan.dock.inputs.follow)
    go(scan, 1)
    press_key(Qt.Key.Key_A, SHIFT)
    assert note(scan) == ""
    click(scan.dock.inputs.follow)
    go(scan, 2)
    go(scan, 1)
    calm(scan)
    assert scan.segmenter.calls == []


@pytest.mark.parametrize("what", ["stroke", "slider"])
def test_it_gives_way_to_the_user(scan: Any, what: str) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        at_work.set()
        go_on.wait(10)

    scan.segmenter.before_plane = hold
    go(scan, 4)
    scan.wait(at_work.is_set)
    assert not scan.dock.controller.busy
    assert not scan.dock.status.cancel.isEnabled()
    if what == "stroke":
        paint(scan, 1, [(5, 52), (5, 66)])
    else:
        go(scan, 2)
    scan.segmenter.before_plane = lambda: None
    go_on.set()
    calm(scan)
    if what == "slider":
        assert not scan.annotation.mask.data[4].any()
        return
    painted = scan.annotation.marks.data[4] > 0
    assert painted.any()
    assert (scan.annotation.mask.data[4][painted] == 1).all()
    assert scan.annotation.mask.data[4, 50, 60] == 1, "drawn once the user paused"
    press_key(Qt.Key.Key_Z, CTRL)
    assert scan.annotation.mask.data[4, 50, 60] == 0
    assert (scan.annotation.mask.data[4][painted] == 1).all(), "a step of its own"


def test_what_was_taken_back_can_still_be_redone(scan: Any) -> None:
    redrawn = np.array(scan.annotation.mask.data[2])
    paint(scan, 1, [(5, 52), (5, 66)])
    painted = np.array(scan.annotation.mask.data[2])
    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(scan.annotation.mask.data[2], redrawn)
    go(scan, 4)
    scan.wait(lambda: scan.annotation.mask.data[4].any())
    calm(scan)
    go(scan, 2)
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(scan.annotation.mask.data[2], painted)


def test_the_choice_is_kept(user: Any) -> None:
    box = user.dock.inputs.follow
    assert box.isChecked(), "on unless the user says otherwise"
    user.dock.session.change(follow=False)
    assert not box.isChecked()
    state = user.dock.session.state()
    assert state["settings"]["follow"] is False
    assert not Settings("fake").restored(state["settings"]).follow
    del state["settings"]["follow"]
    assert Settings("fake").restored(state["settings"]).follow, "of an older project"


def test_live_waits_for_a_stroke(make_user: Any, volume: np.ndarray) -> None:
    user = make_user(live=True, follow=False)
    image = user.open(volume)
    user.segment()
    user.annotation.mask.paint((0, 50, 60), 1)
    user.annotation.mask.paint((0, 12, 12), 0)
    user.wait(lambda: bool(user.segmenter.is_fitted))
    user.rest()
    before = len(user.segmenter.calls)
    user.viewer.dims.set_current_step(0, 3)
    QTest.qWait(100)
    for layer in (user.annotation.marks, image):
        layer.visible = not layer.visible
        layer.visible = not layer.visible
    QTest.qWait(500)
    user.rest()
    assert len(user.segmenter.calls) == before, "another slice, another look"
    user.viewer.dims.set_current_step(0, 0)
    user.annotation.marks.undo()
    user.wait(lambda: len(user.segmenter.calls) > before)
