from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_segdino.config import CacheSettings, PredictSettings
from napari_segdino.errors import InputError
from napari_segdino.marks import MAX_LABEL, apply_marks, confirmations, corrections
from napari_segdino.session.classes import BACKGROUND_MARK, why_not_trainable
from napari_segdino.session.session import Session, checksum
from napari_segdino.session.settings import Settings

masks = arrays(np.uint8, (4, 5), elements=st.integers(0, 3))
marks_ = arrays(np.uint8, (4, 5), elements=st.integers(0, 4))


def test_corrections_by_hand() -> None:
    wrote = np.array([[0, 0, 1], [1, 2, 2]], np.uint8)
    now = np.array([[0, 2, 1], [0, 2, 1]], np.uint8)
    marks = np.array([[1, 0, 0], [3, 0, 0]], np.uint8)
    # Painted 2 over 0, erased 1, painted 1 over 2; earlier marks stay elsewhere.
    expected = [[1, 3, 0], [1, 0, 2]]
    np.testing.assert_array_equal(corrections(wrote, now, marks), expected)


def test_erasing_says_background() -> None:
    marked = corrections(np.array([[3]]), np.array([[0]]), np.array([[0]]))
    assert marked[0, 0] == BACKGROUND_MARK


def test_confirmations_by_hand() -> None:
    mask = np.array([[1, 1, 0], [1, 0, 0]], np.uint8)
    brush = np.array([[1, 0, 1], [1, 0, 0]], bool)
    marks = np.array([[0, 0, 0], [1, 0, 3]], np.uint8)
    expected = [[2, 0, 0], [2, 0, 3]]
    np.testing.assert_array_equal(confirmations(mask, brush, 1, marks), expected)


def test_apply_marks_by_hand() -> None:
    prediction = np.array([[0, 1, 2, 1]], np.uint8)
    marks = np.array([[2, 0, 1, 3]], np.uint8)
    np.testing.assert_array_equal(apply_marks(prediction, marks), [[1, 1, 0, 2]])


@given(masks, masks, marks_)
def test_a_correction_always_wins_over_the_next_prediction(
    wrote: np.ndarray, now: np.ndarray, marks: np.ndarray
) -> None:
    marked = corrections(wrote, now, marks)
    changed = wrote != now
    for prediction in (wrote, np.zeros_like(wrote), np.full_like(wrote, 3)):
        np.testing.assert_array_equal(
            apply_marks(prediction, marked)[changed], now[changed]
        )
    np.testing.assert_array_equal(marked[~changed], marks[~changed])


@given(masks, marks_)
def test_nothing_changed_says_nothing(mask: np.ndarray, marks: np.ndarray) -> None:
    np.testing.assert_array_equal(corrections(mask, mask, marks), marks)


@given(masks, marks_)
def test_marks_decide_and_only_they(prediction: np.ndarray, marks: np.ndarray) -> None:
    shown = apply_marks(prediction, marks)
    marked = marks > 0
    np.testing.assert_array_equal(shown[marked], marks[marked] - 1)
    np.testing.assert_array_equal(shown[~marked], prediction[~marked])
    assert shown.dtype == prediction.dtype
    np.testing.assert_array_equal(apply_marks(shown, marks), shown)


@given(masks, st.tuples(st.integers(0, 3), st.integers(0, 4)), st.integers(1, 3))
def test_fingerprint_sees_one_pixel(
    mask: np.ndarray, at: tuple[int, int], step: int
) -> None:
    other = mask.copy()
    other[at] += step
    assert checksum(other) != checksum(mask)
    assert checksum(np.asfortranarray(mask)) == checksum(mask)


@pytest.mark.parametrize(
    ("codes", "word"),
    [
        ([], "Nothing is marked"),
        ([0], "Nothing is marked"),
        ([1], "Only background"),
        ([0, 2], "Only one class"),
    ],
)
def test_why_not_trainable(codes: list[int], word: str) -> None:
    assert word in str(why_not_trainable(codes))


@pytest.mark.parametrize("codes", [[1, 2], [2, 3], [0, 1, 4]])
def test_trainable(codes: list[int]) -> None:
    assert why_not_trainable(codes) is None


def test_one_class_is_enough_for_a_probe() -> None:
    assert why_not_trainable([3], "probe") is None
    assert "Only one class" in str(why_not_trainable([3], "segdino"))
    assert "Only background" in str(why_not_trainable([1], "probe"))


# -- session ---------------------------------------------------------------


@pytest.fixture
def session(fake_segmenter: Any) -> Session:
    return Session(fake_segmenter, Settings("one"))


def test_a_new_class_takes_the_lowest_free_label(session: Session) -> None:
    assert session.add_class("b").label == 2
    assert session.add_class("c").label == 3
    session.remove_class(2)
    assert [c.label for c in session.classes] == [1, 3]
    assert session.n_groups == 4
    assert session.add_class().label == 2
    assert [c.label for c in session.classes] == [1, 2, 3]


def test_one_class_stays(session: Session) -> None:
    with pytest.raises(InputError, match="One class has to stay"):
        session.remove_class(1)


def test_too_many_classes(session: Session) -> None:
    for _ in range(MAX_LABEL - 1):
        session.add_class()
    with pytest.raises(InputError, match="at most 254"):
        session.add_class()


def test_change_class_tells_once(session: Session) -> None:
    told: list[int] = []
    session.classes_changed.connect(lambda: told.append(1))
    session.change_class(1, name="polyp")
    session.change_class(1, name="polyp")
    session.change_class(1, name="")
    assert session.classes[0].name == "polyp"
    assert len(told) == 1


def test_a_candidate_takes_over_only_when_it_is_told_to(session: Session) -> None:
    first = session.segmenter
    session.note_learned("image", {0: 5})
    session.change(live=True)
    session.change(device="cpu")
    assert session.segmenter is first
    assert first.device == "cpu"
    assert session.learned == {"image": {0: 5}}
    new = session.candidate(encoder="two")
    assert session.segmenter is first and session.settings.encoder != "two"
    session.change(device="mps")
    session.switch(new, encoder="two")
    assert session.segmenter is new
    assert (new.encoder, new.device) == ("two", "mps")
    assert session.settings.encoder == "two"
    assert session.learned == {}, "all marks are learned anew"


def test_a_candidate_keeps_what_belongs_to_the_machine() -> None:
    session = Session(machine={"device": "cuda", "cache": CacheSettings(ram_bytes=7)})
    new = session.candidate(head="segdino")
    assert (new.head, new.device, new.cache.ram_bytes) == ("segdino", "cuda", 7)


def test_adopting_a_probe_brings_its_classes(session: Session) -> None:
    session.add_class("mine")
    probe = type(session.segmenter)("other")
    probe.means = np.zeros(5)
    session.note_learned("image", {0: 5})
    session.adopt(probe)
    assert session.segmenter is probe
    assert session.settings.encoder == "other"
    assert [c.label for c in session.classes] == [1, 2, 3, 4]
    assert session.classes[1].name == "mine"
    assert session.learned == {}


def test_forget(session: Session) -> None:
    first = session.segmenter
    session.forget()
    assert session.segmenter is not first
    assert not session.segmenter.is_fitted


def test_another_fusion_needs_no_new_probe(session: Session) -> None:
    first = session.segmenter
    session.note_learned("image", {0: 5})
    session.change(predicting=PredictSettings("mean"))
    assert session.segmenter is first
    assert first.predicting.fusion == "mean"
    assert session.candidate(head="segdino").predicting.fusion == "mean"
    assert session.learned == {"image": {0: 5}}
