"""Tools for whole slices, and how the mask is shown, with real keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel

from napari_segdino._qt import keys, preferences
from napari_segdino._qt.dock import SegmentDock
from napari_segdino._qt.layers.annotation import VEIL
from napari_segdino._qt.mouse import (
    canvas_position,
    click,
    find_canvas,
    press_key,
    stroke,
)
from napari_segdino._qt.widgets.tools_panel import KeysPanel

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def scan(make_user: Callable[..., Any], volume: np.ndarray) -> Any:
    """A user of a volume on screen whose third slice has a first mask."""
    user = make_user(show=True)
    user.open(volume)
    click(user.dock.actions.segment)
    user.rest()
    user.annotation.mask.brush_size = 3
    return user


# -- this slice is right ---------------------------------------------------


def test_an_accepted_slice_is_learned_from(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    stroke(scan.viewer, mask, [(50, 52), (50, 66)])
    corrected = mask.data.copy()
    press_key(Qt.Key.Key_A, SHIFT)
    np.testing.assert_array_equal(marks.data[2], corrected[2] + 1)
    assert not marks.data[[0, 1, 3, 4]].any(), "only the slice that is shown"
    np.testing.assert_array_equal(mask.data, corrected)
    assert "are marks now" in scan.status
    scan.retrain()
    assert scan.segmenter.calls[-2] == ("partial_fit", [2])
    np.testing.assert_array_equal(mask.data[2], corrected[2])


def test_accepting_is_taken_back_from_the_marks_layer_too(scan: Any) -> None:
    marks = scan.annotation.marks
    scan.viewer.layers.selection.active = marks
    press_key(Qt.Key.Key_A, SHIFT)
    assert marks.data[2].all()
    press_key(Qt.Key.Key_Z, CTRL)
    assert not marks.data.any()


def test_accepting_is_one_step(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    stroke(scan.viewer, mask, [(50, 52), (50, 66)])
    painted, marked = mask.data.copy(), marks.data.copy()
    click(scan.dock.tools.accept)
    accepted = marks.data.copy()
    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(marks.data, marked)
    np.testing.assert_array_equal(mask.data, painted)
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(marks.data, accepted)
    click(scan.dock.tools.accept)
    assert "accepted before" in scan.status
    press_key(Qt.Key.Key_Z, CTRL)
    press_key(Qt.Key.Key_Z, CTRL)
    assert not marks.data.any(), "the stroke comes next"


def seen_at(scan: Any, point: tuple[int, int]) -> np.ndarray:
    """Return the colour on screen of a pixel of the slice that is shown."""
    QTest.qWait(100)
    shot = scan.viewer.screenshot(flash=False)
    at = canvas_position(scan.viewer, scan.annotation.mask, point)
    ratio = shot.shape[0] / find_canvas().height()
    return shot[int(at.y() * ratio), int(at.x() * ratio), :3].astype(int)


def test_what_was_accepted_is_not_covered_by_its_marks(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    stroke(scan.viewer, mask, [(50, 52), (50, 66)])
    strokes = marks.opacity
    press_key(Qt.Key.Key_A, SHIFT)
    assert marks.data[2].all()
    places = (5, 45), (5, 25)
    before = [seen_at(scan, at) for at in places]
    scan.viewer.layers["scan"].data[2, :9, 40:50] = 255
    scan.viewer.layers["scan"].refresh()
    after = [seen_at(scan, at) for at in places]
    assert (after[0] - before[0] > 100).all(), "the image is seen"
    np.testing.assert_array_equal(after[1], before[1])
    scan.viewer.dims.set_current_step(0, 1)
    assert marks.opacity == strokes, "strokes on other slices are plain to see"
    scan.viewer.dims.set_current_step(0, 2)
    assert marks.opacity == VEIL
    press_key(Qt.Key.Key_Z, CTRL)
    assert marks.opacity == strokes, "it is no longer accepted"


def test_an_opacity_that_the_user_chose_is_left_alone(scan: Any) -> None:
    marks = scan.annotation.marks
    strokes = marks.opacity
    press_key(Qt.Key.Key_A, SHIFT)
    scan.dock.release()
    assert marks.opacity == strokes
    SegmentDock(scan.viewer)
    assert marks.opacity == VEIL, "the next dock follows it too"
    marks.opacity = 0.6
    scan.viewer.dims.set_current_step(0, 1)
    assert marks.opacity == 0.6
    marks.opacity = 0.1
    scan.viewer.dims.set_current_step(0, 2)
    assert marks.opacity == 0.1


def test_accepting_keeps_earlier_marks(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    lead = scan.annotation.shown()
    marks.data_setitem((np.array([lead]), np.array([5]), np.array([5])), 2)
    click(scan.dock.tools.accept)
    assert mask.data[lead, 5, 5] == 0
    assert marks.data[lead, 5, 5] == 2, "marked by hand, not drawn yet"


# -- between accepted slices ---------------------------------------------------


def draw_square(user: Any, plane: int, first: int, side: int = 20) -> None:
    """Draw a square as the mask of a slice, and accept it."""
    user.viewer.dims.set_current_step(0, plane)
    mask = user.annotation.mask
    block = np.zeros(mask.data.shape[1:], mask.data.dtype)
    block[10 : 10 + side, first : first + side] = 1
    where = np.nonzero(block != mask.data[plane])
    mask.data_setitem((np.full(len(where[0]), plane), *where), block[where])
    press_key(Qt.Key.Key_A, SHIFT)


def test_slices_between_accepted_ones_are_drawn(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    draw_square(scan, 0, first=10)
    draw_square(scan, 4, first=30)
    scan.viewer.dims.set_current_step(0, 2)
    before, marked = mask.data.copy(), marks.data.copy()
    press_key(Qt.Key.Key_I, SHIFT)
    scan.rest()
    for plane, first in ((1, 15), (2, 20), (3, 25)):
        wanted = np.zeros(mask.data.shape[1:], bool)
        wanted[10:30, first : first + 20] = True
        np.testing.assert_array_equal(mask.data[plane] == 1, wanted)
    np.testing.assert_array_equal(marks.data, marked, err_msg="a proposal is no mark")
    assert "between the accepted slices" in scan.status
    press_key(Qt.Key.Key_Z, CTRL)
    scan.wait(lambda: not scan.annotation.mask_sync._timer.isActive())
    np.testing.assert_array_equal(mask.data, before)


def test_without_two_accepted_slices_it_is_said_what_to_do(scan: Any) -> None:
    before = scan.annotation.mask.data.copy()
    click(scan.dock.tools.interpolate)
    assert "accept one on either side" in scan.status
    click(scan.dock.tools.accept_to_here)
    assert "Accept a slice first" in scan.status
    np.testing.assert_array_equal(scan.annotation.mask.data, before)


def test_all_slices_to_this_one_are_accepted(scan: Any) -> None:
    marks = scan.annotation.marks
    scan.dock.inputs.volume.setChecked(True)
    scan.segment()
    scan.viewer.dims.set_current_step(0, 1)
    press_key(Qt.Key.Key_A, SHIFT)
    scan.viewer.dims.set_current_step(0, 3)
    press_key(Qt.Key.Key_E, SHIFT)
    assert marks.data[1:4].all()
    assert not marks.data[[0, 4]].any()
    assert scan.status.startswith("2 slices are marks now")
    press_key(Qt.Key.Key_Z, CTRL)
    assert not marks.data[3].any() and marks.data[1:3].all()


# -- copy to the next slice ------------------------------------------------


def test_a_copy_is_a_proposal(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    stroke(scan.viewer, mask, [(50, 52), (50, 66)])
    marked = marks.data.copy()
    press_key(Qt.Key.Key_C, SHIFT)
    scan.rest()
    assert scan.viewer.dims.current_step[0] == 3
    np.testing.assert_array_equal(mask.data[3], mask.data[2])
    np.testing.assert_array_equal(marks.data, marked, err_msg="no mark of its own")
    stroke(scan.viewer, mask, [(5, 5), (5, 20)])
    assert (marks.data[3] > 0).sum() == (mask.data[3] != mask.data[2]).sum()
    press_key(Qt.Key.Key_A, SHIFT)
    assert (marks.data[3] > 0).all(), "accepted: all of it counts"


def test_the_next_slice_of_a_flipped_scan(make_user: Any, volume: Any) -> None:
    user = make_user(show=True)
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 7.3
    user.open(volume, scale=(2.2, 1, 1), affine=flipped)
    user.segment()
    before = user.annotation.shown()
    user.dock.corrector.copy()
    user.rest()
    assert user.annotation.shown() == before + 1
    np.testing.assert_array_equal(
        user.annotation.mask.data[3], user.annotation.mask.data[2]
    )


def test_a_copy_can_be_undone(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    before = mask.data.copy()
    click(scan.dock.tools.copy)
    scan.rest()
    assert (mask.data[3] != before[3]).any()
    press_key(Qt.Key.Key_Z, CTRL)
    scan.wait(lambda: not scan.annotation.mask_sync._timer.isActive())
    np.testing.assert_array_equal(mask.data, before)
    assert not marks.data.any()


def test_a_copy_keeps_what_was_marked_there(scan: Any) -> None:
    mask, marks = scan.annotation.mask, scan.annotation.marks
    scan.viewer.dims.set_current_step(0, 3)
    scan.dock.pick_class(0)
    mask.brush_size = 3
    stroke(scan.viewer, mask, [(20, 20), (20, 30)])
    scan.viewer.dims.set_current_step(0, 2)
    click(scan.dock.tools.copy)
    scan.rest()
    assert (marks.data[3, 20, 20:31] == 1).all()
    assert (mask.data[3, 20, 20:31] == 0).all()
    assert mask.data[3, 15, 15] == 1


def test_masks_are_carried_to_the_next_time_point(make_user: Any, volume: Any) -> None:
    user = make_user(show=True)
    user.open(np.stack([volume, volume]))
    user.dock.inputs.volume.setChecked(True)
    user.segment()
    mask, marks = user.annotation.mask, user.annotation.marks
    user.viewer.dims.set_current_step(0, 1)
    user.wait(lambda: user.annotation.shown() == 7)
    user.dock.pick_class(0)
    stroke(user.viewer, mask, [(20, 20), (20, 30)])
    user.viewer.dims.set_current_step(0, 0)
    mask.data[0, 3, 50:55, 5:9] = 1
    marked = np.array(marks.data[1])
    assert marked.any()
    user.wait(lambda: user.dock.tools.copy_in_time.isVisible())
    click(user.dock.tools.copy_in_time)
    user.rest()
    assert tuple(user.viewer.dims.current_step[:2]) == (1, 2), "it goes there"
    np.testing.assert_array_equal(marks.data[1], marked)
    own = marked > 0
    np.testing.assert_array_equal(mask.data[1][~own], mask.data[0][~own])
    assert (mask.data[1][own] == 0).all(), "what is painted there wins"
    click(user.dock.tools.copy_in_time)
    assert "no next time point" in user.status


def test_a_volume_has_no_next_time_point(scan: Any) -> None:
    assert not scan.dock.tools.copy_in_time.isVisible()
    press_key(Qt.Key.Key_T, SHIFT)
    assert "no series" in scan.status


def test_there_is_no_next_slice(scan: Any, make_user: Any, plane: Any) -> None:
    scan.viewer.dims.set_current_step(0, 4)
    before = scan.annotation.mask.data.copy()
    click(scan.dock.tools.copy)
    assert "no next slice" in scan.status
    np.testing.assert_array_equal(scan.annotation.mask.data, before)


# -- how the mask is shown -------------------------------------------------


def test_opacity_and_outline(shown: Any) -> None:
    mask, tools = shown.annotation.mask, shown.dock.tools
    assert tools.opacity.value() == round(100 * mask.opacity)
    tools.opacity.setFocus()
    QTest.keyClick(tools.opacity, Qt.Key.Key_Home)
    assert mask.opacity == 0
    QTest.keyClick(tools.opacity, Qt.Key.Key_End)
    assert mask.opacity == 1
    press_key(Qt.Key.Key_O, SHIFT)
    assert mask.contour > 0
    assert tools.outline.isChecked()
    press_key(Qt.Key.Key_O, SHIFT)
    assert mask.contour == 0
    press_key(Qt.Key.Key_M, SHIFT)
    assert not mask.visible
    press_key(Qt.Key.Key_M, SHIFT)
    assert mask.visible


def test_each_image_has_its_own_look(shown: Any, plane: Any) -> None:
    tools = shown.dock.tools
    click(tools.outline)
    tools.opacity.setValue(80)
    shown.open(plane, name="other")
    shown.rest()
    assert not tools.outline.isChecked()
    assert tools.opacity.value() == 45
    shown.dock.inputs.image.setValue(shown.viewer.layers["scan"])
    assert tools.outline.isChecked()
    assert tools.opacity.value() == 80


def test_layers_keep_their_order(shown: Any, plane: Any) -> None:
    shown.retrain()
    click(shown.dock.tools.accept)
    shown.segment()
    names = [layer.name for layer in shown.viewer.layers]
    assert names == ["scan", "scan mask", "scan marks"]


# -- keys ------------------------------------------------------------------


def test_every_key_is_listed(qtbot: Any) -> None:
    panel = KeysPanel()
    qtbot.addWidget(panel)
    texts = {label.text() for label in panel.content().findChildren(QLabel)}
    assert set(keys.DEFAULTS.values()) <= texts
    assert set(keys.TEXTS.values()) <= texts
    assert len(set(keys.DEFAULTS.values())) == len(keys.DEFAULTS), "one each"


def test_keys_can_be_changed(
    plugin_settings: Any, npe2pm: Any, manifest: Any, caplog: Any
) -> None:
    npe2pm.register(manifest)
    found = preferences.read_preferences()
    assert found is not None
    for name, key in keys.DEFAULTS.items():
        assert getattr(found.keybindings, name) == key, "the manifest says the same"
    found.keybindings.segment = "Ctrl-Alt-G"
    assert keys.key_of(keys.SEGMENT) == "Ctrl-Alt-G"
    found.keybindings.segment = "no such key"
    assert keys.key_of(keys.SEGMENT) == "Shift-S"
    assert "is no key" in caplog.text
    found.keybindings.segment = ""
    assert keys.key_of(keys.SEGMENT) == "Shift-S"


def test_a_changed_key_is_bound_and_shown(
    make_user: Callable[..., Any], plane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = keys.DEFAULTS | {keys.SEGMENT: "Ctrl-Alt-G"}
    monkeypatch.setattr(keys, "key_of", changed.__getitem__)
    user = make_user(show=True)
    user.open(plane)
    user.rest()
    press_key(Qt.Key.Key_S, SHIFT)
    user.rest()
    assert user.segmenter.calls == []
    press_key(Qt.Key.Key_G, CTRL | Qt.KeyboardModifier.AltModifier)
    user.rest()
    assert user.segmenter.calls == [("cluster", [0])]
    assert "Ctrl-Alt-G" in user.dock.actions.segment.toolTip()
