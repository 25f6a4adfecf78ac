"""All channels of a file are one image: one mask, one probe, chosen in the dock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from test_projects import reopen, save

from napari_segdino._qt import mouse
from napari_segdino._qt.layers.channels import (
    bind,
    images_of,
    members_of,
    name_of,
)
from napari_segdino._qt.layers.image_layers import image_planes
from napari_segdino._qt.layers.made_layers import placed_like
from napari_segdino.session.project import read_project

CHECKED = Qt.CheckState.Checked


def spots() -> np.ndarray:
    """Two channels (2, 60, 80): a square in each, at other places."""
    data = np.zeros((2, 60, 80), np.uint16)
    data[0, 10:30, 10:30] = 240
    data[1, 35:55, 50:70] = 240
    return data


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """An OME-TIFF as microscopes write it."""
    path = tmp_path / "cells.ome.tif"
    about = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, spots(), metadata=about)
    return path


@pytest.fixture
def opened(make_user: Any, cells: Path) -> Any:
    user = make_user(show=True)
    user.wait(lambda: user.dock.isVisible())
    user.viewer.open(cells, plugin="napari-segdino")
    user.rest()
    return user


def listed(user: Any) -> list[tuple[str, bool]]:
    panel = user.dock.inputs.channels
    items = [panel.item(i) for i in range(panel.count())]
    return [(x.text(), x.checkState() == CHECKED) for x in items]


def tick(user: Any, name: str) -> None:
    """Click on the box of a channel."""
    panel = user.dock.inputs.channels
    item = next(i for i in map(panel.item, range(panel.count())) if i.text() == name)
    panel.scrollToItem(item)
    place = panel.visualItemRect(item)
    at = QPoint(place.left() + 10, place.center().y())
    QTest.mouseClick(panel.viewport(), Qt.MouseButton.LeftButton, pos=at)
    user.rest()


def labels(user: Any) -> list[str]:
    kind = [x for x in user.viewer.layers if type(x).__name__ == "Labels"]
    return [layer.name for layer in kind]


def correct(user: Any) -> None:
    """Mark the first square as class 1 and its surroundings as background."""
    mask = user.annotation.mask
    mask.brush_size = 3
    mask.paint((20, 20), 0)
    mask.paint((20, 20), 1)
    mask.paint((5, 5), 1)
    mask.paint((5, 5), 0)


# -- one image -------------------------------------------------------------


def test_a_file_of_two_channels_is_one_image(opened: Any) -> None:
    assert [x.name for x in opened.viewer.layers][:2] == ["cells DAPI", "cells GFP"]
    combo = opened.dock.inputs.image
    assert [combo.itemText(i) for i in range(combo.count())] == ["cells (2 channels)"]
    assert listed(opened) == [("cells DAPI", True), ("cells GFP", True)]
    mouse.select(opened.viewer, opened.viewer.layers["cells GFP"])
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    assert labels(opened) == ["cells mask", "cells marks"]
    mask = opened.viewer.layers["cells mask"]
    np.testing.assert_array_equal(mask.data, spots().max(0) == 240)
    assert opened.viewer.layers.selection.active is mask
    assert mask.mode == "paint"
    centre = opened.viewer.scene.camera.center
    mouse.stroke(opened.viewer, mask, [(50, 20), (50, 30)])
    assert mask.data[50, 25] == 1
    assert opened.viewer.scene.camera.center == centre


def test_any_of_its_layers_means_the_image(opened: Any) -> None:
    lead = opened.dock.image
    for name in ("cells DAPI", "cells GFP", "cells mask"):
        mouse.select(opened.viewer, opened.viewer.layers[name])
        opened.rest()
        assert opened.dock.image is lead
    # One channel is looked at, or lies elsewhere in the list: it is one image still.
    opened.viewer.layers["cells GFP"].blending = "opaque"
    opened.viewer.layers["cells DAPI"].visible = False
    opened.viewer.layers.move(opened.viewer.layers.index(lead), 2)
    opened.rest()
    assert opened.dock.image is lead
    assert [used for _, used in listed(opened)] == [True, True]
    assert labels(opened) == ["cells mask", "cells marks"]


def test_a_channel_that_is_deleted_is_no_longer_read(user: Any, cells: Path) -> None:
    user.viewer.open(cells, plugin="napari-segdino")
    user.rest()
    user.segment()
    user.viewer.layers.remove("cells GFP")
    user.rest()
    assert "read on 1 channel now" in user.status
    user.segment()
    wanted = np.zeros((60, 80), bool)
    wanted[10:30, 10:30] = True
    np.testing.assert_array_equal(user.annotation.mask.data, wanted)


def test_a_copy_of_a_channel_is_no_channel(user: Any, cells: Path) -> None:
    user.viewer.open(cells, plugin="napari-segdino")
    user.rest()
    first = user.viewer.layers[0]
    user.viewer.add_layer(Image(first.data * 2, metadata=dict(first.metadata)))
    user.rest()
    assert user.dock.controller.annotations.get(first).planes.array.shape == (60, 80, 2)
    assert user.dock.image is not first


def test_what_belongs_together() -> None:
    viewer = ViewerModel()
    add, grey = viewer.add_image, np.zeros((4, 5))
    one, two = add(grey, blending="additive"), add(grey, blending="additive")
    moved = add(grey, translate=(9, 0), blending="additive")
    larger = add(np.zeros((6, 5)), blending="additive")
    photo = add(np.zeros((4, 5, 3), np.uint8), rgb=True, blending="additive")
    plain, other = add(grey), add(grey)
    # The first of these is not additive, the others are: napari's own way.
    split = add(np.zeros((3, 4, 5)), channel_axis=0)
    found = [[one, two], [moved], [larger], [photo], [plain], [other], split]
    assert images_of(viewer) == found
    bind(viewer, one)
    two.blending = "translucent"
    assert members_of(viewer, two) == [one, two], "it was decided before"


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (("cells DAPI", "cells GFP"), "cells"),
        (("cells DAPI", "cells DAB"), "cells"),
        (("scan", "scan [1]"), "scan"),
        (("t1", "t2"), "t1"),
        (("membrane", "nuclei"), "membrane"),
    ],
)
def test_what_an_image_of_several_layers_is_called(
    names: tuple[str, str], shared: str
) -> None:
    layers = [Image(np.zeros((4, 5)), name=name) for name in names]
    assert name_of(layers) == f"{shared} (2 channels)"


# -- choosing --------------------------------------------------------------


def test_a_channel_that_is_unchecked_is_not_looked_at(opened: Any) -> None:
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    correct(opened)
    mouse.click(opened.dock.actions.retrain)
    opened.rest()
    probe, marks = opened.segmenter, opened.annotation.marks.data.copy()
    tick(opened, "cells GFP")
    assert listed(opened) == [("cells DAPI", True), ("cells GFP", False)]
    assert opened.segmenter is not probe
    assert "1 channel now, with a new model" in opened.status
    mouse.click(opened.dock.actions.retrain)
    opened.rest()
    np.testing.assert_array_equal(opened.annotation.marks.data, marks)
    np.testing.assert_array_equal(opened.annotation.mask.data, spots()[0] == 240)
    assert opened.dock.controller.history.place[1] > 1, (
        "the old probe can be gone back to"
    )
    # The other channel still is no image of its own, and one stays checked.
    mouse.select(opened.viewer, opened.viewer.layers["cells GFP"])
    tick(opened, "cells DAPI")
    assert listed(opened) == [("cells DAPI", True), ("cells GFP", False)]
    assert opened.dock.inputs.image.count() == 1


def test_images_of_one_place_can_be_joined_and_parted(make_user: Any) -> None:
    user = make_user(show=True)
    user.wait(lambda: user.dock.isVisible())
    for name, data in zip(("t1", "t2"), spots(), strict=True):
        user.viewer.add_image(data, name=name)
    user.rest()
    assert listed(user) == [("t1", False), ("t2", True)]
    tick(user, "t1")
    mouse.click(user.dock.actions.segment)
    user.rest()
    np.testing.assert_array_equal(user.annotation.mask.data, spots().max(0) == 240)
    assert user.dock.inputs.image.count() == 1
    tick(user, "t1")
    assert user.dock.inputs.image.count() == 2
    assert user.dock.image.name == "t2"


# -- an axis of channels ---------------------------------------------------


def test_a_layer_with_an_axis_of_channels(make_user: Any) -> None:
    user = make_user(show=True)
    user.wait(lambda: user.dock.isVisible())
    user.viewer.add_image(spots(), name="scan", axis_labels=("c", "y", "x"))
    user.rest()
    assert listed(user) == [("channel 1", True), ("channel 2", True)]
    assert not user.dock.inputs.scope.isVisible(), "channels are no slices"
    mouse.click(user.dock.actions.segment)
    user.rest()
    mask = user.annotation.mask
    np.testing.assert_array_equal(mask.data, spots().max(0) == 240)
    user.viewer.dims.set_current_step(0, 1)
    mouse.stroke(user.viewer, mask, [(50, 20), (50, 30)])
    assert mask.data[50, 25] == 1
    tick(user, "channel 1")
    mouse.click(user.dock.actions.segment)
    user.rest()
    assert mask.data[45, 60] == 1
    assert mask.data[20, 20] == 0


def test_napari_own_reader_shows_channels_as_a_slider(user: Any, cells: Path) -> None:
    user.viewer.open(cells, plugin="napari")
    user.rest()
    assert user.dock.image.data.shape == (2, 60, 80)
    user.segment()
    np.testing.assert_array_equal(user.annotation.mask.data, spots().max(0) == 240)


def test_channels_between_other_axes() -> None:
    viewer = ViewerModel()
    data = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    image = viewer.add_image(
        data, axis_labels=("t", "c", "y", "x"), scale=(2, 1, 0.5, 0.5)
    )
    planes = image_planes(image)
    assert planes.spatial_shape == (2, 1, 4, 5)
    np.testing.assert_array_equal(planes.read(1), np.moveaxis(data[1], 0, -1))
    mask = viewer.add_labels(
        np.ones((2, 1, 4, 5), int), **placed_like(image, (2, 1, 4, 5))
    )
    for channel in range(3):
        shown = np.round(mask.world_to_data((2, channel, 0.5, 1)))
        np.testing.assert_array_equal(shown, (1, 0, 1, 2))


# -- one probe, one kind of channels ---------------------------------------


@pytest.fixture
def grey_probe(opened: Any) -> Any:
    """A user with a probe of a grey image, who is back at the file of two channels."""
    opened.viewer.add_image(spots().max(0), name="grey")
    opened.rest()
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    correct(opened)
    mouse.click(opened.dock.actions.retrain)
    opened.rest()
    assert opened.segmenter.is_fitted
    QTest.keyClick(opened.dock.inputs.image, Qt.Key.Key_Up)
    opened.rest()
    assert opened.annotation.image.name == "cells DAPI"
    return opened


def test_a_new_probe_is_a_button(grey_probe: Any, no_popups: list[str]) -> None:
    probe, way_out = grey_probe.segmenter, grey_probe.dock.status.way_out
    assert not way_out.isVisible()
    mouse.click(grey_probe.dock.actions.segment)
    grey_probe.rest()
    assert "2" in grey_probe.status and "3" in grey_probe.status
    assert way_out.isVisible() and way_out.text() == "New model for this image"
    assert grey_probe.segmenter is probe
    assert not no_popups
    mouse.click(way_out)
    grey_probe.rest()
    assert not way_out.isVisible()
    assert "A first mask" in grey_probe.status
    mask = grey_probe.annotation.mask.data
    np.testing.assert_array_equal(mask, spots().max(0) == 240)
    assert grey_probe.dock.controller.history.place == (3, 3)


def test_the_new_probe_learns_what_is_marked(grey_probe: Any) -> None:
    correct(grey_probe)
    mouse.click(grey_probe.dock.actions.retrain)
    grey_probe.rest()
    marks = grey_probe.annotation.marks.data.copy()
    assert grey_probe.dock.status.way_out.isVisible()
    mouse.click(grey_probe.dock.status.way_out)
    grey_probe.rest()
    assert grey_probe.segmenter.is_fitted
    np.testing.assert_array_equal(grey_probe.annotation.marks.data, marks)
    np.testing.assert_array_equal(
        grey_probe.annotation.mask.data, spots().max(0) == 240
    )


def test_marks_of_other_channels_are_left_out_and_that_is_said_once(
    grey_probe: Any,
) -> None:
    correct(grey_probe)
    QTest.keyClick(grey_probe.dock.inputs.image, Qt.Key.Key_Down)
    for marked in (True, False):
        grey_probe.segmenter.calls.clear()
        grey_probe.annotation.mask.paint((50, 10 if marked else 30), 1)
        mouse.click(grey_probe.dock.actions.retrain)
        grey_probe.rest()
        assert ("marks of cells were left out" in grey_probe.status) == marked
        assert "Learned your corrections" in grey_probe.status
        assert [n for n, _ in grey_probe.segmenter.calls] == ["partial_fit", "predict"]


# -- projects --------------------------------------------------------------


@pytest.mark.parametrize("here", [True, False])
def test_channels_come_back_with_a_project(
    opened: Any,
    make_user: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    here: bool,
    cells: Path,
) -> None:
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    tick(opened, "cells DAPI")
    mouse.click(opened.dock.actions.segment)
    opened.rest()
    drawn = opened.annotation.mask.data.copy()
    folder = tmp_path / "work.segproject"
    save(opened, folder, monkeypatch)
    (entry,) = read_project(folder).images
    assert (entry.name, entry.shape) == ("cells", (60, 80))
    assert [c.used for c in entry.channels] == [False, True]

    other = make_user()
    if here:
        other.viewer.open(cells, plugin="napari-segdino")
        other.rest()
    reopen(other, folder, monkeypatch)
    assert listed(other) == [("cells DAPI", False), ("cells GFP", True)]
    np.testing.assert_array_equal(other.annotation.mask.data, drawn)
    assert labels(other) == ["cells mask", "cells marks"]
    assert len(other.viewer.layers) == 4


def test_channels_of_two_files_come_back(
    make_user: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()
    for name, data in zip(("t1", "t2"), spots(), strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", data)
        user.viewer.open(tmp_path / f"{name}.tif", plugin="napari-segdino")
    user.rest()
    panel = user.dock.inputs.channels
    panel.item(0).setCheckState(CHECKED)
    user.segment()
    drawn = user.annotation.mask.data.copy()
    np.testing.assert_array_equal(drawn, spots().max(0) == 240)
    user.viewer.layers.move(0, 1)
    user.rest()
    assert user.segmenter.calls[-1][0] == "cluster", "it still is the same image"
    folder = tmp_path / "work.segproject"
    save(user, folder, monkeypatch)

    other = make_user()
    reopen(other, folder, monkeypatch)
    assert listed(other) == [("t2", True), ("t1", True)]
    assert labels(other) == ["t2 mask", "t2 marks"], "t1 is not an image of its own"
    order = [layer.name for layer in members_of(other.viewer, other.dock.image)]
    assert order == ["t2", "t1"], "the probe knows them in this order"
    np.testing.assert_array_equal(other.annotation.mask.data, drawn)
    other.segment()
    np.testing.assert_array_equal(other.annotation.mask.data, drawn)
