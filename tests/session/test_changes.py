import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino.errors import InputError
from napari_segdino.session.changes import count_changes, overlay

MASKS = npst.arrays(np.uint8, (4, 5), elements=st.integers(0, 3))


def test_changes_by_hand():
    before = np.array([[0, 0, 1, 1], [1, 1, 2, 2]])
    after = np.array([[0, 1, 1, 2], [1, 0, 2, 2]])
    gained, lost = count_changes(before, after)
    assert gained.tolist() == [1, 1, 1]
    assert lost.tolist() == [1, 2, 0]
    shown = overlay(before, after)
    assert shown.tolist() == [[0, 1, 0, 3], [0, 2, 0, 0]]
    assert shown.dtype == np.uint8


def test_a_class_that_was_not_there():
    gained, lost = count_changes(np.zeros(3, int), np.array([0, 2, 0]))
    assert (gained.tolist(), lost.tolist()) == ([0, 0, 1], [1, 0, 0])


def test_many_classes_fit_the_overlay():
    shown = overlay(np.array([0, 200]), np.array([200, 0]))
    assert shown.tolist() == [399, 400]


@given(MASKS, MASKS)
def test_what_one_class_loses_another_gains(before, after):
    gained, lost = count_changes(before, after)
    assert gained.sum() == lost.sum() == (before != after).sum()
    size = len(gained)
    grown = np.bincount(after.ravel(), minlength=size).astype(int)
    grown -= np.bincount(before.ravel(), minlength=size)
    assert np.array_equal(grown, gained - lost)
    shown = overlay(before, after)
    assert np.array_equal(shown > 0, before != after)
    for label in range(1, size):
        assert (shown == 2 * label - 1).sum() == gained[label]


def test_other_shapes_are_refused():
    for call in (count_changes, overlay):
        with pytest.raises(InputError):
            call(np.zeros((2, 3), int), np.zeros((3, 2), int))
