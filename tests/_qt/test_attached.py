"""Layers of an image go where it goes; what was painted outlives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_segdino._qt.mouse import click, press_key, stroke


def names(user: Any) -> list[str]:
    return [layer.name for layer in user.viewer.layers]


def corners(layer: Any) -> np.ndarray:
    ends = np.array([np.zeros(layer.ndim), np.array(layer.data.shape) - 1.0])
    return np.array([layer.data_to_world(end) for end in ends])


@pytest.fixture
def full(shown: Any) -> Any:
    """A user with mask, marks, objects and both overlays."""
    mask = shown.annotation.mask
    shown.wait(lambda: shown.viewer.layers.selection.active is mask)
    stroke(shown.viewer, mask, [(50, 52), (50, 66)])
    press_key(Qt.Key.Key_E)
    stroke(shown.viewer, mask, [(14, 12), (14, 30)])
    shown.retrain()
    shown.wait(lambda: "Learned your corrections" in shown.status)
    shown.dock.tabs.setCurrentWidget(shown.dock.objects)
    click(shown.dock.objects.find)
    shown.rest()
    shown.dock.tabs.setCurrentWidget(shown.dock.review)
    shown.dock.review.change.panel.overlay.setChecked(True)
    shown.rest()
    assert names(shown) == [
        "scan",
        "scan objects",
        "scan mask",
        "scan changes",
        "scan marks",
    ]
    return shown


def test_they_lie_on_the_image_when_it_is_moved(full: Any) -> None:
    image = full.viewer.layers["scan"]
    for name, value in {
        "scale": (0.5, 0.25),
        "translate": (7, -3),
        "rotate": 30,
        "shear": [0.5],
        "affine": [[0, 1, 4], [-1, 0, 5], [0, 0, 1]],
    }.items():
        before = corners(image)
        setattr(image, name, value)
        assert not np.allclose(corners(image), before), name
        for layer in full.viewer.layers:
            np.testing.assert_allclose(
                corners(layer), corners(image), err_msg=f"{name} of {layer.name}"
            )
    image.units = ("mm", "mm")
    image.axis_labels = ("y", "x")
    for layer in full.viewer.layers:
        assert layer.units == image.units
        assert layer.axis_labels == ("y", "x")


def test_a_stroke_lands_where_the_moved_image_is(full: Any) -> None:
    image, annotation = full.viewer.layers["scan"], full.annotation
    image.scale, image.translate = (2, 2), (10, 20)
    full.viewer.reset_view()
    full.viewer.layers.selection.active = annotation.mask
    annotation.mask.mode, annotation.mask.selected_label = "paint", 1
    stroke(full.viewer, image, [(5, 60), (5, 70)])
    assert (annotation.mask.data[5, 60:70] == 1).all()
    assert (annotation.marks.data[5, 60:70] == 2).all()


def test_they_are_called_after_it_unless_the_user_named_them(full: Any) -> None:
    full.viewer.layers["scan marks"].name = "my strokes"
    full.viewer.layers["scan"].name = "knee"
    assert names(full) == [
        "knee",
        "knee objects",
        "knee mask",
        "knee changes",
        "my strokes",
    ]
    full.viewer.layers["knee"].name = "scan"
    assert names(full)[1:4] == ["scan objects", "scan mask", "scan changes"]


def test_a_released_image_leads_nothing(full: Any) -> None:
    full.dock.release()
    full.viewer.layers["scan"].translate = (7, 7)
    full.viewer.layers["scan"].name = "knee"
    assert "scan mask" in names(full)
    np.testing.assert_array_equal(full.viewer.layers["scan mask"].translate, (0, 0))


def delete(user: Any, name: str) -> None:
    """Remove a layer as the button of napari's layer list does."""
    user.viewer.layers.selection.active = user.viewer.layers[name]
    user.viewer.layers.remove_selected()
    QTest.qWait(20)


def test_work_stays_without_its_image_and_is_found_again(
    full: Any, plane: np.ndarray, no_popups: list[str]
) -> None:
    mask, marks = full.annotation.mask, full.annotation.marks
    drawn, marked = mask.data.copy(), marks.data.copy()
    delete(full, "scan")
    assert names(full) == ["scan objects", "scan mask", "scan marks"]
    full.wait(lambda: "scan mask and scan marks stay" in full.status)
    assert no_popups == []
    image = full.open(plane, name="opened again")
    full.wait(lambda: full.annotation is not None)
    assert full.annotation.mask is mask
    assert full.annotation.marks is marks
    np.testing.assert_array_equal(mask.data, drawn)
    np.testing.assert_array_equal(marks.data, marked)
    full.retrain()
    assert not full.annotation.mask_sync.blank
    image.translate = (3, 3)
    np.testing.assert_array_equal(mask.translate, (3, 3))


def test_another_image_of_that_name_does_not_get_the_work(
    full: Any, plane: np.ndarray
) -> None:
    mask = full.annotation.mask
    delete(full, "scan")
    full.open(plane[::-1].copy(), name="scan")
    full.wait(lambda: full.annotation is not None)
    assert full.annotation.mask is not mask
    assert mask in full.viewer.layers


def test_a_mask_is_not_taken_from_another_image(user: Any, plane: np.ndarray) -> None:
    first = user.open(plane, name="one")
    user.segment()
    mask = user.annotation.mask
    mask.name = "two mask"
    user.open(plane.copy(), name="two")
    user.wait(lambda: user.annotation is not None)
    assert user.annotation.mask is not mask
    user.dock.inputs.image.setValue(first)
    assert user.annotation.mask is mask


def test_an_image_without_work_takes_its_empty_layers_along(
    user: Any, plane: np.ndarray
) -> None:
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    assert len(user.viewer.layers) == 3
    delete(user, "scan")
    assert names(user) == []
    assert "stay" not in user.status


def test_deleting_image_and_work_together_says_nothing_of_it(full: Any) -> None:
    full.viewer.layers.select_all()
    full.viewer.layers.remove_selected()
    QTest.qWait(150)
    assert names(full) == []
    assert "stay" not in full.status
