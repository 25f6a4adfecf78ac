"""The dock: what is drawn, what is kept, what bad input does."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_segdino._qt import mouse
from napari_segdino.errors import WeightsError


def correct(user: Any) -> None:
    """Say that the middling field is class 1 and the square background."""
    mask = user.annotation.mask
    mask.brush_size = 3
    mask.mode = "paint"
    lead = user.annotation.planes.index(user.annotation.shown())
    mask.paint((*lead, 50, 60), 1)
    mask.paint((*lead, 25, 25), 0)


# -- before the main job ---------------------------------------------------


def test_layers_are_there_before_segment(user: Any, plane: Any) -> None:
    user.open(plane)
    user.wait(lambda: "scan marks" in user.viewer.layers)
    assert [layer.name for layer in user.viewer.layers] == [
        "scan",
        "scan mask",
        "scan marks",
    ]
    assert not user.viewer.layers["scan mask"].data.any()
    user.annotation.mask.paint((50, 60), 1)
    user.annotation.marks.paint((25, 25), 1)
    user.retrain()
    # Painted without a first mask, learned all the same.
    assert [name for name, _ in user.segmenter.calls] == ["partial_fit", "predict"]


def test_a_mask_that_was_never_drawn_is_not_exported(
    user: Any, plane: Any, tmp_path: Path
) -> None:
    user.open(plane)
    user.wait(lambda: "scan marks" in user.viewer.layers)
    user.dock.exports.mask.click()
    assert "no mask yet" in user.status
    user.dock.controller.export_mask(user.dock.image, tmp_path / "mask.tif")
    assert "no mask yet" in user.status
    assert not list(tmp_path.iterdir())
    user.annotation.mask.paint((5, 5), 1)
    user.dock.controller.export_mask(user.dock.image, tmp_path / "mask.tif")
    user.rest()
    assert (tmp_path / "mask.tif").exists()


def test_what_cannot_be_segmented_is_said_when_it_is_tried(user: Any) -> None:
    user.open(np.zeros((1,) * 12 + (4, 4)))
    user.rest()
    assert "axes" not in user.status
    user.segment()
    assert "too many" in user.status


# -- the main job ----------------------------------------------------------


def test_segment_groups_first_then_applies_the_probe(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    np.testing.assert_array_equal(user.annotation.mask.data, plane == 200)
    assert "from the image alone" in user.status
    correct(user)
    user.retrain()
    user.segment()
    names = [name for name, _ in user.segmenter.calls]
    assert names == ["cluster", "partial_fit", "predict", "predict"]


def test_groups_follow_the_classes(user: Any, plane: Any) -> None:
    user.open(plane)
    user.dock.session.add_class()
    user.segment()
    # Three groups at 0, 100 and 200.
    assert user.annotation.mask.data[50, 60] == 1
    assert user.annotation.mask.data[25, 25] == 2


def test_second_retrain_learns_only_what_is_new(user: Any, volume: Any) -> None:
    user.open(volume)
    user.segment()
    correct(user)
    user.retrain()
    shown = user.annotation.shown()
    user.retrain()
    user.viewer.dims.set_current_step(0, 4)
    user.segment()
    user.annotation.mask.paint((4, 5, 5), 0)  # the probe drew class 1
    user.retrain()
    fits = [p for name, p in user.segmenter.calls if name == "partial_fit"]
    assert fits == [[shown], [4]]
    assert len(user.segmenter.samples) == 2, "earlier marks still count"


def test_erased_marks_are_forgotten(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    user.retrain()
    marks = user.annotation.marks
    marks.data_setitem(np.nonzero(marks.data == 1), 0)
    user.segmenter.calls.clear()
    user.retrain()
    assert user.segmenter.calls[0] == ("partial_fit", [0])


def test_slice_and_volume(user: Any, volume: Any) -> None:
    user.open(volume)
    user.viewer.dims.set_current_step(0, 3)
    user.segment()
    assert user.segmenter.calls == [("cluster", [3])]
    assert user.annotation.mask.data[3].any()
    assert not user.annotation.mask.data[[0, 1, 2, 4]].any()
    user.dock.inputs.volume.setChecked(True)
    user.segment()
    name, planes = user.segmenter.calls[-1]
    assert planes[0] == 3
    assert sorted(planes) == [0, 1, 2, 3, 4]
    assert all(plane.any() for plane in user.annotation.mask.data)


def test_one_undo_takes_a_whole_volume_back(user: Any, volume: Any) -> None:
    user.open(volume)
    user.dock.inputs.volume.setChecked(True)
    user.segment()
    correct(user)
    before = user.annotation.mask.data.copy()
    marks = user.annotation.marks.data.copy()
    user.retrain()
    after = user.annotation.mask.data.copy()
    assert (before != after).any(axis=(1, 2)).all(), "every slice changed"
    user.annotation.mask.undo()
    np.testing.assert_array_equal(user.annotation.mask.data, before)
    user.wait(lambda: not user.annotation.mask_sync._timer.isActive())
    np.testing.assert_array_equal(user.annotation.marks.data, marks)
    user.annotation.mask.redo()
    np.testing.assert_array_equal(user.annotation.mask.data, after)
    user.wait(lambda: not user.annotation.mask_sync._timer.isActive())
    np.testing.assert_array_equal(user.annotation.marks.data, marks)


def test_strokes_during_a_retrain_stay(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    at_work, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        at_work.set()
        go_on.wait(10)

    user.segmenter.before_plane = hold
    user.dock.retrain()
    user.wait(at_work.is_set)
    mask = user.annotation.mask
    mask.paint((5, 70), 2)
    during = mask.data == 2
    go_on.set()
    user.rest()
    painted = np.zeros_like(during)
    painted[4:7, 69:72] = True
    assert during[painted].all()
    assert (mask.data[painted] == 2).all(), "neither lost nor overwritten"
    assert (user.annotation.marks.data[painted] == 3).all()
    assert mask.data[3, 70] == 1, "around it the probe decided"
    user.segmenter.calls.clear()
    user.retrain()
    assert user.segmenter.calls[0] == ("partial_fit", [0]), "and it is learned next"


def test_a_script_that_changes_the_mask_counts(user: Any, volume: Any) -> None:
    user.open(volume)
    user.segment()
    mask = user.annotation.mask
    mask.data[3, 50, 55:60] = 1  # no event at all, and not on screen
    mask.data[3, 20, 20:25] = 0
    mask.data[user.annotation.shown(), 20, 20] = 0
    user.retrain()
    assert (user.annotation.marks.data[3, 50, 55:60] == 2).all()
    assert user.annotation.marks.data[user.annotation.shown(), 20, 20] == 1


def test_live_retrains_by_itself(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    user.dock.actions.live.setChecked(True)
    correct(user)
    user.wait(lambda: user.segmenter.is_fitted)
    user.rest()
    assert user.annotation.mask.data[46, 51] == 1


def test_live_says_what_is_missing_without_a_popup(
    user: Any, plane: Any, no_popups: list[str]
) -> None:
    user.open(plane)
    user.segment()
    user.dock.actions.live.setChecked(True)
    user.annotation.mask.data_setitem((np.array([20]), np.array([20])), 0)
    user.wait(lambda: "Only background" in user.status)
    assert no_popups == []


def test_next_image_same_probe(user: Any, plane: Any) -> None:
    user.open(plane, name="one")
    user.segment()
    correct(user)
    user.retrain()
    user.open(plane[::-1].copy(), name="two")
    user.segment()
    assert user.segmenter.calls[-1][0] == "predict"
    assert user.viewer.layers["two mask"].data[60 - 1 - 50, 60] == 1
    assert len(user.segmenter.samples) == 1


def pick_next(user: Any, name: str) -> None:
    """Add an encoder below the present one and go there with the keyboard."""
    user.dock.model.set_open(True)
    combo = user.dock.inputs.encoder
    row = combo.currentIndex() + 1
    combo.insertItem(row, name, name)
    QTest.keyClick(combo, Qt.Key.Key_Down)
    assert combo.currentText() == name


def go_back(user: Any) -> None:
    back = user.dock.review.change.panel.back
    user.wait(back.isEnabled)
    mouse.click(back)
    user.rest()


def test_another_encoder_learns_the_marks_by_itself(shown: Any) -> None:
    correct(shown)
    shown.retrain()
    old, learned = shown.segmenter, dict(shown.dock.session.learned)
    means, marks = old.means, shown.annotation.marks.data.copy()
    pick_next(shown, "other")
    shown.rest()
    assert shown.segmenter.encoder == shown.dock.session.settings.encoder == "other"
    assert shown.segmenter is not old and shown.segmenter.is_fitted
    assert shown.dock.session.learned == learned
    np.testing.assert_array_equal(shown.annotation.marks.data, marks)
    assert "learned anew" in shown.status
    go_back(shown)
    assert shown.segmenter.means is means
    assert shown.segmenter.encoder == "efficientnet_lite0"
    assert shown.dock.inputs.encoder.value() == "efficientnet_lite0"


def test_an_encoder_that_cannot_be_had_changes_nothing(shown: Any) -> None:
    correct(shown)
    shown.retrain()
    probe, mask = shown.segmenter, shown.annotation.mask.data.copy()
    learned = dict(shown.dock.session.learned)
    pick_next(shown, "missing")
    shown.rest()
    assert "cannot be fetched" in shown.status
    assert shown.segmenter is probe and probe.is_fitted
    assert shown.dock.session.learned == learned
    assert shown.dock.inputs.encoder.value() == "efficientnet_lite0"
    assert shown.dock.inputs.encoder.currentText().startswith("efficientnet_lite0")
    np.testing.assert_array_equal(shown.annotation.mask.data, mask)
    shown.retrain()
    assert shown.segmenter is probe


def test_an_encoder_is_loaded_when_it_is_picked_with_nothing_open(user: Any) -> None:
    pick_next(user, "missing")
    user.rest()
    assert "cannot be fetched" in user.status
    assert user.dock.session.settings.encoder == "efficientnet_lite0"
    pick_next(user, "other")
    user.rest()
    assert user.dock.session.settings.encoder == "other"
    assert "Press Segment" in user.status


def test_a_probe_without_marks_can_be_gone_back_to(
    user: Any, plane: Any, tmp_path: Any
) -> None:
    user.open(plane)
    user.segment()
    (tmp_path / "a.segdino").write_text("[20, 200]")
    user.dock.controller.load_probe(tmp_path / "a.segdino")
    user.rest()
    probe = user.segmenter.means
    pick_next(user, "other")
    user.rest()
    assert not user.segmenter.is_fitted
    go_back(user)
    assert user.segmenter.means is probe
    assert user.dock.session.settings.encoder == "fake"


# -- classes ---------------------------------------------------------------


def test_classes_panel(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    panel = user.dock.classes
    panel.add.click()
    assert [row.item.label for row in panel.rows] == [0, 1, 2]
    assert user.annotation.mask.selected_label == 2
    assert user.annotation.marks.selected_label == 3
    user.annotation.mask.selected_label = 1
    assert panel.value() == 1
    assert user.annotation.marks.selected_label == 2
    panel.rows[1].name.setText("polyp")
    panel.rows[1].name.editingFinished.emit()
    assert user.dock.session.classes[0].name == "polyp"
    panel.rows[1].recolored.emit(1, "#010203")
    np.testing.assert_allclose(
        user.annotation.mask.get_color(1)[:3], np.array([1, 2, 3]) / 255, atol=1e-3
    )
    np.testing.assert_allclose(
        user.annotation.marks.get_color(2), user.annotation.mask.get_color(1)
    )


def test_removing_a_class_removes_its_marks(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    user.dock.session.add_class()
    user.annotation.mask.paint((5, 5), 2)
    user.annotation.mask.paint((50, 60), 1)
    row = user.dock.classes.rows[2]
    row.remove.click()
    assert [c.label for c in user.dock.session.classes] == [1]
    assert not (user.annotation.marks.data == 3).any()
    assert (user.annotation.marks.data == 2).any()
    user.dock.classes.rows[1].remove.click()
    assert len(user.dock.session.classes) == 1


# -- bad input -------------------------------------------------------------


def test_an_image_that_is_opened_is_no_longer_asked_for(
    user: Any, plane: np.ndarray
) -> None:
    assert "Open an image first" in user.status
    user.open(plane)
    assert "Press Segment" in user.status


def test_one_class_is_learned(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    user.annotation.mask.paint((50, 60), 1)
    user.retrain()
    assert user.segmenter.is_fitted
    assert "Only one class" not in user.status


def test_background_only(user: Any, plane: Any, no_popups: list[str]) -> None:
    user.open(plane)
    user.segment()
    user.annotation.mask.data_setitem((np.array([20]), np.array([20])), 0)
    mask, marks = user.annotation.mask.data.copy(), user.annotation.marks.data.copy()
    user.retrain()
    assert "Only background is marked" in user.status
    assert no_popups == [], "the sentence stands beside the button"
    np.testing.assert_array_equal(user.annotation.mask.data, mask)
    np.testing.assert_array_equal(user.annotation.marks.data, marks)


def test_class_without_marks(user: Any, plane: Any) -> None:
    user.open(plane)
    user.dock.session.add_class()
    user.dock.session.add_class()
    user.segment()
    user.annotation.mask.paint((50, 60), 3)
    user.annotation.mask.paint((5, 5), 0)
    user.annotation.marks.paint((5, 5), 1)
    user.retrain()
    assert user.segmenter.is_fitted
    assert user.annotation.mask.data[50, 60] == 3


@pytest.mark.parametrize(
    "data",
    [
        np.full((20, 30), 7, np.uint8),
        np.full((20, 30), np.nan, np.float32),
        np.ones((1, 30), np.uint8),
        np.ones((20, 1), np.uint8),
    ],
    ids=["constant", "nan", "one row", "one column"],
)
def test_poor_images_get_a_mask(user: Any, data: np.ndarray) -> None:
    user.open(data)
    user.segment()
    assert user.annotation.mask.data.shape == data.shape
    assert "from the image alone" in user.status


def test_a_class_that_is_removed_is_painted_no_more(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    user.dock.classes.add.click()
    assert user.annotation.mask.selected_label == 2
    user.dock.classes.rows[-1].remove.click()
    assert user.dock.classes.value() == 1
    assert user.annotation.mask.selected_label == 1
    assert user.annotation.marks.selected_label == 2


def test_the_class_of_another_image_is_not_picked(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    user.open(plane + 1, name="other")
    user.segment()
    user.dock.classes.pick(0)
    user.viewer.layers.selection.active = user.viewer.layers["scan mask"]
    QTest.qWait(50)
    assert user.dock.classes.value() == user.annotation.mask.selected_label == 1
    user.dock.session.change_class(1, "nucleus")
    assert user.dock.classes.value() == user.annotation.mask.selected_label == 1


def test_the_class_that_is_picked_is_painted_on_layers_that_come_back(
    shown: Any, plane: Any
) -> None:
    shown.annotation.mask.paint((5, 60), 1)
    shown.dock.classes.add.click()
    shown.viewer.layers.remove(shown.dock.image)
    shown.dock.classes.pick(1)
    image = shown.open(plane, name="again")
    shown.wait(lambda: shown.dock.controller.annotations.get(image) is not None, 9)
    assert shown.annotation.marks.data[5, 60] == 2, "the layers are those of before"
    QTest.qWait(100)
    assert shown.annotation.mask.selected_label == shown.dock.classes.value() == 1


def test_image_removed_while_working(user: Any, plane: Any) -> None:
    image = user.open(plane)
    user.segment()
    correct(user)
    mask, marks = user.annotation.mask, user.annotation.marks
    marked = marks.data.copy()
    at_work, go_on = threading.Event(), threading.Event()
    user.segmenter.before_plane = lambda: (at_work.set(), go_on.wait(10))
    user.dock.retrain()
    user.wait(at_work.is_set)
    before = mask.data.copy()
    user.viewer.layers.remove(image)
    go_on.set()
    user.rest()
    assert "was removed" in user.status or "Open an image" in user.status
    assert mask in user.viewer.layers
    np.testing.assert_array_equal(mask.data, before)
    np.testing.assert_array_equal(marks.data, marked)
    assert user.annotation is None if user.dock.image else True


def test_a_new_mask_shows_what_is_marked(user: Any, volume: Any) -> None:
    user.open(volume)
    user.segment()
    for plane, row in ((0, 5), (3, 50)):
        user.annotation.mask.paint((plane, row, 60), 1 - (row == 5))
    user.wait(lambda: bool(user.annotation.marks.data[3].any()))
    marks = user.annotation.marks.data.copy()
    user.viewer.layers.remove(user.annotation.mask)
    user.segment()
    for _ in range(2):
        np.testing.assert_array_equal(user.annotation.marks.data, marks)
        mask = user.annotation.mask.data
        np.testing.assert_array_equal(mask[marks > 0], marks[marks > 0] - 1)
        user.annotation.mask.undo()
        QTest.qWait(200)


@pytest.mark.parametrize("role", ["mask", "marks"])
def test_layer_removed_while_working(user: Any, plane: Any, role: str) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    kept = {"mask": user.annotation.marks, "marks": user.annotation.mask}[role]
    data = kept.data.copy()
    at_work, go_on = threading.Event(), threading.Event()
    user.segmenter.before_plane = lambda: (at_work.set(), go_on.wait(10))
    user.dock.retrain()
    user.wait(at_work.is_set)
    user.viewer.layers.remove(getattr(user.annotation, role))
    go_on.set()
    user.rest()
    assert "was removed" in user.status
    np.testing.assert_array_equal(kept.data, data)
    user.segmenter.before_plane = lambda: None
    user.segment()
    assert kept is getattr(user.annotation, {"mask": "marks", "marks": "mask"}[role])
    assert (user.annotation.mask.data.shape, user.annotation.marks.data.shape) == (
        plane.shape,
    ) * 2


def test_image_replaced(user: Any, plane: Any) -> None:
    image = user.open(plane)
    user.segment()
    correct(user)
    old_mask, old = user.annotation.mask, user.annotation.mask.data.copy()
    image.data = np.full((30, 40), 200, np.uint8)
    assert "was replaced" in user.status
    user.segment()
    assert user.annotation.mask is not old_mask
    assert user.annotation.mask.data.shape == (30, 40)
    assert old_mask in user.viewer.layers
    np.testing.assert_array_equal(old_mask.data, old)


@pytest.mark.parametrize("role", ["mask", "marks"])
def test_layer_reshaped_while_working(user: Any, plane: Any, role: str) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    layer = getattr(user.annotation, role)
    at_work, go_on = threading.Event(), threading.Event()
    user.segmenter.before_plane = lambda: (at_work.set(), go_on.wait(10))
    user.dock.retrain()
    user.wait(at_work.is_set)
    layer.data = np.ones((5, 6), np.uint8)
    go_on.set()
    user.rest()
    assert "no longer has the shape" in user.status
    assert layer.data.shape == (5, 6)
    assert layer.data.all(), "left alone"
    user.segmenter.before_plane = lambda: None
    user.segment()
    assert getattr(user.annotation, role) is not layer


def test_renamed_layers_are_still_known(user: Any, plane: Any) -> None:
    image = user.open(plane)
    user.segment()
    mask, marks = user.annotation.mask, user.annotation.marks
    image.name, mask.name, marks.name = "a", "b", "c"
    assert user.dock.inputs.image.currentText() == "a"
    user.dock.controller.annotations._drop(
        user.annotation
    )  # as when the dock is opened anew
    user.segment()
    assert user.annotation.mask is mask
    assert user.annotation.marks is marks


def test_failure_in_the_worker_leaves_all_as_it_was(
    user: Any, plane: Any, no_popups: list[str]
) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    mask, marks = user.annotation.mask.data.copy(), user.annotation.marks.data.copy()
    for error, word in [
        (RuntimeError("CUDA out of memory"), "not enough memory"),
        (WeightsError("No network: choose the built-in one."), "No network"),
        (KeyError("oops"), "Something went wrong"),
    ]:
        user.segmenter.failure = error
        user.retrain()
        assert word in user.status
        assert word in no_popups[-1]
    np.testing.assert_array_equal(user.annotation.mask.data, mask)
    np.testing.assert_array_equal(user.annotation.marks.data, marks)
    user.segmenter.failure = None
    user.retrain()
    assert user.segmenter.is_fitted


def test_cancel_keeps_what_is_drawn(user: Any, volume: Any) -> None:
    user.open(volume)
    user.dock.inputs.volume.setChecked(True)
    at_work, go_on = threading.Event(), threading.Event()
    count: list[int] = []

    def hold() -> None:
        count.append(1)
        if len(count) == 2:
            at_work.set()
            go_on.wait(10)

    user.segmenter.before_plane = hold
    user.dock.segment()
    user.wait(at_work.is_set)
    first = user.annotation.shown()
    user.wait(lambda: user.annotation.mask.data[first].any())
    assert user.dock.status.cancel.isEnabled()
    user.dock.status.cancel.click()
    go_on.set()
    user.rest()
    drawn = [plane.any() for plane in user.annotation.mask.data]
    assert drawn[first]
    assert sum(drawn) == 1
    assert "Stopped; what was drawn stays" in user.status
    user.annotation.mask.undo()
    assert not user.annotation.mask.data.any(), "and can be taken back"


# -- files -----------------------------------------------------------------


def test_save_load_and_a_damaged_file(user: Any, plane: Any, tmp_path: Path) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    user.retrain()
    probe = user.segmenter
    path = tmp_path / "p.segdino"
    user.dock.controller.save_probe(path)
    user.rest()
    assert "saved to" in user.status
    user.dock.controller.load_probe(path)
    user.rest()
    assert user.segmenter is not probe
    np.testing.assert_allclose(user.segmenter.means, probe.means)
    loaded = user.segmenter
    path.write_text(path.read_text()[:5])
    user.dock.controller.load_probe(path)
    user.rest()
    assert "damaged" in user.status
    assert user.segmenter is loaded, "what was there stays"


def test_full_disk_while_saving(
    user: Any, plane: Any, tmp_path: Path, no_popups: list[str]
) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    user.retrain()
    user.segmenter.failure = OSError(errno.ENOSPC, "No space left on device")
    user.dock.controller.save_probe(tmp_path / "p.segdino")
    user.rest()
    # The autosave, which fails as well, may have the last word in the status line.
    assert user.status in no_popups
    assert any("No space left" in text for text in no_popups)
    assert user.segmenter.is_fitted


def test_export(user: Any, volume: Any, tmp_path: Path) -> None:
    from napari_segdino.io import read_scan

    user.open(volume, scale=(3, 0.5, 0.5), units=("mm",) * 3)
    user.segment()
    path = tmp_path / "mask.nii.gz"
    user.dock.controller.export_mask(user.dock.image, path)
    user.rest()
    assert "saved to" in user.status
    back = read_scan(path)
    np.testing.assert_array_equal(back.data, user.annotation.mask.data)
    np.testing.assert_allclose(back.spacing, (3, 0.5, 0.5))


def test_a_mask_names_the_probe_only_where_one_drew(
    user: Any, plane: Any, tmp_path: Path
) -> None:
    def exported(name: str) -> dict[str, str]:
        user.dock.controller.export_mask(user.dock.image, tmp_path / name)
        user.rest()
        with Image.open(tmp_path / name) as photo:
            found: dict[str, str] = json.loads(photo.text["Comment"])["napari-segdino"]
        return found

    user.open(plane)
    user.segment()
    assert set(exported("first.png")) == {"program", "date"}
    correct(user)
    user.retrain()
    made = user.segmenter.provenance().to_dict()
    assert made["model"] and exported("second.png").items() >= made.items()
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    user.annotation.mask.paint((5, 5), 1)
    assert user.segmenter.is_fitted
    assert set(exported("by_hand.png")) == {"program", "date"}


def test_export_where_nothing_can_be_written(user: Any, plane: Any) -> None:
    user.open(plane)
    user.segment()
    user.dock.controller.export_mask(user.dock.image, Path("/proc/nothing/mask.tif"))
    user.rest()
    assert "saved to" not in user.status
    assert user.status
    assert user.annotation.mask.data.any()
