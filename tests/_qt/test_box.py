"""Box to start, with real drags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segdino._qt.messages import NOTHING_IN_BOX
from napari_segdino._qt.mouse import click, press_key, stroke

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier

CORNERS = [(6, 6), (30, 25), (44, 44)]
"""Around the square of 200 in ``plane``, on pixels of its background."""


@pytest.fixture
def boxer(make_user: Callable[..., Any], plane: np.ndarray) -> Any:
    """A user of a window on screen with an empty mask and the tool in the hand."""
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    user.rest()
    press_key(Qt.Key.Key_B, SHIFT)
    return user


def drag(user: Any, corners: list[tuple[float, float]]) -> None:
    stroke(user.viewer, user.annotation.mask, corners)
    user.rest()


def test_a_drag_draws_what_is_in_the_box(boxer: Any, plane: Any) -> None:
    camera = boxer.viewer.scene.camera.center
    assert boxer.dock.tools.box.isChecked()
    assert "Drag a box around an object" in boxer.status
    drag(boxer, CORNERS)
    mask = boxer.annotation.mask
    np.testing.assert_array_equal(mask.data, plane == 200)
    assert boxer.segmenter.calls == [("box", [0])]
    assert not boxer.annotation.marks.data.any(), "a box paints nothing"
    assert "Drawn from your box" in boxer.status
    assert boxer.viewer.scene.camera.center == camera, "the view stays"
    assert mask.mode == "pan_zoom", "ready for the next box"
    assert boxer.dock.session.is_fitted
    press_key(Qt.Key.Key_Z, CTRL)
    boxer.rest()
    assert not mask.data.any()
    assert not boxer.dock.session.is_fitted, "what was learned is taken back too"


def test_a_box_in_which_nothing_is_found_is_told(boxer: Any) -> None:
    drag(boxer, [(43, 4), (50, 20), (57, 36)])
    assert boxer.segmenter.calls == [("box", [0])]
    assert not boxer.annotation.mask.data.any()
    assert boxer.status == NOTHING_IN_BOX
    drag(boxer, CORNERS)
    assert "Drawn from your box" in boxer.status
    drag(boxer, [(43, 4), (50, 20), (57, 36)])
    assert boxer.status == NOTHING_IN_BOX, "whatever else there is"


def test_outside_the_box_the_mask_stays(boxer: Any, plane: Any) -> None:
    mask = boxer.annotation.mask
    drag(boxer, CORNERS)
    first = mask.data.copy()
    press_key(Qt.Key.Key_B, SHIFT)
    stroke(boxer.viewer, mask, [(50, 55), (50, 65)])
    boxer.rest()
    painted = (mask.data > 0) & (first == 0)
    assert painted.any()
    press_key(Qt.Key.Key_B, SHIFT)
    drag(boxer, CORNERS)
    assert (mask.data[painted] > 0).all()
    np.testing.assert_array_equal(mask.data[7:44, 7:44], first[7:44, 7:44])


def test_what_is_no_box_of_an_object_draws_nothing(boxer: Any) -> None:
    drag(boxer, [(25, 25)])
    assert boxer.segmenter.calls == [], "a click"
    drag(boxer, [(-9, -9), (-6, -6), (-3, -3)])
    assert not boxer.annotation.mask.data.any()
    assert "must hold at least a pixel of the image" in boxer.status
    boxer.segmenter.calls.clear()
    press_key(Qt.Key.Key_0, ALT)
    assert boxer.dock.tools.box.isChecked(), "the tool stays in the hand"
    drag(boxer, CORNERS)
    assert boxer.segmenter.calls == []
    assert boxer.status == "Pick a class first: a box is drawn around an object."


def test_a_box_across_the_slices_is_refused(
    make_user: Callable[..., Any], volume: np.ndarray
) -> None:
    user = make_user(show=True)
    user.open(np.repeat(volume, 8, 0))
    user.wait(lambda: user.annotation is not None)
    user.rest()
    user.viewer.dims.order = (2, 0, 1)
    user.viewer.reset_view()
    user.rest()
    press_key(Qt.Key.Key_B, SHIFT)
    drag(user, [(6, 6), (20, 20), (30, 44)])
    assert user.status.startswith("A box is drawn on a slice")
    assert user.segmenter.calls == []


def test_one_tool_at_a_time(boxer: Any) -> None:
    tools = boxer.dock.tools
    press_key(Qt.Key.Key_K, SHIFT)
    assert tools.from_clicks.isChecked() and not tools.box.isChecked()
    assert boxer.annotation.mask.mouse_pan, "a drag moves the view again"
    click(tools.box)
    assert tools.box.isChecked() and not tools.from_clicks.isChecked()
    assert not boxer.annotation.mask.mouse_pan
    click(tools.box)
    assert boxer.annotation.mask.mode == "paint"
    assert not boxer.dock.clicks.in_hand
