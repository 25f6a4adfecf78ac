"""Where to look next: lists, sliders, camera, ring and uncertainty layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Points
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_segdino._qt.mouse import click, press_key, stroke
from napari_segdino._qt.widgets.review_panels import IMAGES, SLICES
from napari_segdino.review.places import Place, Slice

SHIFT = Qt.KeyboardModifier.ShiftModifier


def rows(user: Any) -> list[str]:
    found = user.dock.review.suggest.panel.list
    return [found.item(i).text() for i in range(found.count())]


def things(user: Any) -> list[Any]:
    found = user.dock.review.suggest.panel.list
    return [found.item(i).data(Qt.ItemDataRole.UserRole) for i in range(found.count())]


def pick(user: Any, row: int) -> None:
    """Click a row with the mouse."""
    found = user.dock.review.suggest.panel.list
    item = found.item(row)
    found.scrollToItem(item)
    place = found.visualItemRect(item).center()
    QTest.mouseClick(found.viewport(), Qt.MouseButton.LeftButton, pos=place)


def choose(user: Any, kind: str) -> None:
    panel = user.dock.review.suggest.panel
    panel.kind.setCurrentText(kind)
    panel.kind.textActivated.emit(kind)
    user.rest()


def ring(user: Any) -> tuple[float, ...]:
    (layer,) = (x for x in user.viewer.layers if isinstance(x, Points))
    return tuple(layer.data[0].tolist())


def test_nothing_learned_yet(user: Any, plane: np.ndarray) -> None:
    user.open(plane)
    user.segment()
    user.dock.review.suggest.next_place()
    assert "press Retrain first" in user.status
    assert rows(user) == ["Retrain first"]


def test_next_place_with_real_keys(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane, show=True, scale=(2.0, 0.5))
    user.wait(lambda: user.dock.isVisible())
    before = [layer.name for layer in user.viewer.layers]
    press_key(Qt.Key.Key_N, SHIFT)
    user.rest()
    places = things(user)
    assert all(isinstance(p, Place) for p in places)
    found = [p.uncertainty for p in places]
    assert found == sorted(found, reverse=True)
    first, second = places[:2]
    assert ring(user) == (first.y, first.x)
    press_key(Qt.Key.Key_N, SHIFT)
    user.rest()
    assert ring(user) == (second.y, second.x), "the first was looked at"
    assert [x.name for x in user.viewer.layers] == [*before, "next place"]
    mask = user.annotation.mask
    assert user.viewer.layers.selection.active is mask
    assert mask.mode == "paint"
    stroke(user.viewer, mask, [(second.y, second.x)])
    assert user.annotation.marks.data[second.y, second.x], "and painting goes on"


def test_the_camera_moves_only_to_what_is_out_of_sight(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane, show=True, scale=(2.0, 0.5))
    user.wait(lambda: user.dock.isVisible())
    camera = user.viewer.scene.camera
    whole = camera.center
    press_key(Qt.Key.Key_N, SHIFT)
    user.rest()
    assert camera.center == whole, "all of the image is on screen"
    second = things(user)[1]
    camera.zoom *= 10
    camera.center = (0, 0, 0)
    QTest.qWait(100)
    press_key(Qt.Key.Key_N, SHIFT)
    user.rest()
    np.testing.assert_allclose(camera.center[-2:], (second.y * 2.0, second.x * 0.5))


def test_a_painted_place_leaves_the_list(
    train: Callable[..., Any], plane: np.ndarray, dot: Callable[..., None]
) -> None:
    user = train(plane)
    user.dock.review.suggest.next_place()
    user.rest()
    first = things(user)[0]
    dot(user, 1, (first.y, first.x))
    user.dock.review.suggest.next_place()
    user.rest()
    assert all(np.hypot(p.y - first.y, p.x - first.x) > 1 for p in things(user))


def test_after_the_last_place_comes_the_first(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    suggest = user.dock.review.suggest
    suggest.next_place()
    user.rest()
    places = things(user)
    for _ in places:
        suggest.next_place()
    assert ring(user) == (places[0].y, places[0].x)


def test_slices_of_a_volume(train: Callable[..., Any], volume: np.ndarray) -> None:
    noisy = volume.copy()
    noisy[4] = np.random.default_rng(0).integers(20, 200, noisy[4].shape)
    user = train(noisy)
    press = user.dock.review.suggest.next_slice
    press()
    user.rest()
    choose(user, SLICES)
    found = things(user)
    assert sorted(s.plane for s in found) == [0, 1, 2, 3, 4]
    assert isinstance(found[0], Slice)
    assert found[0].plane == 2, "uncertain itself and in the middle of the others"
    assert user.viewer.dims.current_step[0] == 2
    assert "Press Segment" not in user.status, "it is drawn"
    press()
    user.rest()
    assert user.viewer.dims.current_step[0] == found[1].plane
    assert "Press Segment to draw it" in user.status, "it has no mask yet"


def test_clicking_a_row_goes_there(
    train: Callable[..., Any], volume: np.ndarray
) -> None:
    user = train(volume, show=True, whole_volume=True)
    user.wait(lambda: user.dock.isVisible())
    click(user.dock.review.suggest.panel.next_place)
    user.rest()
    places = things(user)
    user.viewer.dims.set_current_step(0, (places[1].plane + 1) % 5)
    pick(user, 1)
    assert user.annotation.shown() == places[1].plane
    assert ring(user) == (places[1].plane, places[1].y, places[1].x)
    choose(user, SLICES)
    assert len(things(user)) == 5, "the whole volume was looked at"
    pick(user, 4)
    assert user.annotation.shown() == things(user)[4].plane


def test_images_of_the_window(
    train: Callable[..., Any], plane: np.ndarray, volume: np.ndarray
) -> None:
    user = train(plane, show=True)
    user.open(volume, name="stack")
    user.viewer.add_image(
        np.zeros((2, 60, 80), np.uint8), name="cells", axis_labels=("c", "y", "x")
    )
    user.dock.inputs.image.setValue(user.viewer.layers["scan"])
    choose(user, IMAGES)
    assert sorted(things(user)[:2]) == ["scan", "stack"]
    assert rows(user)[2] == "–  cells", "of other channels: the probe cannot tell"
    pick(user, things(user).index("stack"))
    assert user.dock.image.name == "stack"


def uncertainty(user: Any) -> Any:
    name = "scan uncertainty"
    return next((x for x in user.viewer.layers if x.name == name), None)


def test_uncertainty_follows_the_probe(
    train: Callable[..., Any], plane: np.ndarray, contradict: Callable[..., None]
) -> None:
    user = train(plane)
    box = user.dock.review.suggest.panel.uncertainty
    box.setChecked(True)
    user.wait(lambda: uncertainty(user).data.any())
    layer = uncertainty(user)
    assert isinstance(layer, Image)
    first = layer.data.copy()
    assert first[50, 60] < first.max(), "no uncertainty where it was told"
    order = [x.name for x in user.viewer.layers]
    assert order == ["scan", "scan uncertainty", "scan mask", "scan marks"]
    assert user.dock.inputs.image.count() == 1, "it is no image to segment"
    contradict(user, (5, 70))
    user.retrain()
    user.wait(lambda: layer.data.any() and (layer.data != first).any())
    box.setChecked(False)
    assert not layer.visible
    box.setChecked(True)
    assert uncertainty(user) is layer
    layer.visible = False
    assert not box.isChecked(), "napari's own eye counts"
    box.setChecked(True)
    user.viewer.layers.remove(layer)
    assert not box.isChecked()


def test_uncertainty_follows_the_slider(
    train: Callable[..., Any], volume: np.ndarray
) -> None:
    user = train(volume)
    user.dock.review.suggest.panel.uncertainty.setChecked(True)
    shown = user.annotation.shown()
    user.wait(lambda: uncertainty(user).data[shown].any())
    assert not uncertainty(user).data[4].any()
    user.viewer.dims.set_current_step(0, 4)
    user.wait(lambda: uncertainty(user).data[4].any())


def test_the_dock_takes_its_layers_away(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    user.dock.review.suggest.next_place()
    user.rest()
    user.dock.review.suggest.panel.uncertainty.setChecked(True)
    user.dock.release()
    assert [x.name for x in user.viewer.layers] == ["scan", "scan mask", "scan marks"]


@pytest.mark.parametrize("whole", [False, True])
def test_a_place_after_undo_is_that_of_the_probe_before(
    train: Callable[..., Any], plane: np.ndarray, contradict: Any, whole: bool
) -> None:
    user = train(plane, whole_volume=whole)
    user.dock.review.suggest.next_place()
    user.rest()
    before = things(user)
    contradict(user, (5, 70))
    user.retrain()
    user.dock.review.suggest.next_place()
    user.rest()
    assert things(user) != before
    user.annotation.mask.undo()
    user.annotation.mask.undo()
    user.wait(lambda: user.dock.controller.history.place == (2, 3))
    user.dock.review.suggest.next_place()
    user.rest()
    assert things(user) == before


def test_layers_go_with_their_image(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    user.dock.review.suggest.next_place()
    user.rest()
    user.dock.review.suggest.panel.uncertainty.setChecked(True)
    user.dock.review.change.panel.overlay.setChecked(True)
    assert len(user.viewer.layers) == 6
    user.viewer.layers.remove("scan")
    left = ["scan mask", "scan marks"]
    user.wait(lambda: [x.name for x in user.viewer.layers] == left)


def test_every_image_has_its_own_layer(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    user.dock.review.suggest.panel.uncertainty.setChecked(True)
    user.wait(lambda: uncertainty(user).data.any())
    user.open(plane[::-1].copy(), name="other")
    user.segment()
    other = user.viewer.layers["other uncertainty"]
    assert other.visible
    assert not uncertainty(user).visible
    user.wait(lambda: other.data.any())
    user.dock.inputs.image.setValue(user.viewer.layers["scan"])
    assert uncertainty(user).visible
    assert not other.visible


def test_retrain_finds_the_doubt_on_the_way(
    train: Callable[..., Any],
    volume: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = train(volume, whole_volume=True)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the probe is asked twice")

    monkeypatch.setattr("napari_segdino.review.suggest.iter_uncertainty", never)
    user.dock.review.suggest.next_slice()
    user.rest()
    choose(user, SLICES)
    assert sorted(s.plane for s in things(user)) == [0, 1, 2, 3, 4]
    user.dock.review.suggest.panel.uncertainty.setChecked(True)
    assert uncertainty(user).data.any(axis=(1, 2)).all(), "there at once"


def test_places_on_a_tilted_scan_are_shown(
    train: Callable[..., Any], volume: np.ndarray
) -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0.985, -0.174], [0.174, 0.985]]
    user = train(volume, scale=(3, 1, 1), affine=turn, whole_volume=True)
    user.dock.review.suggest.next_place()
    user.rest()
    assert user.annotation.shown() == things(user)[0].plane
