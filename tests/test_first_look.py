"""A mask of the smallest view comes first where an encoder is slow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fake_encoder import SPEC, FakeEncoder, bright_square

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings
from napari_segdino.first_look import provisional
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.predict import PartResult, PlaneResult
from napari_segdino.progress import Progress, drive
from napari_segdino.session.eta import PROVISIONAL, Notice
from napari_segdino.session.learning import Marked
from napari_segdino.session.results import PlaneUpdate, Trained
from napari_segdino.session.tasks import iter_retrain, iter_segment

CENTRE = (32.0, 32.0)


class SlowEncoder(FakeEncoder):
    """Counts as a ViT; notes the size of each view."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(SPEC, family="vit", channels=(3,) * 3, strides=(8,) * 3)
        self.sides: list[int] = []

    def encode(self, batch: Any, levels: Any) -> Any:
        self.sides.append(batch.shape[-1])
        cells = torch.nn.functional.avg_pool2d(batch, 8).half()
        return tuple(cells for _ in levels)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowEncoder:
    return SlowEncoder().installed(monkeypatch)


def made(**params: Any) -> Segmenter:
    return Segmenter(device="cpu", cache=CacheSettings(1 << 28, 0), **params)


def drawn(steps: Any) -> list[tuple[str, bool]]:
    """Kind of each thing drawn, and whether it is provisional."""
    seen: list[Any] = []
    drive(steps, seen.append)
    return [
        (type(step).__name__, getattr(step, "provisional", False))
        for step in seen
        if isinstance(step, PartResult | PlaneResult)
    ]


FIRST, FINAL = ("PartResult", True), ("PlaneResult", False)


def test_the_small_view_is_drawn_before_the_large_one_is_encoded(
    slow: SlowEncoder,
) -> None:
    image, _ = bright_square(256)
    steps = made().iter_cluster(image, centre=CENTRE)
    for step in steps:
        if isinstance(step, PartResult):
            break
    assert slow.sides == [256] and step.provisional
    assert step.labels.shape == (256, 256)
    assert drawn(steps) == [FINAL]
    assert slow.sides == [256, 512], "the small view is not encoded again"


def test_what_is_encoded_already_has_no_first_look(slow: SlowEncoder) -> None:
    image, marks = bright_square(256)
    segmenter = made().fit(image, marks)
    assert slow.sides == [256, 512]
    assert drawn(segmenter.iter_predict(image, centre=CENTRE)) == [FINAL]
    other = image[::-1].copy()
    assert drawn(segmenter.iter_predict(other, centre=CENTRE)) == [FIRST, FINAL]
    assert slow.sides == [256, 512, 256, 512]


def test_nobody_looks_or_nothing_is_gained(
    slow: SlowEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, marks = bright_square(256)
    assert drawn(made().iter_cluster(image)) == [FINAL], "a script waits for all"
    one = made(features=FeatureSettings(factors=(1.0,)))
    assert drawn(one.iter_cluster(image, centre=CENTRE)) == [FINAL]
    FakeEncoder().installed(monkeypatch)
    assert drawn(made().iter_cluster(image, centre=CENTRE)) == [FINAL], "quick"


def test_the_final_mask_is_the_one_without_a_first_look(slow: SlowEncoder) -> None:
    image, marks = bright_square(128)
    plain = made().fit(image, marks).predict(image)
    segmenter = made()
    looks = list(segmenter.iter_draft(image, marks, planes=[0], centre=CENTRE))
    assert any(isinstance(step, PartResult) for step in looks)
    assert not segmenter.is_fitted, "a draft teaches nothing"
    np.testing.assert_array_equal(segmenter.fit(image, marks).predict(image), plain)


def test_a_draft_without_enough_marks_draws_nothing(slow: SlowEncoder) -> None:
    volume = np.stack([bright_square(64)[0]] * 3)
    marks = np.zeros(volume.shape, np.uint8)
    marks[1, 20, 20] = 2
    how: dict[str, Any] = {"axes": "ZYX", "centre": CENTRE}
    assert drawn(made().iter_draft(volume, marks, planes=[0, 1], **how)) == []
    assert slow.sides == []


def test_only_the_plane_on_screen_has_a_first_look(slow: SlowEncoder) -> None:
    volume = np.stack([bright_square(64)[0] + n for n in range(3)])
    steps = made().iter_cluster(volume, axes="ZYX", planes=[1, 0], centre=CENTRE)
    seen: list[Any] = []
    drive(steps, seen.append)
    parts = [s.index for s in seen if isinstance(s, PartResult)]
    assert parts == [1]
    assert [s.index for s in seen if isinstance(s, PlaneResult)] == [1, 0]


def test_the_window_is_told_that_it_is_provisional(slow: SlowEncoder) -> None:
    image, _ = bright_square(64)
    seen: list[Any] = []
    drive(iter_segment(made(), as_planes(image), [0], 2, CENTRE), seen.append)
    notices = [s.text for s in seen if isinstance(s, Notice)]
    assert notices == [PROVISIONAL]


def test_a_retrain_goes_back_to_the_mask_before_the_first_look(
    slow: SlowEncoder,
) -> None:
    image, marks = bright_square(64)
    mask = np.full(image.shape, 3, np.uint8)
    target = Marked("a", as_planes(image), marks, {})
    kinds: list[str] = []
    before = None
    for step in iter_retrain(made(), [target], target, mask, [0], CENTRE):
        if isinstance(step, PartResult):
            kinds.append("look")
            mask[...] = step.labels  # as the window does
        elif isinstance(step, Trained):
            kinds.append("trained")
        elif isinstance(step, PlaneUpdate):
            before = step.before.array()
    assert kinds == ["look", "trained"]
    assert before is not None and (before == 3).all()


def test_what_a_first_look_draws_is_passed_on_as_parts() -> None:
    labels = np.array([[0, 1]], np.uint8)

    def task() -> Any:
        yield Progress(0, 2, "Encoding")
        yield PartResult(3, 4, 5, labels)
        yield PlaneResult(3, labels, np.zeros((2, 1, 2), np.float32))
        return "done"

    seen: list[Any] = []
    assert drive(provisional(task()), seen.append) == "done"
    progress, part, plane = seen
    assert progress == Progress(0, 2, "Encoding")
    assert (part.index, part.y0, part.x0, part.provisional) == (3, 4, 5, True)
    assert (plane.index, plane.y0, plane.x0, plane.provisional) == (3, 0, 0, True)
    np.testing.assert_array_equal(plane.labels, labels)
