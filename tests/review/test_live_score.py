import csv

import numpy as np
import pytest

from napari_segdino.metrics import score_case, to_csv
from napari_segdino.progress import drive
from napari_segdino.review.folds import Stroke, group_strokes, make_folds
from napari_segdino.review.live_score import (
    iter_cross_validate,
    rows_by_round,
    score_reference,
    summarise_answers,
)


def test_near_strokes_and_neighbouring_slices_are_one_group():
    marks = np.zeros((100, 100), np.uint8)
    marks[10, 10:15], marks[13, 10:15] = 1, 1  # 3 apart: within 4.2
    marks[20, 10:15] = 1  # 7 apart
    marks[16, 10:15] = 2  # another class
    other = np.zeros_like(marks)
    other[21, 12] = 1
    strokes = group_strokes([(0, marks), (2, other), (5, other)])
    groups = [s.group for s in strokes]
    assert [(s.plane, s.code, len(s.pixels)) for s in strokes] == [
        (0, 1, 5), (0, 1, 5), (0, 1, 5), (0, 2, 5), (2, 1, 1), (5, 1, 1),
    ]  # fmt: skip
    assert groups[0] == groups[1]
    assert groups[2] == groups[4]
    assert len(set(groups)) == 4


def test_folds_never_take_a_class_whole_nor_part_a_group():
    pixels = np.zeros(1, np.intp)
    groups = [(1, 0), (1, 0), (1, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 5)]
    strokes = [Stroke(0, code, pixels, group) for code, group in groups]
    for seed in range(10):
        folds = make_folds(strokes, 2, seed)
        assert folds[0] == folds[1]
        assert folds[6:] == [-1, -1]
        assert folds[4] != folds[5]
        assert len(set(folds[:4])) == 2


def answer(pixels, code, foreground, plane=0):
    p = np.array(foreground, np.float32)
    pixels = np.array(pixels, np.intp)
    return Stroke(plane, code, pixels, 0), np.stack([1 - p, p], 1)


def test_scores_of_answers_by_hand():
    # a row of 10: class 1 marked at 0..3, found at 0, 1, 2; background at 6..9,
    # called class 1 at 9
    answers = [
        answer(range(4), 2, [0.9, 0.8, 0.7, 0.1]),
        answer(range(6, 10), 1, [0.2, 0.2, 0.2, 0.6]),
    ]
    got = summarise_answers(answers, (1, 10), (1.0, 0.5), 3, "x")
    (row,) = got.rows
    assert (row.case, row.label, row.predicted, row.true) == ("x", 1, 4, 4)
    assert row.dice == 0.75 and row.iou == pytest.approx(3 / 5)
    assert row.hd95 == pytest.approx(0.85 * 3)  # of 0, 0, 0 and 3, pixel 9 to 3
    assert (got.strokes, got.skipped, got.right) == (2, 3, 0.75)
    assert got.weights.sum() == pytest.approx(2)
    assert got.truth.tolist() == [1] * 4 + [0] * 4
    gone = summarise_answers([answer(range(4), 2, [0.1] * 4)], (1, 10), None, 0, "")
    assert (gone.dice, gone.hd95) == (0.0, np.inf)


def test_held_out_and_whole_masks_have_one_hd95():
    """Two planes of ten pixels: the same masks by way of strokes and of arrays."""
    found = np.zeros((2, 1, 10), int)
    true = np.zeros_like(found)
    true[0, 0, :4], found[0, 0, [0, 1, 2, 9]] = 1, 1
    true[1, 0, 2:5], found[1, 0, 2:9] = 1, 1
    marked = [
        answer([x], 1 + true[z, 0, x], [found[z, 0, x]], plane=3 * z)
        for z, x in np.ndindex(2, 10)
    ]
    (row,) = summarise_answers(marked, (1, 10), (1.0, 0.5), 0, "x").rows
    (whole,) = score_case(found, true, (1.0, 0.5), [1], "x", by_plane=True)
    assert row == whole
    # From found: 0 0 0 3 on the first plane and 0 0 0 .5 1 1.5 2 on the second, 11
    # distances, so that rank 9.5 lies between 2 and 3; from the truth: 0 0 0 .5, 0 0 0.
    assert row.hd95 == pytest.approx(2.5)
    assert row.assd == pytest.approx((3 + 0.5 + 1 + 1.5 + 2 + 0.5) / 18)
    apart = [
        score_case(*pair, (1.0, 0.5), [1])[0].hd95
        for pair in zip(found, true, strict=True)
    ]
    assert apart == pytest.approx([0.85 * 3, 0.3 * 1.5 + 0.7 * 2])


def test_a_plane_that_only_one_mask_has_counts_as_far():
    found, true = np.zeros((2, 1, 30), int), np.zeros((2, 1, 30), int)
    true[:, 0, :20], found[0, 0, :20] = 1, 1
    (row,) = score_case(found, true, by_plane=True)
    assert row.hd95 == 0.0, "one infinite distance among 21 is above the percentile"
    true[0], found[0] = 0, 0
    (row,) = score_case(found, true, by_plane=True)
    assert row.hd95 == np.inf


def test_held_out_strokes_are_found_and_the_probe_stays(segmenter, scene, encoder):
    image, _, marks = scene()
    segmenter.fit(image, marks)
    model, samples, runs = segmenter.model_, segmenter.samples_, encoder.planes_encoded
    got = drive(iter_cross_validate(segmenter, image, marks, folds=2))
    assert (got.strokes, got.skipped) == (4, 0)
    assert got.right == got.dice == 1.0
    assert got.hd95 == 0.0
    assert segmenter.model_ is model and segmenter.samples_ is samples
    assert encoder.planes_encoded == runs


def test_a_held_out_stroke_that_contradicts_all_others_scores_nothing(segmenter, scene):
    image, _, marks = scene()
    marks[28, 40:60] = 2  # background called class 1, far from the others
    segmenter.fit(image, marks)
    got = drive(iter_cross_validate(segmenter, image, marks, folds=9))
    wrong = got.probabilities.argmax(1) != got.truth
    assert 18 <= wrong.sum() <= 20
    assert got.right == pytest.approx(0.8, abs=0.03)


def test_no_score_without_two_strokes_of_a_class(segmenter, scene):
    image, _, marks = scene()
    marks[27] = marks[4] = 0
    segmenter.fit(image, marks)
    assert drive(iter_cross_validate(segmenter, image, marks)) is None


def test_rounds_are_cases_of_one_table(tmp_path):
    scores = [
        summarise_answers([answer(range(4), 2, [sure] * 4)], (1, 8), None, 1, "")
        for sure in (0.1, 0.9)
    ]
    assert [(s.strokes + s.skipped, s.dice) for s in scores] == [(2, 0), (2, 1)]
    assert [s.hd95 for s in scores] == [np.inf, 0]
    table = to_csv(tmp_path / "c.csv", rows_by_round(scores))
    rows = list(csv.DictReader(table.open()))
    assert [r["case"] for r in rows] == ["round 1, 2 strokes", "round 2, 2 strokes"]
    assert [float(r["dice"]) for r in rows] == [0, 1]


def test_a_reference_by_class_and_slice():
    true = np.zeros((2, 4, 4), int)
    true[0, :2], true[1, 0] = 1, 2
    found = true.copy()
    found[0, 1] = 0
    whole, slices = score_reference(found, true, (5.0, 1.0, 1.0))
    assert [(r.label, r.dice) for r in whole] == [(1, 2 / 3), (2, 1.0)]
    by_slice = {z: [(r.case, r.label) for r in rows] for z, rows in slices.items()}
    assert by_slice == {0: [("all z=0", 1)], 1: [("all z=1", 2)]}
    assert slices[0][0].hd95 == 1.0
    assert score_reference(found[0], true[0])[1] == {}
