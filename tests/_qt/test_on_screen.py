"""What is segmented is what one sees: the list, the canvas and the brush agree."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_segdino._qt import mouse

CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def two(shown: Any, plane: np.ndarray) -> Any:
    """A user with a first mask of "scan", who then opened "other" over it."""
    shown.viewer.add_image(plane[:, ::-1].copy(), name="other")
    shown.rest()
    return shown


def names(user: Any) -> list[str]:
    combo = user.dock.inputs.image
    return [combo.itemText(i) for i in range(combo.count())]


def visible(user: Any) -> list[str]:
    return [layer.name for layer in user.viewer.layers if layer.visible]


def pick(user: Any, key: Any) -> None:
    """Press an arrow key on the list of images."""
    QTest.keyClick(user.dock.inputs.image, key)
    user.rest()


# -- the list follows the window -------------------------------------------


def test_an_image_that_is_opened_is_the_one_to_segment(
    two: Any, plane: np.ndarray
) -> None:
    assert "A first mask" not in two.status, "that was of the image below"
    first = two.viewer.layers["scan mask"].data.copy()
    assert two.dock.image.name == "other"
    mouse.click(two.dock.actions.segment)
    two.rest()
    np.testing.assert_array_equal(two.viewer.layers["scan mask"].data, first)
    drawn = two.viewer.layers["other mask"].data
    np.testing.assert_array_equal(drawn, plane[:, ::-1] == 200)
    assert "A first mask" in two.status


@pytest.mark.parametrize("name", ["scan", "scan mask", "scan marks"])
def test_a_layer_of_an_image_means_that_image(two: Any, name: str) -> None:
    mouse.select(two.viewer, two.viewer.layers[name])
    two.rest()
    assert two.dock.inputs.image.currentText() == "scan"
    assert two.annotation.image.name == "scan"


def test_other_layers_mean_no_image(two: Any) -> None:
    mouse.select(two.viewer, two.viewer.layers["scan mask"])
    points = two.viewer.add_points(np.array([[5.0, 5.0]]), name="points")
    two.rest()
    assert two.viewer.layers.selection.active is points
    assert two.dock.image.name == "scan"
    assert names(two) == ["scan", "other"]


def test_several_selected_layers(two: Any) -> None:
    layers = two.viewer.layers
    mouse.select(two.viewer, layers["scan"])
    mouse.select(two.viewer, layers["scan mask"], CTRL)
    two.rest()
    assert layers.selection.active is None
    assert two.dock.image.name == "scan", "both mean this one"
    mouse.select(two.viewer, layers["other"], CTRL)
    two.rest()
    assert two.dock.image.name == "scan", "nobody knows which: it stays"


def test_deleted_and_renamed(user: Any, plane: np.ndarray) -> None:
    user.open(plane)
    user.viewer.add_image(plane, name="other")
    user.rest()
    user.viewer.layers["other"].name = "new"
    assert names(user) == ["scan", "new"]
    assert user.dock.image.name == "new"
    user.viewer.layers.remove("new")
    user.rest()
    assert names(user) == ["scan"]
    assert user.dock.image.name == "scan"
    for layer in list(user.viewer.layers):
        user.viewer.layers.remove(layer)
    user.rest()
    assert user.dock.image is None
    assert "Open an image" in user.status


# -- the canvas follows the list -------------------------------------------


def test_the_image_that_is_picked_is_shown(two: Any) -> None:
    two.rest()
    pick(two, Qt.Key.Key_Up)
    assert two.dock.image.name == "scan"
    assert visible(two) == ["scan", "scan mask", "scan marks"]
    assert two.viewer.layers.selection.active.name == "scan mask"
    pick(two, Qt.Key.Key_Down)
    assert two.dock.image.name == "other"
    assert {"other", "other mask", "other marks"} <= set(visible(two))
    assert two.viewer.layers.selection.active.name == "other", "nothing is drawn yet"


def test_images_that_cover_nothing_stay(two: Any) -> None:
    two.viewer.layers["other"].translate = (0, 100)
    pick(two, Qt.Key.Key_Up)
    assert {"scan", "other"} <= set(visible(two))
    pick(two, Qt.Key.Key_Down)
    assert {"scan", "other"} <= set(visible(two))
    assert two.viewer.scene.camera.center[-1] == pytest.approx(139.5), "out of sight"


def test_an_image_seen_through_another_stays(two: Any) -> None:
    two.viewer.layers["other"].opacity = 0.5
    pick(two, Qt.Key.Key_Up)
    assert {"scan", "other"} <= set(visible(two))


def test_what_was_hidden_by_hand_stays_hidden(two: Any) -> None:
    two.viewer.layers["other marks"].visible = False
    pick(two, Qt.Key.Key_Up)
    pick(two, Qt.Key.Key_Down)
    assert not two.viewer.layers["other marks"].visible
    assert two.viewer.layers["other mask"].visible


def test_segment_brings_a_covered_image_on_screen(two: Any) -> None:
    mouse.select(two.viewer, two.viewer.layers["scan"])
    mouse.click(two.dock.actions.segment)
    two.rest()
    assert two.annotation.image.name == "scan"
    assert "other" not in visible(two)
    assert "A first mask" in two.status


def test_no_first_mask_of_an_image_that_is_gone_from_the_screen(two: Any) -> None:
    go = Event()
    two.segmenter.before_plane = go.wait
    mouse.click(two.dock.actions.segment)
    two.wait(lambda: bool(two.segmenter.calls))
    QTest.keyClick(two.dock.inputs.image, Qt.Key.Key_Up)
    go.set()
    two.rest()
    assert "A first mask" not in two.status
    assert "The mask of other is drawn" in two.status
    assert two.viewer.layers["other mask"].data.any()
    assert two.viewer.layers.selection.active.name == "scan mask"


# -- the brush is in the hand ----------------------------------------------


def test_segment_gives_the_brush_whatever_was_selected(two: Any) -> None:
    two.viewer.add_points(np.array([[5.0, 5.0]]), name="points")
    two.rest()
    mouse.click(two.dock.actions.segment)
    two.rest()
    mask = two.viewer.layers["other mask"]
    assert two.viewer.layers.selection.active is mask
    assert mask.mode == "paint"
    centre, before = two.viewer.scene.camera.center, mask.data.copy()
    mouse.stroke(two.viewer, mask, [(50, 20), (50, 28)])
    assert two.viewer.scene.camera.center == centre
    assert (mask.data != before).any()


def test_segment_gives_the_brush_to_who_moved_the_view(shown: Any) -> None:
    shown.annotation.mask.mode = "pan_zoom"
    mouse.click(shown.dock.actions.segment)
    shown.rest()
    assert shown.annotation.mask.mode == "paint"


def test_who_paints_in_the_marks_goes_on(shown: Any) -> None:
    marks = shown.annotation.marks
    mouse.select(shown.viewer, marks)
    marks.mode = "erase"
    mouse.click(shown.dock.actions.segment)
    shown.rest()
    assert shown.viewer.layers.selection.active is marks
    assert marks.mode == "erase"


def test_who_turned_to_something_else_meanwhile_goes_on(shown: Any) -> None:
    go = Event()
    shown.segmenter.before_plane = go.wait
    mouse.click(shown.dock.actions.segment)
    points = shown.viewer.add_points(np.array([[5.0, 5.0]]), name="points")
    points.mode = "add"
    go.set()
    shown.rest()
    assert shown.viewer.layers.selection.active is points
