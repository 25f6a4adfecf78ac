"""Planes of several tiles: what is on screen is drawn first."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from test_dock import correct

from napari_segdino._qt.layers.image_layers import centre_shown
from napari_segdino._qt.layers.mask_writer import Piece
from napari_segdino.inference.predict import PartResult, PlaneResult
from napari_segdino.session.eta import PROVISIONAL


@pytest.fixture
def in_parts(fake_segmenter: type, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the right half of each plane come first, then wait, then the rest."""
    go_on = threading.Event()
    whole = fake_segmenter._draw

    def draw(self: Any, *args: Any, **kwargs: Any) -> Any:
        for step in whole(self, *args, **kwargs):
            if isinstance(step, PlaneResult):
                half = step.labels.shape[1] // 2
                yield PartResult(step.index, 0, half, step.labels[:, half:])
                go_on.wait(10)
                yield PartResult(step.index, 0, 0, step.labels[:, :half])
            yield step

    monkeypatch.setattr(fake_segmenter, "_draw", draw)
    return go_on


def test_a_part_is_drawn_before_the_rest_and_undone_with_it(
    user: Any, plane: Any, in_parts: Any
) -> None:
    image = np.hstack([plane, plane])
    user.open(image)
    user.dock.segment()
    user.wait(
        lambda: user.annotation is not None and user.annotation.mask.data[20, 100] == 1
    )
    assert not user.annotation.mask.data[:, :80].any(), "the rest is not there yet"
    in_parts.set()
    user.rest()
    np.testing.assert_array_equal(user.annotation.mask.data, image == 200)
    user.annotation.mask.undo()
    assert not user.annotation.mask.data.any(), "one step"
    assert not user.annotation.marks.data.any()
    user.annotation.mask.redo()
    np.testing.assert_array_equal(user.annotation.mask.data, image == 200)
    assert not user.annotation.marks.data.any()


def test_a_stroke_between_parts_stays(user: Any, plane: Any, in_parts: Any) -> None:
    image = np.hstack([plane, plane])
    user.open(image)
    user.dock.segment()
    user.wait(
        lambda: user.annotation is not None and user.annotation.mask.data[20, 100] == 1
    )
    mask = user.annotation.mask
    mask.brush_size = 3
    mask.paint((25, 25), 2)
    mask.paint((20, 100), 0)
    in_parts.set()
    user.rest()
    assert mask.data[25, 25] == 2
    assert mask.data[20, 100] == 0
    assert user.annotation.marks.data[25, 25] == 3
    assert user.annotation.marks.data[20, 100] == 1
    assert mask.data[15, 15] == 1


def corrected(user: Any, plane: Any) -> Any:
    """Give the mask of Segment with a stroke of the class and one of background."""
    user.open(plane)
    user.segment()
    mask = user.annotation.mask
    mask.brush_size = 3
    mask.paint((50, 60), 1)
    mask.paint((25, 25), 0)
    return mask


def test_a_retrain_in_parts_is_one_step_back(
    user: Any, plane: Any, in_parts: Any
) -> None:
    in_parts.set()
    mask = corrected(user, plane)
    before = mask.data.copy()
    user.retrain()
    assert (mask.data != before).any()
    mask.undo()
    np.testing.assert_array_equal(mask.data, before)


def test_a_first_look_and_the_retrain_after_it_are_one_step_back(
    user: Any, plane: Any, fake_segmenter: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def draft(self: Any, image: Any, marks: Any, **kwargs: Any) -> Any:
        labels = np.ones(plane.shape, np.uint8)
        yield PartResult(0, 0, 0, labels, provisional=True)

    monkeypatch.setattr(fake_segmenter, "iter_draft", draft)
    mask = corrected(user, plane)
    before = mask.data.copy()
    user.dock.controller.message.connect(said.append)
    user.retrain()
    assert PROVISIONAL in said and said[-1] != PROVISIONAL
    assert (mask.data == 0).any(), "the look is replaced"
    mask.undo()
    np.testing.assert_array_equal(mask.data, before)


def test_the_middle_of_the_canvas_is_asked_for(make_user: Any, volume: Any) -> None:
    user = make_user(show=True)
    image = user.open(
        volume, scale=(3, 0.5, 0.5), translate=(0, 10, 20), units=("mm",) * 3
    )
    user.viewer.scene.camera.center = (0, 10 + 0.5 * 12, 20 + 0.5 * 70)
    user.segment()
    assert user.segmenter.centre == pytest.approx((12, 70))
    correct(user)
    user.retrain()
    assert user.segmenter.spacing == pytest.approx((3, 0.5, 0.5))
    user.viewer.dims.order = (1, 0, 2)
    assert centre_shown(user.viewer, image) is None
    user.viewer.dims.order = (0, 1, 2)
    user.viewer.dims.ndisplay = 3
    assert centre_shown(user.viewer, image) is None


def test_a_real_segmenter_draws_a_large_plane_in_parts(
    make_user: Any, plane: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fake_encoder import FakeEncoder

    from napari_segdino import Segmenter
    from napari_segdino.config import CacheSettings, FeatureSettings

    FakeEncoder().installed(monkeypatch)
    shown = FeatureSettings(tile=64, overlap=16)
    cache = CacheSettings(1 << 28, 0, tmp_path)

    def make(**parameters: Any) -> Segmenter:
        return Segmenter("fake", device="cpu", features=shown, cache=cache)

    user = make_user(maker=make)
    drawn: list[tuple[int, int]] = []
    user.open(np.tile(plane, (3, 3)))
    user.wait(lambda: user.annotation is not None)
    real = user.annotation.writer.add

    def note(piece: Piece) -> None:
        if not piece.completes_plane:
            drawn.append(piece.at)
        real(piece)

    user.annotation.writer.add = note
    user.segment()
    assert len(drawn) > 4
    assert len(set(drawn)) == len(drawn)
    assert (0, 0) not in drawn[:2], "the corner is not what is looked at"
    assert user.annotation.mask.data.any()
