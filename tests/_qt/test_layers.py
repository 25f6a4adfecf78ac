"""Mask and marks lie on their image; big predictions are drawn in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_segdino._qt.layers import mask_writer as writer_module
from napari_segdino._qt.layers.annotation import Annotation
from napari_segdino._qt.layers.annotations import Annotations
from napari_segdino._qt.layers.image_layers import (
    image_planes,
    plane_shown,
    slider_point,
)
from napari_segdino._qt.layers.made_layers import find_layer, make_layer, set_pixels
from napari_segdino._qt.layers.mask_writer import Piece
from napari_segdino.errors import InputError
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings


@pytest.mark.parametrize(
    ("shape", "rgb", "axes"),
    [
        ((4, 5), False, "YX"),
        ((4, 5, 3), True, "YXC"),
        ((2, 4, 5), False, "ZYX"),
        ((2, 4, 5, 4), True, "ZYXC"),
        ((3, 2, 4, 5), False, "TZYX"),
        ((2, 3, 2, 4, 5), False, "WTZYX"),
    ],
)
def test_axes_of_a_layer(shape: tuple[int, ...], rgb: bool, axes: str) -> None:
    planes = image_planes(Image(np.zeros(shape, np.uint8), rgb=rgb))
    assert planes.axes == axes
    assert planes.spatial_shape == (shape[:-1] if rgb else shape)


def test_multiscale_and_dask() -> None:
    levels = [da.zeros((8, 8), chunks=4), da.zeros((4, 4))]
    assert image_planes(Image(levels, multiscale=True)).spatial_shape == (8, 8)


def test_an_image_that_is_empty() -> None:
    # napari itself refuses to show one; a layer may still become empty.
    layer = SimpleNamespace(
        data=np.zeros((0, 5)), multiscale=False, rgb=False, axis_labels=("y", "x")
    )
    with pytest.raises(InputError, match="empty"):
        image_planes(layer)


def test_layers_lie_on_the_image() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros((2, 4, 5)),
        name="ct",
        scale=(5, 0.7, 0.8),
        translate=(1, 2, 3),
        rotate=(10, 0, 0),
        units=("mm",) * 3,
        axis_labels=("z", "y", "x"),
        metadata={"segdino": {"kept": 1}, "other": 2},
    )
    mask = make_layer(viewer, image, "mask", (2, 4, 5))
    assert mask.name == "ct mask"
    corner = (1, 3, 4)
    np.testing.assert_allclose(mask.data_to_world(corner), image.data_to_world(corner))
    assert mask.units == image.units
    assert mask.axis_labels == image.axis_labels
    assert mask.metadata["segdino"] == {"kept": 1}


def test_find_layer_knows_its_own_and_the_shape() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 5)), name="ct")
    assert find_layer(viewer, image, "mask", (4, 5)) is None
    named = viewer.add_labels(np.zeros((4, 5), int), name="ct mask")
    assert find_layer(viewer, image, "mask", (4, 5)) is named
    made = make_layer(viewer, image, "mask", (4, 5))
    made.name = "anything"
    assert find_layer(viewer, image, "mask", (4, 5)) is made
    assert find_layer(viewer, image, "marks", (4, 5)) is None
    assert find_layer(viewer, image, "mask", (9, 9)) is None


def test_plane_shown() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((40, 4, 5)))
    image = viewer.add_image(np.zeros((2, 3, 4, 5)), scale=(1, 10, 1, 1))
    planes = image_planes(image)
    viewer.dims.set_point((0, 1), (1, 20))
    assert plane_shown(viewer, image, planes) == 1 * 3 + 2
    viewer.dims.set_point((0, 1), (1, 39))
    assert plane_shown(viewer, image, planes) == 1 * 3 + 2, "beyond the image"


def test_set_pixels_is_one_step() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((2, 4, 5)))
    mask = make_layer(viewer, image, "mask", (2, 4, 5))
    set_pixels(mask, (1,), np.array([0, 7, 19]), np.array([1, 2, 3]), refresh=False)
    assert mask.data[1, 0, 0] == 1
    assert mask.data[1, 1, 2] == 2
    assert mask.data[1, 3, 4] == 3
    mask.undo()
    assert not mask.data.any()


# -- drawing in pieces -----------------------------------------------------


@pytest.fixture
def annotation(qtbot: Any, fake_segmenter: type) -> Iterator[Annotation]:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((3, 20, 20), np.uint8))
    annotations = Annotations(viewer, Session(fake_segmenter, Settings("fake")), {})
    annotation = annotations.ensure(image)
    # pytest-qt only looks after widgets.
    annotation._annotations = annotations
    yield annotation
    annotations.close()


def test_drawn_in_pieces_and_undone_at_once(
    annotation: Annotation, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "PIECE", 37)
    new = np.random.default_rng(0).integers(0, 3, (3, 20, 20)).astype(np.uint8)
    for plane in (1, 0, 2):
        annotation.writer.add(Piece(plane, new[plane]))
    annotation.writer._timer.timeout.connect(
        annotation.mask_sync.sync_all
    )  # at any moment
    with qtbot.waitSignal(annotation.writer.finished):
        annotation.writer.finish()
        assert not annotation.mask.data.any(), "nothing is drawn before the loop turns"
    np.testing.assert_array_equal(annotation.mask.data, new)
    assert not annotation.marks.data.any()
    annotation.mask.undo()
    assert not annotation.mask.data.any()
    annotation.mask_sync.sync_all()
    assert not annotation.marks.data.any(), "undo is no correction"
    annotation.mask.redo()
    np.testing.assert_array_equal(annotation.mask.data, new)


def test_marks_win(annotation: Annotation, qtbot: Any) -> None:
    annotation.mask.paint((1, 5, 5), 2)
    annotation.mask_sync.sync_all()
    marked = annotation.marks.data > 0
    assert marked.any()
    with qtbot.waitSignal(annotation.writer.finished):
        annotation.writer.add(Piece(1, np.ones((20, 20), np.uint8)))
        annotation.writer.finish()
    np.testing.assert_array_equal(annotation.mask.data[1] == 2, marked[1])
    assert (annotation.mask.data[1][~marked[1]] == 1).all()


def test_a_stroke_in_between_is_a_step_of_its_own(
    annotation: Annotation, qtbot: Any
) -> None:
    ones = np.ones((20, 20), np.uint8)
    annotation.writer.add(Piece(0, ones))
    qtbot.waitUntil(lambda: bool(annotation.mask.data[0].any()))
    annotation.mask_sync.pressed.emit()  # as the mouse does
    annotation.mask.paint((1, 5, 5), 2)
    stroke = annotation.mask.data[1].copy()
    annotation.writer.add(Piece(2, ones))
    with qtbot.waitSignal(annotation.writer.finished):
        annotation.writer.finish()
    annotation.mask.undo()
    assert not annotation.mask.data[2].any()
    np.testing.assert_array_equal(annotation.mask.data[1], stroke)
    annotation.mask.undo()
    assert not annotation.mask.data[1].any()
    assert annotation.mask.data[0].all()
    annotation.mask.undo()
    assert not annotation.mask.data.any()


def test_nothing_is_drawn_while_a_stroke_is_painted(
    annotation: Annotation, qtbot: Any
) -> None:
    annotation.mask_sync.tracker.stroking = True
    annotation.writer.add(Piece(0, np.ones((20, 20), np.uint8)))
    qtbot.wait(50)
    assert not annotation.mask.data.any()
    annotation.mask_sync.tracker.stroking = False
    annotation.mask_sync.released.emit()
    qtbot.waitUntil(lambda: bool(annotation.mask.data[0].all()))
    annotation.writer.drop()


def test_undo_on_another_slice_is_seen(annotation: Annotation, qtbot: Any) -> None:
    annotation.mask.paint((2, 5, 5), 1)
    annotation.mask_sync.sync_all()
    assert (annotation.marks.data[2] == 2).any()
    annotation.mask.undo()  # slice 1 is on screen
    qtbot.waitUntil(lambda: not annotation.marks.data.any())


def tilt(degrees: float) -> np.ndarray:
    """Turn the first axis into the second, and shift."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = 30, -120, 7
    return turn


@pytest.mark.parametrize("degrees", [0, 10])
@pytest.mark.parametrize("plane", [0, 3, 11])
def test_the_plane_that_napari_shows(degrees: float, plane: int) -> None:
    """Each plane is as bright as its number; the thumbnail shows what is shown."""
    viewer = ViewerModel()
    viewer.add_image(np.zeros((2, 1, 5, 5)))  # more sliders than the volume has
    data = (
        np.zeros((12, 40, 50), np.uint8) + np.arange(12, dtype=np.uint8)[:, None, None]
    )
    image = viewer.add_image(
        data, scale=(3, 2, 2), affine=tilt(degrees), contrast_limits=(0, 255), gamma=1
    )
    viewer.dims.set_point([1], slider_point(image, (plane,)))
    assert plane_shown(viewer, image, image_planes(image)) == plane
    image.refresh(thumbnail=True)
    assert image.thumbnail[..., 0].max() == plane


@pytest.mark.parametrize(
    ("name", "axes"), [("z", "ZYX"), ("t", "TYX"), ("Time", "TYX"), ("slice", "ZYX")]
)
def test_a_series_over_time_is_no_volume(name: str, axes: str) -> None:
    image = Image(np.zeros((3, 4, 5)), axis_labels=(name, "y", "x"))
    assert image_planes(image).axes == axes


def test_a_mask_that_was_saved_was_drawn_with_the_probe_that_was_saved(
    qtbot: Any, fake_segmenter: type
) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((3, 20, 20), np.uint8))
    annotations = Annotations(viewer, Session(fake_segmenter, Settings("fake")), {})
    mask = np.zeros((3, 20, 20), np.uint8)
    mask[1, 5:9] = 1
    annotation = annotations.restore(image, mask, np.zeros_like(mask), probe=4)
    assert [annotation.mask_sync.drawn_with(plane) for plane in range(3)] == [
        None,
        4,
        None,
    ]
    mask[2] = 1
    with qtbot.waitSignal(annotation.writer.finished):
        annotations.restore(image, mask, np.zeros_like(mask), probe=6)
    assert [annotation.mask_sync.drawn_with(plane) for plane in range(3)] == [
        None,
        6,
        6,
    ]
    annotations.close()
