"""Layers in step with each other, in napari's model of a viewer and no window."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from qtpy.QtTest import QTest

from napari_segdino._qt.layers.layer_combo import ImageCombo, LayerCombo
from napari_segdino._qt.layers.made_layers import is_ours
from napari_segdino._qt.layers.mask_sync import MaskSync
from napari_segdino._qt.layers.overlays import Marker, Overlay, insert_unselected
from napari_segdino._qt.layers.screen import Screen, go_to, in_sight, plane_name
from napari_segdino._qt.layers.stroke_tracker import StrokeTracker
from napari_segdino.images.planes import as_planes
from napari_segdino.session.mask_history import MaskState

GREY = np.zeros((20, 30), np.uint8)

# -- lists of layers ---------------------------------------------------------


def test_a_list_follows_the_layers_there_are(qtbot: Any) -> None:
    viewer = ViewerModel()
    combo = LayerCombo(viewer, Labels, nothing="no reference")
    qtbot.addWidget(combo)
    told: list[Any] = []
    combo.valueChanged.connect(told.append)
    viewer.add_image(GREY)
    truth = viewer.add_labels(GREY, name="truth")
    assert [combo.itemText(i) for i in range(combo.count())] == [
        "no reference",
        "truth",
    ]
    assert combo.value() is None
    combo.setValue(truth)
    truth.name = "by hand"
    assert combo.currentText() == "by hand"
    viewer.layers.remove(truth)
    assert combo.value() is None
    assert told == [truth, None]
    combo.release()
    viewer.add_labels(GREY, name="later")
    assert combo.count() == 1


def test_the_image_is_that_of_the_layer_that_is_selected(
    headless: Any, qtbot: Any
) -> None:
    viewer = headless.viewer
    combo = ImageCombo(viewer)
    qtbot.addWidget(combo)
    one = headless.open(GREY, "one")
    two = headless.open(np.zeros((8, 8), np.uint8), "two")
    assert combo.value() is two.image
    viewer.layers.selection.active = one.mask
    assert combo.currentText() == "two", "not before the window comes to rest"
    assert combo.value() is one.image, "unless somebody asks"
    viewer.layers.selection.active = two.marks
    QTest.qWait(20)
    assert combo.currentText() == "two"
    combo.release()


# -- what is on screen -------------------------------------------------------


def test_what_hides_an_image_comes_back_with_its_own(headless: Any) -> None:
    low, high = headless.open(GREY, "low"), headless.open(GREY + 1, "high")
    screen = Screen(headless.viewer)
    assert screen.shows(high.image)
    assert not screen.shows(low.image), "it lies under the other one"
    screen.show(low.image)
    assert screen.shows(low.image)
    assert not (high.image.visible or high.mask.visible)
    assert low.mask.visible
    screen.show(high.image)
    assert high.image.visible and high.mask.visible
    assert screen.shows(high.image)


def test_images_beside_each_other_hide_nothing(headless: Any) -> None:
    left = headless.open(GREY, "left")
    right = headless.open(GREY, "right", translate=(0, 40))
    screen = Screen(headless.viewer)
    headless.viewer.scene.camera.center = (0, 10, 55)
    screen.show(left.image)
    assert right.image.visible and right.mask.visible
    y, x = headless.viewer.scene.camera.center[-2:]
    assert (y, x) == (9.5, 14.5), "the middle of an image that was out of sight"


def test_sliders_and_camera_go_to_a_pixel(headless: Any) -> None:
    volume = np.zeros((2, 5, 20, 30), np.uint8)
    annotation = headless.open(volume, scale=(1, 4, 2, 2), translate=(0, 8, 0, 0))
    viewer = headless.viewer
    go_to(viewer, annotation, 5 + 3, (10, 12))
    assert annotation.shown() == 8
    assert viewer.dims.point[:2] == (1, 8 + 3 * 4)
    assert viewer.scene.camera.center[-2:] == (20, 24)
    assert plane_name(annotation, 8) == "slice 1, 3"
    viewer.dims.ndisplay = 3
    assert not in_sight(annotation, (10, 12), 0), "a volume shows no slice"


def test_a_pixel_near_the_border_of_the_canvas_is_not_in_sight(headless: Any) -> None:
    annotation = headless.open(GREY)
    annotation.mask.corner_pixels = np.array([[0, 0], [19, 15]])
    assert in_sight(annotation, (10, 10), margin=5)
    assert not in_sight(annotation, (10, 10), margin=6)
    assert in_sight(annotation, (0, 0), margin=6), "there is no more to be seen"


# -- the mask and its marks --------------------------------------------------


@pytest.fixture
def pair(qapp: Any) -> Any:
    """Mask and marks of two planes of 4 x 5, the first on screen; their sync."""
    mask, marks = (Labels(np.zeros((2, 4, 5), np.uint8)) for _ in range(2))
    planes = as_planes(np.zeros((2, 4, 5)), axes="ZYX")
    state = MaskState.of(mask, fresh=True)
    sync = MaskSync(planes, mask, marks, lambda: 0, state)
    yield SimpleNamespace(mask=mask, marks=marks, sync=sync)
    sync.close()


def test_what_changes_in_the_mask_is_marked_and_unmarked(pair: Any) -> None:
    mask, marks, sync = pair.mask, pair.marks, pair.sync
    assert sync.blank
    mask.data_setitem((np.array([0, 0]), np.array([1, 2]), np.array([3, 3])), 2)
    sync.sync(0)
    wanted = np.zeros((2, 4, 5), np.uint8)
    wanted[0, 1:3, 3] = 3
    np.testing.assert_array_equal(marks.data, wanted)
    assert not sync.blank
    assert not sync.sync(0), "nothing new"
    sync.step(redo=False)
    assert not mask.data.any() and not marks.data.any()
    sync.step(redo=True)
    np.testing.assert_array_equal(marks.data, wanted)


def test_what_the_program_draws_is_no_mark(pair: Any) -> None:
    mask, marks, sync = pair.mask, pair.marks, pair.sync
    with sync.silent():
        mask.data_setitem((np.array([1]), np.array([0]), np.array([0])), 1)
    sync.drew(1, slice(0, 4), slice(0, 5))
    sync.wrote(1, "update", probe=7)
    assert not sync.sync(1) and not marks.data.any()
    assert (sync.drawn_with(0), sync.drawn_with(1)) == (None, 7)
    told: list[Any] = []
    sync.undone.connect(told.append)
    with sync.silent():
        mask.undo()
    sync.sync(1)
    assert told == ["update"]
    assert sync.took_back(1, 7) and not sync.took_back(1, 6)


def test_an_accepted_plane_is_marked_whole(pair: Any) -> None:
    mask, marks, sync = pair.mask, pair.marks, pair.sync
    with sync.silent():
        mask.data_setitem((np.array([1]), np.array([2]), np.array([2])), 1)
    sync.drew(1, slice(0, 4), slice(0, 5))
    assert sync.accept(1) == 20
    assert marks.data[1, 2, 2] == 2
    assert (marks.data[1] == 1).sum() == 19
    assert not marks.data[0].any()
    assert sync.accept(1) == 0, "it is so already"


def test_layers_of_another_shape_are_left_alone(pair: Any) -> None:
    pair.mask.data = np.ones((4, 5), np.uint8)
    assert not pair.sync.intact
    QTest.qWait(200)
    assert not pair.marks.data.any()


# -- strokes -----------------------------------------------------------------


@pytest.fixture
def tracked(qapp: Any) -> Any:
    """A mask of 12 x 16 with a brush of three pixels, and what its tracker told."""
    mask, told = Labels(np.zeros((12, 16), np.uint8)), list[Any]()
    mask.brush_size, mask.mode = 3, "paint"
    tracker = StrokeTracker(mask, lambda: (), lambda: True)
    tracker.pressed.connect(lambda: told.append("pressed"))
    tracker.painted.connect(lambda stroke, where: told.append((stroke.label, where)))
    tracker.released.connect(lambda: told.append("released"))
    yield SimpleNamespace(mask=mask, tracker=tracker, told=told)
    tracker.close()


def drag(mask: Labels, *points: tuple[float, float]) -> None:
    """Press the left button, move along and let go, as napari's canvas tells it."""
    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        modifiers=(),
        position=points[0],
        pos=points[0],
        view_direction=None,
        dims_displayed=[0, 1],
        dims_point=(0, 0),
        is_dragging=False,
        handled=False,
    )
    mouse_press_callbacks(mask, event)
    for point in points:
        event.type, event.position, event.is_dragging = "mouse_move", point, True
        mouse_move_callbacks(mask, event)
    event.type = "mouse_release"
    mouse_release_callbacks(mask, event)


def test_a_stroke_is_told_with_what_it_passed(tracked: Any) -> None:
    mask, told = tracked.mask, tracked.told
    mask.selected_label = 2
    drag(mask, (5, 4), (5, 9))
    assert tracked.tracker.stroking, "napari has yet to commit it"
    QTest.qWait(20)
    assert not tracked.tracker.stroking
    assert told[0] == "pressed" and told[-1] == "released"
    ((label, passed),) = told[1:-1]
    assert label == 2
    np.testing.assert_array_equal(passed, mask.data == 2)
    assert passed[4:7, 4:10].all() and not passed[:4].any() and not passed[7:].any()


def test_each_of_two_strokes_counts_where_the_window_is_busy(tracked: Any) -> None:
    drag(tracked.mask, (2, 4), (2, 9))
    drag(tracked.mask, (9, 4), (9, 9))
    QTest.qWait(20)
    told = [x for x in tracked.told if isinstance(x, str)]
    assert told == ["pressed", "released"] * 2
    first, second = (where for _, where in tracked.told[1::3])
    assert first[2, 4:10].all() and not first[6:].any()
    assert second[9, 4:10].all() and not second[:6].any()


def test_the_eraser_says_background_where_there_was_none(tracked: Any) -> None:
    tracked.mask.mode = "erase"
    drag(tracked.mask, (5, 4))
    QTest.qWait(20)
    ((label, passed),) = tracked.told[1:-1]
    assert label == 0 and passed.sum() == 9
    assert not tracked.mask.data.any()


def test_a_dot_leaves_the_brush_as_it_was(tracked: Any) -> None:
    tracked.mask.brush_size = 8
    tracked.tracker.dot((6, 7), label=1, size=3)
    wanted = np.zeros((12, 16), bool)
    wanted[5:8, 6:9] = True
    np.testing.assert_array_equal(tracked.mask.data == 1, wanted)
    np.testing.assert_array_equal(tracked.told[1][1], wanted)
    assert tracked.mask.brush_size == 8


def test_a_tracker_that_is_closed_tells_nothing(tracked: Any) -> None:
    tracked.tracker.close()
    drag(tracked.mask, (5, 4))
    tracked.mask.paint_polygon([(1, 1), (1, 4), (4, 4)], 1)
    QTest.qWait(20)
    assert tracked.told == []
    assert tracked.mask.data[5, 4] == 1


# -- layers over the image ---------------------------------------------------


def test_an_overlay_lies_between_image_and_mask(headless: Any) -> None:
    annotation = headless.open(np.zeros((2, 20, 30), np.uint8))
    viewer = headless.viewer
    selected = viewer.layers.selection.active = annotation.mask
    overlay, gone = Overlay(headless.controller, "uncertainty"), list[str]()
    overlay.gone.connect(lambda: gone.append("gone"))
    overlay.draw(annotation, 0, np.full((20, 30), 9))  # there is no layer yet
    overlay.show(annotation)
    layer = viewer.layers["scan uncertainty"]
    assert isinstance(layer, Image) and is_ours(layer)
    names = [x.name for x in viewer.layers]
    assert names == ["scan", "scan uncertainty", "scan mask", "scan marks"]
    assert viewer.layers.selection.active is selected
    overlay.draw(annotation, 1, np.full((20, 30), 7))
    assert (layer.data[1] == 7).all() and not layer.data[0].any()
    overlay.hide()
    assert (layer.visible, gone) == (False, [])
    overlay.show(annotation)
    assert layer.visible and len(viewer.layers) == 4, "made once"
    layer.visible = False
    assert gone == ["gone"], "by the user's hand"
    overlay.clear(annotation)
    assert not layer.data.any()
    overlay.release()
    assert layer not in viewer.layers


def test_changes_lie_over_the_mask_and_cannot_be_painted(headless: Any) -> None:
    annotation = headless.open(GREY)
    overlay = Overlay(headless.controller, "changes")
    overlay.show(annotation)
    layer = headless.viewer.layers["scan changes"]
    assert isinstance(layer, Labels) and not layer.editable
    assert headless.viewer.layers.index(layer) == 2
    overlay.color(annotation, {None: "transparent", 1: "#ff0000"})
    np.testing.assert_allclose(layer.get_color(1), (1, 0, 0, 1))
    headless.viewer.layers.remove(annotation.mask)
    QTest.qWait(20)
    assert layer not in headless.viewer.layers, "it goes with what it is about"
    overlay.release()


def test_one_ring_marks_the_place_to_look_at(headless: Any) -> None:
    annotation = headless.open(np.zeros((2, 20, 30), np.uint8))
    marker = Marker(headless.controller)
    marker.show(annotation, 1, (5, 6), radius=4)
    ring = headless.viewer.layers["next place"]
    np.testing.assert_array_equal(ring.data, [[1, 5, 6]])
    assert ring.size.tolist() == [12]
    marker.show(annotation, 0, (7, 8), radius=2)
    assert headless.viewer.layers["next place"] is ring
    np.testing.assert_array_equal(ring.data, [[0, 7, 8]])
    assert ring.size.tolist() == [6]
    marker.remove()
    assert ring not in headless.viewer.layers


def test_a_layer_is_inserted_where_it_belongs(qapp: Any) -> None:
    viewer = ViewerModel()
    below, above = viewer.add_image(GREY), viewer.add_image(GREY)
    layer = Image(GREY)
    insert_unselected(viewer, layer, below)
    assert list(viewer.layers) == [below, layer, above]
    assert viewer.layers.selection.active is above
