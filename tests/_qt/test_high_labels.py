"""Labels that are no classes, painted with napari's own tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segdino._qt import mouse
from napari_segdino._qt.layers.made_layers import layer_name

CTRL = Qt.KeyboardModifier.ControlModifier


def paint(user: Any, label: int) -> None:
    """Take a label with napari's own spin box, and paint inside the square."""
    mask = user.annotation.mask
    user.viewer.layers.selection.active = mask
    mask.selected_label = label
    assert mask.selected_label == label
    mask.mode, mask.brush_size = "paint", 4
    mouse.stroke(user.viewer, mask, [(50, 15), (50, 30)])


def test_label_255_is_kept_and_refused(shown: Any) -> None:
    paint(shown, 255)
    assert shown.status.startswith("There is a class 255, and 254 is the highest")
    painted = shown.annotation.mask.data == 255
    assert painted[50, 15:31].all()
    assert (shown.annotation.marks.data[painted] == 256).all()
    before = shown.annotation.mask.data.copy()
    mouse.click(shown.dock.actions.retrain)
    shown.rest()
    assert "There is a class 255" in shown.status
    np.testing.assert_array_equal(shown.annotation.mask.data, before)
    assert not shown.dock.session.is_fitted


def test_undo_takes_it_back_and_the_probe_learns(shown: Any) -> None:
    paint(shown, 255)
    mouse.press_key(Qt.Key.Key_Z, CTRL)
    assert not shown.annotation.marks.data.any()
    paint(shown, 1)
    mask = shown.annotation.mask
    mask.mode = "erase"
    mouse.stroke(shown.viewer, mask, [(5, 40), (5, 60)])
    shown.retrain()
    assert shown.dock.session.is_fitted
    assert (mask.data[50, 15:31] == 1).all()


@pytest.mark.parametrize("label", [300, 100_000])
def test_any_label_that_napari_holds(make_user: Any, plane: Any, label: int) -> None:
    user = make_user(show=True)
    image = user.open(plane, name="a")
    user.viewer.add_labels(np.zeros((60, 80), np.int32), name=layer_name(image, "mask"))
    user.viewer.layers.selection.active = image
    user.segment()
    paint(user, label)
    assert user.status.startswith(f"There is a class {label}")
    before = user.annotation.mask.data.copy()
    assert (before[50, 15:31] == label).all()
    mouse.click(user.dock.actions.retrain)
    user.rest()
    assert f"There is a class {label}" in user.status
    np.testing.assert_array_equal(user.annotation.mask.data, before)
