"""Several series in one folder: chosen in the dock, kept apart, opened again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import tifffile
from dicom_slices import make_slice
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from test_projects import reopen, save

from napari_segdino._qt import mouse
from napari_segdino._qt.controllers.restore import find_image
from napari_segdino._qt.layers.files import open_files
from napari_segdino.io.read import read_scan
from napari_segdino.session.project import ImageEntry

PLAIN = {"RescaleSlope": 1, "RescaleIntercept": 0}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A series of 6 slices, one of 4 that lies 100 mm further up, a single slice."""
    folder = tmp_path / "study"
    folder.mkdir()
    make_slice(folder / "s.dcm", np.full((9, 12), 7), (400, 300, 0), 1, "1.7")
    for k in range(6):
        pixels = np.full((40, 50), 20 + k)
        pixels[10:30, 10:30] = 200
        make_slice(folder / f"a{k}.dcm", pixels, (0, 0, 2 * k), k + 1, "1.5", **PLAIN)
    for k in (0, 1, 3, 4):
        pixels = np.full((30, 60), 50 + k)
        pixels[5:20, 5:20] = 180
        place = (0, 0, 100 + 2 * k)
        make_slice(folder / f"b{k}.dcm", pixels, place, k + 1, "1.6", **PLAIN)
    return folder


@pytest.fixture
def opened(make_user: Any, study: Path) -> Any:
    """A user who has opened the folder, with a mask of its largest series."""
    user = make_user(show=True)
    with pytest.warns(UserWarning, match="3 series are here; number 0"):
        open_files(user.viewer, (study,))
    user.wait(lambda: user.dock.image is not None)
    mouse.click(user.dock.actions.segment)
    user.rest()
    return user


def choose(user: Any, key: Any) -> None:
    """Press an arrow key on the list of series."""
    combo = user.dock.inputs.series
    assert combo.isVisible() and combo.isEnabled()
    QTest.keyClick(combo, key)
    user.rest()
    user.wait(lambda: user.annotation is not None)


def titles(user: Any) -> list[str]:
    combo = user.dock.inputs.series
    return [combo.itemText(i) for i in range(combo.count())]


def test_another_series_comes_beside_the_first(opened: Any) -> None:
    first, mask = opened.dock.image, opened.annotation.mask
    drawn = mask.data.copy()
    assert drawn.any()
    assert titles(opened) == [
        "0: CT series 1.5 (6 x 40 x 50)",
        "1: CT series 1.6 (4 x 30 x 60)",
        "2: CT series 1.7 (1 x 9 x 12)",
    ]
    assert opened.dock.inputs.series.currentIndex() == 0
    choose(opened, Qt.Key.Key_Down)
    second = opened.dock.image
    assert (second.name, second.data.shape) == ("series 1.6", (4, 30, 60))
    assert opened.dock.inputs.series.currentIndex() == 1
    assert "is open. About 1 of the slices are missing" in opened.status
    assert first in opened.viewer.layers and mask in opened.viewer.layers
    np.testing.assert_array_equal(mask.data, drawn)
    assert (first.visible, mask.visible, second.visible) == (False, False, True)
    assert opened.annotation.shown() == 2, "the sliders stand in the middle of it"
    z = opened.viewer.dims.point[0]
    assert 100 <= z <= 108
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    assert opened.annotation.mask.data.shape == (4, 30, 60)
    assert opened.annotation.mask.metadata["segdino"]["series"] == "1.6"


def test_a_single_slice_among_volumes(opened: Any) -> None:
    choose(opened, Qt.Key.Key_Down)
    choose(opened, Qt.Key.Key_Down)
    assert opened.dock.image.data.shape == (9, 12)
    y, x = opened.viewer.scene.camera.center[-2:]
    assert (y, x) == pytest.approx((300 + 4 * 0.5, 400 + 5.5 * 0.75)), "in the middle"
    size = 12 * 0.75 * opened.viewer.scene.camera.zoom
    assert 0.2 < size / mouse.find_canvas().width() < 1
    choose(opened, Qt.Key.Key_Up)
    assert opened.dock.image.data.shape == (4, 30, 60)


def test_a_series_that_is_open_is_not_opened_twice(opened: Any) -> None:
    first, mask = opened.dock.image, opened.annotation.mask
    choose(opened, Qt.Key.Key_Down)
    second, count = opened.dock.image, len(opened.viewer.layers)
    choose(opened, Qt.Key.Key_Up)
    assert opened.dock.image is first
    assert (first.visible, mask.visible, second.visible) == (True, True, False)
    choose(opened, Qt.Key.Key_Down)
    assert opened.dock.image is second
    assert len(opened.viewer.layers) == count


def test_going_back_finds_the_view_that_was_left(opened: Any) -> None:
    opened.viewer.dims.set_point(0, 4.0)
    opened.viewer.scene.camera.zoom = zoom = 2.5
    opened.viewer.layers.selection.active = mask = opened.annotation.mask
    choose(opened, Qt.Key.Key_Down)
    assert opened.viewer.scene.camera.zoom != zoom
    choose(opened, Qt.Key.Key_Up)
    assert opened.annotation.shown() == 2
    assert opened.viewer.scene.camera.zoom == zoom
    assert opened.viewer.layers.selection.active is mask
    assert "Back at CT series 1.5" in opened.status


def test_an_image_that_made_room_comes_back_from_the_image_list(opened: Any) -> None:
    first, mask = opened.dock.image, opened.annotation.mask
    choose(opened, Qt.Key.Key_Down)
    second = opened.dock.image
    QTest.keyClick(opened.dock.inputs.image, Qt.Key.Key_Up)
    assert opened.dock.image is first
    assert (first.visible, mask.visible, second.visible) == (True, True, False)
    second.visible = True
    QTest.keyClick(opened.dock.inputs.image, Qt.Key.Key_Down)
    assert opened.dock.image is second
    assert first.visible, "who shows both wants to see both"


def test_what_was_hidden_by_hand_stays_so(opened: Any) -> None:
    mask = opened.annotation.mask
    mask.visible = False
    choose(opened, Qt.Key.Key_Down)
    choose(opened, Qt.Key.Key_Up)
    assert opened.dock.image.visible
    assert not mask.visible


def test_the_mask_is_written_in_the_place_of_its_series(
    opened: Any, study: Path, tmp_path: Path
) -> None:
    choose(opened, Qt.Key.Key_Down)
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    opened.dock.controller.export_mask(opened.dock.image, tmp_path / "m.nii.gz")
    opened.rest()
    wanted, found = read_scan(study, series="1.6"), read_scan(tmp_path / "m.nii.gz")
    assert found.shape == (4, 30, 60)
    np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-5)


def test_one_image_has_no_list(user: Any, plane: Any, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", plane)
    open_files(user.viewer, (tmp_path / "a.tif",))
    user.wait(lambda: user.dock.image is not None)
    assert user.dock.inputs.series.isHidden()
    user.open(plane)
    assert user.dock.inputs.series.isHidden()


def test_images_of_a_tiff_are_chosen_likewise(
    make_user: Any, plane: Any, tmp_path: Path
) -> None:
    with tifffile.TiffWriter(tmp_path / "two.tif") as out:
        out.write(plane, metadata=None)
        out.write(plane[:50], metadata=None)
    user = make_user(show=True)
    with pytest.warns(UserWarning, match="2 images are here"):
        open_files(user.viewer, (tmp_path / "two.tif",))
    user.wait(lambda: user.annotation is not None)
    choose(user, Qt.Key.Key_Down)
    assert user.dock.image.data.shape == (50, 80)
    assert [x.name for x in user.viewer.layers if x.visible][0] == "two 1"


def test_cancel_leaves_everything_as_it_was(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, count = opened.dock.image, len(opened.viewer.layers)
    read: list[Path] = []
    go_on = Event()

    def header(path: Path) -> None:
        read.append(path)
        go_on.wait(10)

    monkeypatch.setattr("napari_segdino.io.dicom_index._header", header)
    combo = opened.dock.inputs.series
    QTest.keyClick(combo, Qt.Key.Key_Down)
    opened.wait(lambda: bool(read))
    assert not combo.isEnabled()
    mouse.click(opened.dock.status.cancel)
    go_on.set()
    opened.rest()
    assert len(read) == 1, "it stops at the next file"
    assert opened.dock.image is first
    assert len(opened.viewer.layers) == count
    assert combo.currentIndex() == 0
    assert combo.isEnabled()


def test_a_series_that_is_gone_is_told(
    opened: Any, study: Path, no_popups: list[str]
) -> None:
    for path in study.glob("b*.dcm"):
        path.unlink()
    combo = opened.dock.inputs.series
    QTest.keyClick(combo, Qt.Key.Key_Down)
    opened.rest()
    assert "study holds no series '1.6'" in no_popups[0]
    assert combo.currentIndex() == 0


def test_the_wheel_reads_nothing(opened: Any) -> None:
    combo, count = opened.dock.inputs.series, len(opened.viewer.layers)
    combo.setFocus()
    turn(combo)
    opened.rest()
    assert combo.currentIndex() == 0
    assert len(opened.viewer.layers) == count


def turn(widget: Any) -> None:
    """Turn the wheel one notch down over a widget."""
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(0, 0),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def test_a_project_brings_back_the_series_that_was_chosen(
    make_user: Any, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(opened, Qt.Key.Key_Down)
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    opened.annotation.mask.paint((2, 25, 50), 1)
    opened.viewer.layers.remove("series 1.5")
    opened.rest()
    marks = opened.annotation.marks.data.copy()
    save(opened, tmp_path / "p.segproject", monkeypatch)
    opened.dock.release()

    second = make_user(show=True)
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    second.wait(lambda: second.annotation is not None)
    assert second.dock.image.data.shape == (4, 30, 60)
    np.testing.assert_array_equal(second.annotation.marks.data, marks)
    assert marks.any()
    assert second.dock.inputs.series.currentIndex() == 1
    choose(second, Qt.Key.Key_Up)
    assert second.dock.image.data.shape == (6, 40, 50)


def test_marks_of_one_series_do_not_go_to_another(
    user: Any, plane: Any, tmp_path: Path
) -> None:
    header = {"path": str(tmp_path), "series": "1.5"}
    image = user.open(plane, name="T1", metadata={"segdino": header})
    entry = ImageEntry("T1", plane.shape, path=str(tmp_path), series="1.5")
    assert find_image(user.viewer, entry) is image
    assert find_image(user.viewer, replace(entry, series="1.6")) is None


def test_an_image_picked_while_layers_are_made_gets_its_own(
    make_user: Any, plane: Any
) -> None:
    user = make_user(show=True)
    first = user.viewer.add_image(plane, name="first")
    user.wait(lambda: user.annotation is not None)
    # The last step of the first image's layers is still to come.
    second = user.viewer.add_image(plane[:50], name="second")
    user.dock.inputs.image.setValue(second)
    annotations = user.dock.controller.annotations
    user.wait(lambda: annotations.get(second) is not None)
    assert annotations.get(first) is not None
