import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino.errors import InputError
from napari_segdino.review.change import compare, overlay

MASKS = npst.arrays(np.uint8, (4, 5), elements=st.integers(0, 3))


def test_changes_by_hand():
    before = np.array([[0, 0, 1, 1], [1, 1, 2, 2]])
    after = np.array([[0, 1, 1, 2], [1, 0, 2, 2]])
    background, one, two = compare(before, after)
    counts = [(c.before, c.after, c.gained, c.lost) for c in (background, one, two)]
    assert counts == [(2, 2, 1, 1), (4, 3, 1, 2), (2, 3, 1, 0)]
    shown = overlay(before, after)
    assert shown.tolist() == [[0, 1, 0, 3], [0, 2, 0, 0]]
    assert shown.dtype == np.uint8


def test_a_class_that_was_not_there():
    changes = compare(np.zeros(3, int), np.array([0, 2, 0]), n_classes=4)
    assert [c.label for c in changes] == [0, 1, 2, 3]
    assert [(c.before, c.gained) for c in changes[1:]] == [(0, 0), (0, 1), (0, 0)]


def test_many_classes_fit_the_overlay():
    shown = overlay(np.array([0, 200]), np.array([200, 0]))
    assert shown.tolist() == [399, 400]


@given(MASKS, MASKS)
def test_what_one_class_loses_another_gains(before, after):
    changes = compare(before, after)
    moved = int((before != after).sum())
    assert sum(c.gained for c in changes) == sum(c.lost for c in changes) == moved
    assert all(c.after - c.before == c.gained - c.lost for c in changes)
    shown = overlay(before, after)
    assert np.array_equal(shown > 0, before != after)
    for c in changes[1:]:
        assert (shown == 2 * c.label - 1).sum() == c.gained


def test_other_shapes_are_refused():
    for call in (compare, overlay):
        with pytest.raises(InputError):
            call(np.zeros((2, 3), int), np.zeros((3, 2), int))
