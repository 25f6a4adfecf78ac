"""Marks are label + 1; classes that are too high are refused, never cut to 8 bits."""

import dask.array
import numpy as np
import pytest
import zarr
from fake_encoder import FakeEncoder
from hypothesis import given
from hypothesis import strategies as st

from napari_segdino import Segmenter, marks_from_mask
from napari_segdino.config import CacheSettings
from napari_segdino.errors import InputError
from napari_segdino.marks import (
    MAX_LABEL,
    accepted,
    apply_marks,
    as_codes,
    confirmations,
    corrections,
    too_high,
)
from napari_segdino.progress import drive
from napari_segdino.session.classes import LabelClass
from napari_segdino.session.session import Session
from napari_segdino.study.labels import decide

labels = st.integers(-3, 1 << 33)


@given(labels, labels)
def test_no_correction_is_cut_to_fewer_bits(before, now):
    wrote, painted = np.array([[before, 7]]), np.array([[now, 7]])
    marks = np.array([[0, 3]], np.uint8)
    marked = corrections(wrote, painted, marks)
    assert marked.tolist() == [[0 if before == now else now + 1, 3]]
    brush = np.array([[True, False]])
    assert confirmations(painted, brush, now, marks).tolist() == [[now + 1, 3]]
    assert accepted(painted, marks).tolist() == [[now + 1, 3]]


@pytest.mark.parametrize("label", [1, 254, 255, 65535, 100_000])
def test_what_was_painted_is_shown_as_painted(label):
    marks = np.array([[label + 1, 0, 1]], np.int64)
    predicted = np.array([[1, 2, 1]], np.uint8)
    assert apply_marks(predicted, marks).tolist() == [[label, 2, 0]]


def test_marks_of_8_bits_stay_so():
    marks = np.zeros((1, 2), np.uint8)
    mask = np.array([[MAX_LABEL, 0]], np.int64)
    assert corrections(np.zeros_like(mask), mask, marks).dtype == np.uint8
    assert apply_marks(np.zeros((1, 2), np.uint8), marks).dtype == np.uint8


def test_the_highest_class_is_learned_from_as_it_is():
    assert as_codes(np.array([[0, 255]], np.int32)).tolist() == [[0, 255]]


@pytest.fixture
def segmenter(monkeypatch, tmp_path):
    FakeEncoder().installed(monkeypatch)
    return Segmenter("fake", cache=CacheSettings(1 << 26, 0, tmp_path))


@pytest.fixture
def image():
    image = np.full((48, 48), 20, np.uint8)
    image[12:30, 12:30] = 200
    return image


KINDS = {
    "numpy": lambda marks: marks,
    "list": lambda marks: marks.tolist(),
    "dask": lambda marks: dask.array.from_array(marks, chunks=20),
    "zarr": lambda marks: zarr.array(marks, chunks=(20, 20)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("code", "label"), [(256, 255), (65538, 65537), (99_999, 0)])
def test_classes_that_are_too_high_are_refused(segmenter, image, kind, code, label):
    marks = np.zeros(image.shape, np.uint32)
    marks[:4], marks[20:24, 20:24] = 1, code
    why = f"There is a class {label or code - 1}, and 254 is the highest"
    for learn in segmenter.fit, segmenter.partial_fit:
        with pytest.raises(InputError, match=why):
            learn(image, KINDS[kind](marks))
        assert not segmenter.is_fitted
    with pytest.raises(InputError, match=why):
        drive(segmenter.iter_from_clicks(image, KINDS[kind](marks)))


def test_what_was_learned_stays_when_more_is_refused(segmenter, image):
    mask = (image > 100).astype(np.uint8)
    segmenter.fit(image, mask + 1)
    before = segmenter.predict_proba(image)
    with pytest.raises(InputError, match="There is a class 255"):
        segmenter.partial_fit(image, marks_from_mask(mask * 255))
    np.testing.assert_array_equal(segmenter.predict_proba(image), before)
    assert segmenter.n_classes_ == 2


@pytest.mark.parametrize(
    ("value", "why"), [(-1, "There is a mark -1"), (-255, "There is a mark -255")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_negative_marks_are_refused(segmenter, image, kind, value, why):
    marks = np.ones(image.shape, np.int32)
    marks[20:24, 20:24] = value
    with pytest.raises(InputError, match=why):
        segmenter.fit(image, KINDS[kind](marks))


@pytest.mark.parametrize("value", [1.5, np.nan])
def test_fractions_are_refused(segmenter, image, value):
    marks = np.ones(image.shape)
    marks[3, 3] = value
    with pytest.raises(InputError, match="Marks are whole numbers"):
        segmenter.fit(image, marks)


def test_one_sentence_for_all():
    sentence = too_high(3000).partition(", or ")[0]
    with pytest.raises(InputError, match=sentence):
        LabelClass(3000, "Cell", "#ffffff")
    with pytest.raises(InputError, match=sentence):
        decide([(1, 3000)])
    with pytest.raises(InputError, match=sentence):
        as_codes(np.array([3001]))


def test_a_project_with_a_class_that_is_too_high_is_refused():
    session = Session()
    state = session.state()
    state["classes"].append({"label": 300, "name": "x", "color": "#000000"})
    with pytest.raises(InputError, match="There is a class 300"):
        session.restore(state)


def test_sparse_classes_stay_apart(segmenter, image):
    marks = np.zeros(image.shape, np.uint16)
    marks[:4], marks[20:24, 20:24] = 1, MAX_LABEL + 1
    found = segmenter.fit(image, marks).predict(image)
    assert set(np.unique(found)) == {0, MAX_LABEL}
