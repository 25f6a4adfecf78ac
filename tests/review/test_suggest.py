import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino.errors import InputError
from napari_segdino.images.planes import as_planes
from napari_segdino.progress import drive
from napari_segdino.review.places import (
    Slice,
    by_gain,
    find_places,
    join,
    judge_slice,
    rank,
)
from napari_segdino.review.suggest import PlaneUncertainty, iter_suggest
from napari_segdino.session.uncertainty import iter_rank


def test_a_thick_region_wins_over_a_line_and_a_pixel():
    uncertainty = np.zeros((40, 50), np.float32)
    uncertainty[5, :] = 1
    uncertainty[20, 3] = 1
    uncertainty[25:36, 30:41] = 0.8
    (place,) = find_places(uncertainty, radius=4, plane=7)
    assert (place.plane, place.radius) == (7, 4)
    assert place.uncertainty == pytest.approx(0.8, abs=1e-4)
    assert 29 <= place.y <= 31 and 34 <= place.x <= 36


def test_places_keep_away_from_marks_and_each_other():
    uncertainty = np.zeros((40, 60), np.float32)
    uncertainty[10:21, 10:21] = 0.9
    uncertainty[10:21, 40:51] = 0.5
    marks = np.zeros(uncertainty.shape, np.uint8)
    marks[15, 15] = 2
    (far,) = find_places(uncertainty, marks, radius=8)
    assert far.x > 35
    both = find_places(uncertainty, count=2, radius=5)
    assert [p.x < 30 for p in both] == [True, False]
    assert both[0].uncertainty > both[1].uncertainty
    marks[:] = 1
    assert find_places(uncertainty, marks) == []
    assert find_places(np.zeros((9, 9))) == []


@given(
    npst.arrays(np.float32, (20, 24), elements=st.floats(0, 1, width=32)),
    npst.arrays(np.bool_, (20, 24), elements=st.booleans()),
)
def test_discs_of_places_never_touch_marks_or_overlap(uncertainty, marked):
    marked &= uncertainty > 0.9
    places = find_places(uncertainty, marked.astype(np.uint8), count=5, radius=3)
    assert [p.uncertainty for p in places] == sorted(
        (p.uncertainty for p in places), reverse=True
    )
    for i, p in enumerate(places):
        far = [np.hypot(y - p.y, x - p.x) for y, x in np.argwhere(marked)]
        assert min(far, default=99) > 3
        assert all(np.hypot(q.y - p.y, q.x - p.x) > 6 for q in places[:i])


def test_slices_by_hand():
    uncertainty = np.array([[1.0, 0.5], [0.0, 0.0]])
    marks = np.array([[1, 0], [0, 0]])
    one = judge_slice(uncertainty, marks, 3)
    assert (one.plane, one.marked) == (3, 0.25)
    assert one.uncertainty == pytest.approx(0.5 / 3)
    flat = np.full((20, 20), 0.2)
    done = np.ones((20, 20), int)
    ranking = rank([(0, flat, None), (1, 2 * flat, None), (2, 4 * flat, done)])
    assert [s.plane for s in ranking.slices] == [1, 0]
    assert ranking.uncertainty == pytest.approx(0.3)
    assert ranking.places[0].plane == 1
    apart = [rank([(i, f, None)]) for i, f in ((0, flat), (1, 2 * flat))]
    assert join(apart, 3).slices == ranking.slices
    assert join(apart, 3).places == ranking.places[:3]
    with pytest.raises(InputError):
        find_places(flat, np.zeros((3, 3)))


def test_slices_and_images_are_ranked_by_the_uncertainty_of_the_probe(segmenter, scene):
    image, mask, marks = scene()
    strange = np.where(mask > 0, 110, 2 * image).astype(np.uint8)
    volume = np.stack([image, strange, scene(seed=5)[0]])
    marked = np.stack([marks, 0 * marks, np.ones_like(marks)])
    segmenter.fit(volume[:1], marked[:1], axes="ZYX")
    seen = []
    ranking = drive(iter_suggest(segmenter, volume, marked, axes="ZYX"), seen.append)
    maps = {s.index: s.uncertainty for s in seen if isinstance(s, PlaneUncertainty)}
    assert sorted(maps) == [0, 1, 2]
    means = {0: maps[0][marks == 0].mean(), 1: maps[1].mean()}
    assert [s.plane for s in ranking.slices] == sorted(means, key=lambda i: -means[i])
    assert [s.uncertainty for s in ranking.slices] == pytest.approx(
        sorted(means.values(), reverse=True), rel=1e-4
    )
    assert ranking.places and {p.plane for p in ranking.places} <= {0, 1}
    pair = [("a", as_planes(image)), ("b", as_planes(strange))]
    ranked = drive(iter_rank(segmenter, pair))
    assert ranked == drive(iter_rank(segmenter, pair[::-1]))
    assert ranked[0][1] > ranked[1][1] > 0


def ordered(uncertainty, depth, marked=()):
    slices = [
        Slice(plane, u, 0.9 if plane in marked else 0.0)
        for plane, u in enumerate(uncertainty)
    ]
    return [s.plane for s in by_gain(slices, depth)]


def test_a_slice_counts_for_its_neighbours_too():
    alone_and_three = [0.4, 0, 0, 0.2, 0.3, 0.2]
    # 0.3 + 0.7 (0.2 + 0.2) + 0.7^4 0.4 = 0.68; 0.4 + 0.07 + 0.07 + 0.03 = 0.57
    assert ordered(alone_and_three, 6)[0] == 4
    assert ordered(alone_and_three, 1) == [0, 4, 3, 5, 1, 2]
    assert ordered([0.5, 0.1, 0.4, 0.3], 2) == [2, 3, 0, 1], "two volumes of two"
    assert ordered([0.4, 0, 0, 0, 0.3], 5, marked=[0])[0] == 4, "little of it is open"
    assert by_gain([], 7) == ()
