"""Metrics on arrays small enough to work out by hand."""

import csv
import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_segdino import metrics as m
from napari_segdino.errors import InputError, ScanError
from napari_segdino.metrics.measures import (
    plane_distances,
    pooled_assd,
    pooled_hd95,
    same_shape,
)
from napari_segdino.metrics.scores import by_case


def square(shape, *corners):
    mask = np.zeros(shape, bool)
    for y0, y1, x0, x1 in corners:
        mask[y0:y1, x0:x1] = True
    return mask


def test_overlap_by_hand():
    a = square((4, 6), (0, 2, 0, 3))  # 6 pixels
    b = square((4, 6), (1, 3, 1, 3))  # 4 pixels, 2 of them in a
    assert m.dice(a, b) == pytest.approx(2 * 2 / 10)
    assert m.iou(a, b) == pytest.approx(2 / 8)


def test_distances_of_two_points_use_the_spacing_of_their_axis():
    a, b = np.zeros((5, 5), bool), np.zeros((5, 5), bool)
    a[0, 0] = b[3, 4] = True
    assert m.hd95(a, b) == pytest.approx(5)  # 3, 4, 5
    assert m.assd(a, b) == pytest.approx(5)
    assert m.hd95(a, b, spacing=(2, 0.5)) == pytest.approx(math.hypot(6, 2))


def test_distances_in_three_axes():
    a, b = np.zeros((3, 4, 5), bool), np.zeros((3, 4, 5), bool)
    a[0, 1, 1] = b[2, 1, 1] = True
    assert m.hd95(a, b, spacing=(2.5, 1, 1)) == pytest.approx(5)


def test_distances_of_shifted_bars_by_hand():
    a = square((6, 4), (0, 1, 0, 4))
    b = square((6, 4), (2, 3, 0, 4))
    a[5, 0] = True  # 5 away from row 0, 3 away from row 2
    ways = m.surface_distances(a, b)
    assert sorted(ways[0].tolist()) == [2, 2, 2, 2, 3]
    assert sorted(ways[1].tolist()) == [2, 2, 2, 2]
    assert m.assd(a, b) == pytest.approx((4 * 2 + 3 + 4 * 2) / 9)
    assert m.hd95(a, b) == pytest.approx(np.percentile([2, 2, 2, 2, 3], 95))


def test_hd95_is_the_larger_direction():
    a = square((1, 30), (0, 1, 0, 1))
    b = square((1, 30), (0, 1, 0, 21))
    b[0, 1:20] = False  # pixels 0 and 20: from b 0 and 20, from a 0
    assert m.hd95(a, b) == pytest.approx(np.percentile([0, 20], 95))
    assert m.hd95(b, a) == pytest.approx(m.hd95(a, b))


def test_only_the_surface_counts():
    disc = square((9, 9), (1, 8, 1, 8))
    ring = disc.copy()
    ring[4, 4] = False  # a hole is a new surface, in the ring only
    from_disc, from_ring = m.surface_distances(disc, ring)
    assert len(from_disc) == 24
    assert len(from_ring) == 24 + 4
    assert from_disc.max() == 0
    assert from_ring.max() == pytest.approx(2)


def test_empty_masks():
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert (m.dice(empty, empty), m.iou(empty, empty)) == (1, 1)
    assert (m.hd95(empty, empty), m.assd(empty, empty)) == (0, 0)
    for a, b in ((empty, full), (full, empty)):
        assert (m.dice(a, b), m.iou(a, b)) == (0, 0)
        assert math.isinf(m.hd95(a, b))
        assert math.isinf(m.assd(a, b))


@pytest.mark.parametrize("measure", [m.dice, m.iou, m.hd95, m.assd])
def test_shapes_must_agree(measure):
    with pytest.raises(InputError, match="cannot be compared"):
        measure(np.zeros((2, 3)), np.zeros((3, 2)))


@pytest.mark.parametrize("spacing", [(1,), (1, 1, 1), (0, 1), (-1, 1), (np.nan, 1)])
def test_spacing_must_fit(spacing):
    with pytest.raises(InputError, match="does not fit"):
        m.hd95(np.ones((2, 2)), np.ones((2, 2)), spacing=spacing)


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))


@settings(max_examples=60, deadline=None)
@given(masks, st.data())
def test_symmetry_range_and_identity(a, data):
    b = data.draw(hnp.arrays(bool, a.shape))
    for measure in (m.dice, m.iou, m.hd95, m.assd):
        assert measure(a, b) == pytest.approx(measure(b, a))
    assert 0 <= m.iou(a, b) <= m.dice(a, b) <= 1
    assert m.dice(a, b) == pytest.approx(2 * m.iou(a, b) / (1 + m.iou(a, b)))
    assert (m.dice(a, a), m.hd95(a, a)) == (1, 0)
    assert (m.hd95(a, b) == 0 and m.assd(a, b) == 0) or not np.array_equal(a, b)


@settings(max_examples=40, deadline=None)
@given(masks, st.data())
def test_distances_agree_with_a_plain_double_loop(a, data):
    b = data.draw(hnp.arrays(bool, a.shape))
    spacing = data.draw(st.tuples(*[st.floats(0.1, 5)] * a.ndim))
    if not (a.any() and b.any()):
        return
    points = [np.argwhere(edge(x)) * spacing for x in (a, b)]
    gaps = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    wanted = max(
        np.percentile(gaps.min(axis=1), 95), np.percentile(gaps.min(axis=0), 95)
    )
    assert m.hd95(a, b, spacing) == pytest.approx(wanted, rel=1e-5)


def edge(mask):
    """Surface, pixel by pixel: a neighbour along an axis is off, or outside."""
    out = np.zeros_like(mask)
    for at in np.argwhere(mask):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                near = at.copy()
                near[axis] += step
                inside = 0 <= near[axis] < mask.shape[axis]
                if not inside or not mask[tuple(near)]:
                    out[tuple(at)] = True
    return out


def test_score_case_lists_every_class_of_either_mask():
    predicted = np.array([[0, 1, 1, 0], [0, 1, 1, 3]])
    true = np.array([[0, 1, 1, 2], [0, 0, 0, 0]])
    rows = m.score_case(predicted, true, case="x")
    assert [row.label for row in rows] == [1, 2, 3]
    assert rows[0].dice == pytest.approx(2 * 2 / 6)
    assert (rows[0].predicted, rows[0].true, rows[0].case) == (4, 2, "x")
    assert [row.dice for row in rows[1:]] == [0, 0]
    assert all(math.isinf(row.hd95) for row in rows[1:])


def test_score_case_scores_absent_classes_that_were_asked_for():
    (row,) = m.score_case(np.zeros((2, 2), int), np.zeros((2, 2), int), classes=[4])
    assert (row.label, row.dice, row.hd95) == (4, 1, 0)


def rows_of(*dices, label=1, hd=2.0):
    return [m.Row(f"c{i}", label, d, d / 2, hd, 1.0, 1, 1) for i, d in enumerate(dices)]


def test_summary_by_hand():
    table = m.summarise(rows_of(0.6, 0.8, 1.0))
    one = table[0]
    assert (one.label, one.measure, one.cases) == (1, "dice", 3)
    assert one.mean == pytest.approx(0.8)
    assert one.sd == pytest.approx(0.2)
    assert 0.6 <= one.low < 0.8 < one.high <= 1.0
    assert m.summarise(rows_of(0.6, 0.8, 1.0)) == table  # seeded
    assert "0.8000" in str(table)


def test_summary_over_classes_is_by_case():
    rows = rows_of(1.0, 0.0, label=1) + rows_of(0.5, 0.5, label=2)
    overall = [one for one in m.summarise(rows) if one.label == 0]
    assert [one.measure for one in overall] == list(m.MEASURES)
    assert overall[0].cases == 2
    assert overall[0].mean == pytest.approx(0.5)
    assert overall[0].sd == pytest.approx(np.std([0.75, 0.25], ddof=1))


def test_infinite_distances_are_counted_apart():
    rows = [*rows_of(0.5, hd=3.0), *rows_of(0.0, hd=math.inf)]
    hd = next(one for one in m.summarise(rows) if one.measure == "hd95")
    assert (hd.mean, hd.infinite, hd.cases) == (3.0, 1, 2)
    assert "1 infinite" in str(m.summarise(rows))


def test_bootstrap_interval_narrows_and_covers():
    values = np.random.default_rng(3).normal(10, 2, 400)
    low, high = m.bootstrap_mean(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert high - low == pytest.approx(2 * half, rel=0.1)
    assert all(map(math.isnan, m.bootstrap_mean([])))


def test_csv_holds_every_field(tmp_path):
    path = m.to_csv(tmp_path / "a.csv", rows_of(0.25, 0.5))
    with open(path, encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["dice"]) for row in read] == [0.25, 0.5]
    assert list(read[0]) == [f.name for f in fields(m.Row)]
    m.to_csv(path, m.summarise(rows_of(0.25, 0.5)))
    assert path.read_text().startswith("label,measure,mean,sd,low,high,cases")


def test_csv_into_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(
        ScanError, match=r"a\.csv cannot be written: there is no such folder"
    ):
        m.to_csv(tmp_path / "none" / "a.csv", rows_of(1.0))


def test_distances_within_planes_never_cross_them():
    a, b = np.zeros((3, 1, 9), bool), np.zeros((3, 1, 9), bool)
    a[0, 0, 0] = b[0, 0, 4] = True  # 4 apart, 2 mm each
    a[1, 0, 0] = b[1, 0, 0] = True  # the same pixel
    a[2, 0, 0] = True  # in one mask only: b[1] is next to it, in another plane
    ways = plane_distances(a, b, (1, 2))
    assert [way.tolist() for way in ways] == [[8, 0, np.inf], [8, 0, np.inf]]
    assert [way.tolist() for way in plane_distances(a[:2], b[:2])] == [[4, 0], [4, 0]]
    assert [len(way) for way in plane_distances(a[:0], b[:0])] == [0, 0]


def test_pooled_distances_by_hand():
    near, far = np.array([0.0, 1.0, 1.0]), np.array([2.0])
    assert pooled_assd(near, far) == 1
    assert pooled_hd95(near, far) == 2
    assert pooled_assd(far[:0], far[:0]) == pooled_hd95(far[:0], far[:0]) == 0
    # One of twenty-one is above the 95th percentile, one of ten is not.
    assert pooled_hd95(np.array([1.0] * 20 + [np.inf]), far[:0]) == 1
    assert pooled_hd95(np.array([1.0] * 9 + [np.inf]), far[:0]) == np.inf


def test_masks_are_compared_as_arrays_of_one_shape():
    first, second = same_shape([[1, 0]], [[0, 2]])
    assert first.tolist() == [[1, 0]]
    assert second.tolist() == [[0, 2]]
    with pytest.raises(InputError, match=r"\(2,\) and \(1, 2\)"):
        same_shape([1, 0], [[1, 0]])


def test_scores_by_case_keep_their_order_and_infinity():
    rows = rows_of(0.4, 0.8) + rows_of(0.6, label=2, hd=math.inf)
    assert by_case(rows) == {"c0": 0.5, "c1": 0.8}
    assert by_case(rows, "hd95") == {"c0": math.inf, "c1": 2.0}
    assert list(by_case(rows[::-1])) == ["c0", "c1"]
    assert by_case([]) == {}


def test_a_single_case_has_an_interval_of_no_width():
    assert m.bootstrap_mean([0.7]) == (0.7, 0.7)
    one = m.summarise(rows_of(0.7))[0]
    assert (one.mean, one.low, one.high) == (0.7, 0.7, 0.7)
    assert math.isnan(one.sd)
