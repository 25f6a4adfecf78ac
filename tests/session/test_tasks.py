"""What the worker runs, with a segmenter that tells classes by their brightness."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_segdino.images.boxes import Box
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.progress import drive
from napari_segdino.session.learning import Marked
from napari_segdino.session.results import (
    Learned,
    NothingFound,
    PlaneUpdate,
    Proposal,
    Switched,
    Trained,
    UncertainPart,
)
from napari_segdino.session.tasks import (
    iter_interpolate,
    iter_retrain,
    iter_segment,
    iter_start,
    iter_start_box,
    iter_switch,
    iter_unpack,
)

IMAGE = np.array([[[0, 200], [0, 200]], [[200, 200], [0, 0]]], np.uint8)


def scene() -> tuple[Marked, np.ndarray]:
    """Two planes of 2 by 2 pixels with a stroke of each class, and an empty mask."""
    marks = np.zeros(IMAGE.shape, np.uint8)
    marks[0, 0] = 1, 2
    planes = as_planes(IMAGE, axes="ZYX")
    return Marked("image", planes, marks, {}), np.zeros(IMAGE.shape, np.uint8)


def steps_of(task: Any) -> list[Any]:
    seen: list[Any] = []
    drive(task, seen.append)
    return seen


def only(kind: type, seen: list[Any]) -> list[Any]:
    return [step for step in seen if isinstance(step, kind)]


def test_retrain_learns_then_draws_the_planes_asked_for(fake_segmenter: Any) -> None:
    segmenter, (target, mask) = fake_segmenter(), scene()
    task = iter_retrain(segmenter, [target], target, mask, [1], uncertainty=True)
    seen = steps_of(task)
    kinds = (Learned, Trained, PlaneResult, PlaneUpdate, UncertainPart)
    assert [type(s) for s in seen if isinstance(s, kinds)] == list(kinds)
    (trained,) = only(Trained, seen)
    assert trained.before == {}
    np.testing.assert_array_equal(trained.after["model_"], [0, 200])
    (update,) = only(PlaneUpdate, seen)
    assert update.plane == 1
    np.testing.assert_array_equal(update.before.array(), [[0, 0], [0, 0]])
    np.testing.assert_array_equal(update.after.array(), [[1, 1], [0, 0]])
    (part,) = only(UncertainPart, seen)
    assert not part.uncertainty.any(), "the fake is sure of everything"
    assert not mask.any(), "drawing is for the window"


def test_a_mark_stays_in_the_mask_whatever_is_predicted(fake_segmenter: Any) -> None:
    segmenter, (target, mask) = fake_segmenter(), scene()
    target.marks[1, 1, 1] = 3
    seen = steps_of(iter_retrain(segmenter, [target], target, mask, [1]))
    (update,) = only(PlaneUpdate, seen)
    assert update.after.array()[1, 1] == 2


def test_another_encoder_takes_over_before_what_it_learned_is_told(
    fake_segmenter: Any,
) -> None:
    present, candidate, (target, mask) = fake_segmenter(), fake_segmenter(), scene()
    task = iter_switch(present, candidate, {"head": "x"}, [target], target, mask, [0])
    seen = steps_of(task)
    kinds = (Switched, Learned, Trained, PlaneUpdate)
    assert [type(s) for s in seen if isinstance(s, kinds)] == list(kinds)
    (switched,) = only(Switched, seen)
    assert switched.segmenter is candidate
    assert switched.changes == {"head": "x"}
    assert not present.is_fitted
    assert present.calls == []


def test_another_encoder_takes_over_with_marks_of_one_class(
    fake_segmenter: Any,
) -> None:
    candidate, (target, mask) = fake_segmenter(), scene()
    target.marks[target.marks == 2] = 0
    seen = steps_of(
        iter_switch(fake_segmenter(), candidate, {}, [target], target, mask)
    )
    assert [s.segmenter for s in only(Switched, seen)] == [candidate]
    assert only(Learned, seen) == []
    assert not candidate.is_fitted, "it begins as a new probe does"


def test_segment_groups_until_there_is_a_probe(fake_segmenter: Any) -> None:
    segmenter, (target, _) = fake_segmenter(), scene()
    (plane,) = only(
        PlaneResult, steps_of(iter_segment(segmenter, target.planes, [1], 2))
    )
    np.testing.assert_array_equal(plane.labels, [[1, 1], [0, 0]])
    segmenter.means = np.array([200.0, 0.0])
    (plane,) = only(
        PlaneResult, steps_of(iter_segment(segmenter, target.planes, [1], 2))
    )
    np.testing.assert_array_equal(plane.labels, [[0, 0], [1, 1]])
    assert [name for name, _ in segmenter.calls] == ["cluster", "predict"]


def test_planes_between_two_masks_are_proposed(fake_segmenter: Any) -> None:
    image = np.zeros((3, 9, 9), np.uint8)
    marks = np.ones(image.shape, np.uint8)
    marks[1] = 0
    marks[0, 3:6, 3:6], marks[2, 1:8, 1:8] = 2, 2
    target = Marked("image", as_planes(image, axes="ZYX"), marks, {})
    (one,) = only(Proposal, steps_of(iter_interpolate(fake_segmenter(), target, 0, 2)))
    assert one.plane == 1
    expected = np.zeros((9, 9), np.uint8)
    expected[2:7, 2:7] = 1
    np.testing.assert_array_equal(one.labels, expected)


def test_start_learns_only_where_marks_suffice(fake_segmenter: Any) -> None:
    segmenter, (target, mask) = fake_segmenter(), scene()
    steps_of(iter_start(segmenter, target, mask, [0]))
    assert [name for name, _ in segmenter.calls] == ["partial_fit", "predict"]
    one_class, (target, mask) = fake_segmenter(), scene()
    target.marks[target.marks == 1] = 0
    seen = steps_of(iter_start(one_class, target, mask, [0]))
    assert [name for name, _ in one_class.calls] == ["from_clicks"]
    (plane,) = only(PlaneResult, seen)
    np.testing.assert_array_equal(plane.labels, [[0, 1], [0, 1]])


def test_masks_of_an_earlier_state_come_back(fake_segmenter: Any) -> None:
    segmenter, (target, mask) = fake_segmenter(), scene()
    updates = only(
        PlaneUpdate, steps_of(iter_retrain(segmenter, [target], target, mask, [0, 1]))
    )
    masks = {("image", part.plane): part.after for part in updates}
    found = only(tuple, steps_of(iter_unpack(masks)))
    assert [(image, plane) for image, plane, _ in found] == [("image", 0), ("image", 1)]
    np.testing.assert_array_equal(found[0][2], [[0, 1], [0, 1]])
    np.testing.assert_array_equal(found[1][2], [[1, 1], [0, 0]])


def test_a_box_tells_whether_its_class_is_in_it(fake_segmenter: Any) -> None:
    image = np.full((1, 8, 8), 20, np.uint8)
    image[0, 2:4, 2:4] = 200
    mask = np.zeros(image.shape, np.uint8)
    target = Marked("image", as_planes(image, axes="ZYX"), mask.copy(), {})
    around, beside = Box(0, 1, 1, 5, 5), Box(0, 5, 5, 8, 8)
    seen = steps_of(iter_start_box(fake_segmenter(), target, mask, around))
    assert only(NothingFound, seen) == []
    seen = steps_of(iter_start_box(fake_segmenter(), target, mask, beside))
    assert only(NothingFound, seen) == [NothingFound()]
    mask[0, 5:, 5:] = 2
    other = Box(0, 5, 5, 8, 8, label=1)
    seen = steps_of(iter_start_box(fake_segmenter(), target, mask, other))
    assert len(only(NothingFound, seen)) == 1, "another class is not it"
