import dataclasses

import numpy as np
import torch

from napari_segdino import marks_from_mask
from napari_segdino.heads.dense.batches import DenseExample
from napari_segdino.heads.registry import make_head
from napari_segdino.progress import drive
from napari_segdino.review.guard import (
    Guard,
    StrokeScore,
    guard,
    recheck,
)
from napari_segdino.segmenter import UNSUPERVISED

PROBE = make_head("probe")


def share(scores):
    """Share of the pixels of all strokes that are classified as marked."""
    return sum(s.share * s.pixels for s in scores) / sum(s.pixels for s in scores)


def test_strokes_that_are_followed_no_more():
    shares = [(1.0, 1.0), (0.5, 0.4), (0.4, 0.5), (0.0, 0.0)]
    one = StrokeScore("t", 2, 0, 0, 10, 1.0)
    made = [
        [dataclasses.replace(one, y=i, share=s[k]) for i, s in enumerate(shares)]
        for k in (0, 1)
    ]
    found = Guard(tuple(made[0]), tuple(made[1]))
    assert [s.y for s in found.regressed] == [1]


def test_a_probe_that_learned_a_stroke_follows_it(segmenter, scene):
    image, _, marks = scene()
    segmenter.fit(image, marks)
    scores = recheck(PROBE, segmenter.model_, segmenter.samples_)
    assert [(s.code, s.pixels) for s in scores] == [(1, 35), (1, 35), (2, 5), (2, 5)]
    assert all(s.share == 1 for s in scores)
    key = next(iter(segmenter.samples_))
    assert {s.tile for s in scores} == {key}
    assert marks[scores[2].y, scores[2].x] == 2


def test_contrary_marks_break_earlier_strokes(segmenter, scene):
    image, _, marks = scene()
    segmenter.fit(image, marks)
    model, samples = segmenter.model_, segmenter.samples_
    # What looks the same, beside what was marked, marked the other way round
    # many times over.
    now = marks.copy()
    opposite = np.zeros_like(marks)
    opposite[16:32:3, 16:32] = 1
    opposite[36:60:3, 2:60] = 2
    now[marks == 0] = opposite[marks == 0]
    segmenter.partial_fit(image, now)
    found = guard(PROBE, model, samples, segmenter.model_, segmenter.samples_)
    assert len(found.before) == len(found.after)
    assert share(found.before) == 1
    assert found.regressed
    assert share(found.after) < 0.6
    assert {s.tile for s in found.after} == set(samples)


def test_contrary_marks_elsewhere_break_nothing(segmenter, scene):
    image, _, marks = scene()
    segmenter.fit(image, marks)
    model, samples = segmenter.model_, segmenter.samples_
    other, _, _ = scene(seed=1)
    opposite = np.zeros_like(marks)
    opposite[16:32:3, 16:32] = 1
    opposite[36:60:3, 2:60] = 2
    segmenter.partial_fit(other, opposite)
    found = guard(PROBE, model, samples, segmenter.model_, segmenter.samples_)
    assert not found.regressed
    assert share(found.after) == 1


def test_what_was_taken_back_or_added_does_not_count(segmenter, scene):
    image, _, marks = scene()
    segmenter.fit(image, marks)
    model, samples = segmenter.model_, segmenter.samples_
    now = marks.copy()
    now[now.shape[0] - 8] = 0  # taken back
    now[10, 40:60] = 1  # new
    now[21, 18:26] = 2  # an earlier stroke made longer
    segmenter.partial_fit(image, now)
    found = guard(PROBE, model, samples, segmenter.model_, segmenter.samples_)
    assert [(s.code, s.pixels) for s in found.after] == [(1, 35), (2, 8), (2, 5)]
    assert found.regressed == ()


def test_whole_masks_and_new_classes(segmenter, scene):
    image, mask, _ = scene()
    segmenter.fit(image, marks_from_mask(mask))
    scores = recheck(PROBE, segmenter.model_, segmenter.samples_)
    assert [s.code for s in scores] == [1, 2]
    assert all(s.share > 0.95 for s in scores)


def test_dense_heads_are_asked_at_every_pixel():
    marks = torch.zeros(8, 8, dtype=torch.uint8)
    marks[1, :4] = 2
    marks[6, :] = 1
    level = torch.zeros(2, 8, 8)
    level[1, :, :2] = 9.0  # class 1 in the two columns at the left, else 0
    level[0, :, 2:] = 9.0

    def decoder(levels, shape):
        assert shape == (8, 8)
        return levels[0]

    scores = recheck(
        make_head("segdino"), decoder, {"t": DenseExample((level,), marks)}
    )
    assert [(s.code, s.share, s.tile) for s in scores] == [
        (1, 0.75, "t"),
        (2, 0.5, "t"),
    ]


def test_the_first_mask_is_no_correction(segmenter, scene):
    image, _, marks = scene()
    drive(segmenter.iter_cluster(image))
    segmenter.partial_fit(image, marks)
    assert UNSUPERVISED in segmenter.samples_
    scores = recheck(PROBE, segmenter.model_, segmenter.samples_)
    assert [s.pixels for s in scores] == [35, 35, 5, 5]
