"""The Objects tab: a layer, a table, and the way from one to the other."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.segmentation
from napari.layers import Labels
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_segdino._qt.controllers.objects import spacing_and_unit, summary
from napari_segdino._qt.mouse import click, press_key, stroke
from napari_segdino._qt.widgets.objects_panel import ObjectTable

LEFT = Qt.MouseButton.LeftButton


def paint_objects(user: Any) -> None:
    """Two squares of class 1 (30 x 30 and 4 x 5) and one of class 2 (3 x 3)."""
    mask = user.annotation.mask
    mask.data[..., 50:54, 10:15] = 1
    mask.data[..., 50:53, 40:43] = 2
    mask.refresh()


def find(user: Any) -> Labels:
    user.dock.tabs.setCurrentWidget(user.dock.objects)
    click(user.dock.objects.find)
    user.rest()
    return user.viewer.layers["scan objects"]


@pytest.fixture
def found(shown: Any) -> Any:
    shown.dock.session.add_class("cell")
    paint_objects(shown)
    find(shown)
    return shown


def column(user: Any, name: str) -> list[str]:
    model = user.dock.objects.table.items
    at = list(model.table).index(name)
    return [model.data(model.index(r, at)) for r in range(model.rowCount())]


def click_row(user: Any, row: int) -> None:
    table = user.dock.objects.table
    place = table.visualRect(table.items.index(row, 0)).center()
    QTest.mouseClick(table.viewport(), LEFT, pos=place)


def click_header(user: Any, name: str) -> None:
    table = user.dock.objects.table
    header = table.horizontalHeader()
    at = list(table.items.table).index(name)
    table.scrollTo(table.items.index(0, at))
    x = header.sectionViewportPosition(at) + header.sectionSize(at) // 2
    QTest.mouseClick(header.viewport(), LEFT, pos=QPoint(x, header.height() // 2))


def test_objects_are_a_layer_and_a_table(found: Any) -> None:
    layer = found.viewer.layers["scan objects"]
    assert layer.data[20, 20] != layer.data[51, 12]
    assert layer.data[51, 41] not in (0, layer.data[51, 12])
    assert layer.data[0, 0] == 0
    assert column(found, "pixels") == ["900", "20", "9"]
    assert column(found, "name") == ["Class 1", "Class 1", "cell"]
    assert "3 objects: 2 Class 1, 1 cell." in found.dock.objects.summary.text()
    assert "3 objects" in found.status
    assert layer.contour == 2, "an outline: the mask stays to be seen"
    names = [x.name for x in found.viewer.layers]
    assert names == ["scan", "scan objects", "scan mask", "scan marks"], (
        "below the mask, which stays to be seen, filled or as an outline"
    )
    assert found.viewer.layers.selection.active is found.annotation.mask, (
        "ready to paint"
    )


def test_intensities_are_those_of_the_image(found: Any, plane: Any) -> None:
    objects = found.viewer.layers["scan objects"].data
    wanted = [f"{plane[objects == n].mean():.4g}" for n in (1, 2, 3)]
    assert column(found, "mean") == wanted


def test_a_row_leads_to_its_object(found: Any) -> None:
    layer = found.viewer.layers["scan objects"]
    camera = found.viewer.scene.camera
    zoom = camera.zoom
    click_row(found, 1)
    assert layer.selected_label == 2
    np.testing.assert_allclose(camera.center[-2:], (51.5, 12), atol=0.51)
    assert camera.zoom == zoom
    click(found.dock.objects.only)
    assert layer.show_selected_label


def test_an_object_leads_to_its_row(found: Any) -> None:
    table = found.dock.objects.table
    layer = found.viewer.layers["scan objects"]
    found.viewer.layers.selection.active = layer
    layer.mode = "pan_zoom"
    stroke(found.viewer, layer, [(51, 41)])
    assert table.value() == 3
    assert table.currentIndex().row() == 2
    before = found.viewer.scene.camera.center
    stroke(found.viewer, layer, [(20, 20), (25, 30)])
    assert table.value() == 3, "the view was dragged"
    assert found.viewer.scene.camera.center != before
    layer.selected_label = 1  # as napari's own picker does
    assert table.currentIndex().row() == 0


def test_sorting_keeps_the_chosen_object(found: Any) -> None:
    table = found.dock.objects.table
    click_row(found, 0)
    click_header(found, "pixels")
    assert column(found, "pixels") == ["9", "20", "900"]
    assert table.value() == 1
    assert table.currentIndex().row() == 2
    click_header(found, "pixels")
    assert column(found, "pixels") == ["900", "20", "9"]
    assert table.currentIndex().row() == 0
    assert found.viewer.layers["scan objects"].selected_label == 1


def test_filters(found: Any) -> None:
    panel = found.dock.objects
    panel.min_size.setValue(10)
    panel.max_size.setValue(100)
    find(found)
    assert column(found, "pixels") == ["20"]
    panel.min_size.setValue(5000)
    find(found)
    assert column(found, "pixels") == []
    assert "No objects" in panel.summary.text()
    click(panel.export)
    assert "no objects yet" in found.status


def test_objects_are_found_again_in_the_same_layer(found: Any) -> None:
    layer = found.viewer.layers["scan objects"]
    found.annotation.mask.data[50:54, 10:15] = 0
    find(found)
    assert found.viewer.layers["scan objects"] is layer
    assert column(found, "pixels") == ["900", "9"]
    found.viewer.layers.remove(layer)
    assert found.dock.objects.table.items.rowCount() == 0
    assert find(found) is not layer


def test_a_volume_in_its_own_units(make_user: Any, volume: Any) -> None:
    user = make_user(show=True)
    user.open(volume, scale=(2, 0.5, 0.5), units=("mm",) * 3)
    user.dock.inputs.volume.setChecked(True)
    user.segment()
    layer = find(user)
    assert user.dock.objects.min_size.suffix() == " mm³"
    assert column(user, "volume_mm3") == [f"{5 * 900 * 0.5:.4g}"]
    user.viewer.dims.set_current_step(0, 0)
    click_row(user, 0)
    assert user.viewer.dims.current_step[0] == 2, "the slice of its centre"
    np.testing.assert_allclose(
        user.viewer.scene.camera.center[-2:], (12.25, 12.25), atol=0.3
    )
    assert (layer.data > 0).sum() == 5 * 900
    user.dock.inputs.slice.setChecked(True)
    find(user)
    assert column(user, "area_mm2") == [f"{900 * 0.25:.4g}"]
    assert [plane.any() for plane in layer.data].count(True) == 1


def test_export(found: Any, tmp_path: Path) -> None:
    found.dock.object_finder.export(tmp_path / "objects.csv")
    found.rest()
    assert "saved to" in found.status
    with open(tmp_path / "objects.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["pixels"] for row in rows] == ["900", "20", "9"]
    assert [row["class"] for row in rows] == ["1", "1", "2"]
    assert [row["name"] for row in rows] == ["Class 1", "Class 1", "cell"]


def test_export_where_nothing_can_be_written(found: Any) -> None:
    found.dock.object_finder.export("/proc/nothing/objects.csv")
    found.rest()
    assert "saved to" not in found.status


def test_a_mask_that_has_changed_is_told(found: Any) -> None:
    line, mask = found.dock.objects.stale, found.annotation.mask
    assert not line.isVisible()
    found.dock.pick_class(1)
    mask.brush_size = 3
    stroke(found.viewer, mask, [(25, 15), (25, 30)])  # is class 1 already
    QTest.qWait(300)
    assert not line.isVisible(), "marked, but not changed"
    stroke(found.viewer, mask, [(5, 60), (5, 70)])
    found.wait(line.isVisible)
    assert "Find objects again" in line.text()
    press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    found.wait(lambda: not line.isVisible())
    stroke(found.viewer, mask, [(5, 60), (5, 70)])
    found.wait(line.isVisible)
    find(found)
    assert not line.isVisible()
    assert len(column(found, "pixels")) == 4


def test_a_mask_update_changes_the_mask_too(found: Any) -> None:
    mask = found.annotation.mask
    mask.paint((50, 60), 1)
    mask.paint((25, 25), 0)
    find(found)
    found.retrain()
    found.wait(found.dock.objects.stale.isVisible)
    assert "Find objects again" in found.dock.objects.stale.text()


def test_other_slices_do_not_matter(make_user: Any, volume: Any) -> None:
    user = make_user(show=True)
    user.open(volume)
    user.segment()
    shown = user.annotation.shown()
    find(user)
    line = user.dock.objects.stale
    user.viewer.dims.set_current_step(0, 0)
    user.annotation.mask.paint((0, 5, 60), 1)
    user.wait(lambda: user.annotation.marks.data[0, 5, 60] == 2)
    QTest.qWait(300)
    assert not line.isVisible()
    user.annotation.mask.paint((shown, 5, 60), 1)
    user.wait(line.isVisible)


Gate = tuple[threading.Event, threading.Event]


@pytest.fixture
def held_watershed(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A watershed that says when it has begun, and waits to be let through."""
    begun, gate = threading.Event(), threading.Event()
    real = skimage.segmentation.watershed

    def slow(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        gate.wait(20)
        return real(*args, **kwargs)

    monkeypatch.setattr(skimage.segmentation, "watershed", slow)
    return begun, gate


def test_drawn_while_objects_are_found(found: Any, held_watershed: Gate) -> None:
    begun, gate = held_watershed
    click(found.dock.objects.find)
    found.wait(begun.is_set)
    found.annotation.mask.paint((5, 60), 1)
    found.wait(found.dock.objects.stale.isVisible)  # those of before are told first
    QTest.qWait(200)
    gate.set()
    found.rest()
    QTest.qWait(200)
    assert found.dock.objects.stale.isVisible(), "nor are these of the mask as it is"


def test_cancel_gives_the_window_back_at_once(found: Any, held_watershed: Gate) -> None:
    begun, gate = held_watershed
    found.annotation.mask.data[50:54, 10:15] = 0
    status, before = found.dock.status, found.viewer.layers["scan objects"].data
    click(found.dock.objects.find)
    found.wait(begun.is_set)
    assert status.cancel.isVisible()
    click(status.cancel)
    found.wait(lambda: not found.dock.controller.busy, seconds=1)
    assert found.dock.objects.find.isEnabled()
    assert not status.cancel.isVisible()
    gate.set()
    QTest.qWait(300)
    assert found.viewer.layers["scan objects"].data is before
    assert column(found, "pixels") == ["900", "20", "9"], "the table of before"
    find(found)
    assert column(found, "pixels") == ["900", "9"]


def test_probabilities_of_the_probe_part_objects(shown: Any) -> None:
    mask = shown.annotation.mask
    mask.paint((50, 60), 1)
    mask.paint((25, 25), 0)
    shown.retrain()
    before = len(shown.segmenter.calls)
    find(shown)
    assert shown.segmenter.calls[before:] == [("predict", [0])]
    shown.dock.objects.advanced.set_open(True)
    click(shown.dock.objects.uncertainty)
    find(shown)
    assert len(shown.segmenter.calls) == before + 1, "not asked again"


def test_a_table_of_many_rows_sorts(qtbot: Any) -> None:
    table = ObjectTable()
    qtbot.addWidget(table)
    count = 100_000
    size = np.random.default_rng(0).permutation(count)
    table.setTable({"label": np.arange(1, count + 1), "pixels": size})
    table.setValue(5)
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert table.currentIndex().row() == size[4]
    assert table.items.label(0) == int(np.argmin(size)) + 1
    assert table.items.rowCount() == count


@pytest.mark.parametrize(
    ("scale", "units", "expected"),
    [
        ((1, 1), ("pixel", "pixel"), ((1, 1), "")),
        ((2, 1), ("pixel", "pixel"), ((2, 1), "units")),
        ((1, 250), ("mm", "um"), ((1000, 250), "µm")),
    ],
)
def test_spacing_is_in_one_unit(scale: Any, units: Any, expected: Any) -> None:
    layer = Labels(np.zeros((2, 2), int), scale=scale, units=units)
    steps, unit = spacing_and_unit(layer, 2)
    assert (pytest.approx(expected[0]), expected[1]) == (steps, unit)


def test_summary_of_one() -> None:
    table = {"label": np.array([4]), "name": np.array(["cell"])}
    assert summary(table) == "1 object: cell."


def test_a_layer_of_the_user_s_is_not_written_over(shown: Any) -> None:
    mine = np.full((60, 80), 7, np.uint8)
    layer = shown.viewer.add_labels(mine.copy(), name="scan objects")
    paint_objects(shown)
    shown.dock.tabs.setCurrentWidget(shown.dock.objects)
    click(shown.dock.objects.find)
    shown.rest()
    np.testing.assert_array_equal(layer.data, mine)
    assert shown.dock.objects.table.items.rowCount() == 3


def test_nothing_chosen_of_nothing(shown: Any) -> None:
    shown.dock.tabs.setCurrentWidget(shown.dock.objects)
    click(shown.dock.objects.only)
    assert not shown.dock.objects.only.isChecked()
    assert "no objects yet" in shown.status
