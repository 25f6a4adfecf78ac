import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino.compressed import Compressed
from napari_segdino.review.history import ProbeHistory, learned_of


class Bare:
    """Has what a segmenter learns, and nothing else."""


def learned(number, shared=None):
    one = Bare()
    one.model_ = torch.full((1000,), float(number))
    one.samples_ = {"a": shared if shared is not None else torch.zeros(1)}
    one.n_classes_, one.classes_, one.encoder_key_ = 2, np.arange(2), "e"
    return one


def test_back_and_forth_brings_probe_and_mask(segmenter, scene):
    image, _, marks = scene()
    history = ProbeHistory()
    history.record(segmenter, {"mask": np.zeros_like(marks)}, "start")
    segmenter.fit(image, marks)
    first = segmenter.predict(image)
    first_proba = segmenter.predict_proba(image)
    history.record(segmenter, {"mask": first}, "round 1")
    more = marks.copy()
    more[40:48, 40:56] = 2
    segmenter.partial_fit(image, more)
    second = segmenter.predict(image)
    assert not np.array_equal(first, second)
    history.record(segmenter, {"mask": second}, "round 2")

    assert np.array_equal(history.back(segmenter)["mask"], first)
    assert np.array_equal(segmenter.predict_proba(image), first_proba)
    assert not history.back(segmenter)["mask"].any()
    assert not segmenter.is_fitted
    assert history.back(segmenter) is None
    assert history.forth(segmenter) and history.can_go_forth
    assert np.array_equal(history.forth(segmenter)["mask"], second)
    assert np.array_equal(segmenter.predict(image), second)
    assert history.forth(segmenter) is None
    assert [s.note for s in history.states] == ["start", "round 1", "round 2"]


def test_learning_goes_on_from_the_restored_probe(segmenter, scene):
    image, _, marks = scene()
    history = ProbeHistory()
    history.record(segmenter.fit(image, marks))
    kept = set(segmenter.samples_)
    other, _, other_marks = scene(seed=3)
    history.record(segmenter.partial_fit(other, other_marks))
    assert len(segmenter.samples_) == 2
    history.back(segmenter)
    assert set(segmenter.samples_) == kept
    segmenter.samples_["new"] = None
    history.go(0, segmenter)
    assert set(segmenter.samples_) == kept


def test_a_new_state_drops_what_lay_ahead():
    history = ProbeHistory()
    for number in range(3):
        history.record(learned(number))
    one = learned(9)
    history.go(0, one)
    history.record(learned(7))
    assert [float(s.learned["model_"][0]) for s in history.states] == [0, 7]
    assert history.now == 1 and not history.can_go_forth
    with pytest.raises(IndexError):
        history.go(2, one)


def test_bounded_in_number():
    history = ProbeHistory(limit=3)
    for number in range(5):
        history.record(learned(number))
    assert [float(s.learned["model_"][0]) for s in history.states] == [2, 3, 4]
    assert history.now == 2


def test_bounded_in_bytes_counting_shared_tensors_once():
    shared = torch.zeros(10_000)
    history = ProbeHistory(max_bytes=56_100)  # one shared, then four of 4 kB
    for number in range(4):
        history.record(learned(number, shared))
    assert len(history.states) == 4
    assert 56_000 <= history.nbytes <= 56_100
    history.record(learned(4, shared))
    assert len(history.states) == 4
    tiny = ProbeHistory(max_bytes=1)
    tiny.record(learned(0))
    tiny.record(learned(1))
    assert [float(s.learned["model_"][0]) for s in tiny.states] == [1]


def test_the_parts_of_a_real_probe_are_counted(segmenter, scene):
    image, _, marks = scene()
    history = ProbeHistory()
    history.record(segmenter.fit(image, marks))
    (kept,) = segmenter.samples_.values()
    least = (
        kept.context.nbytes + kept.features.nbytes + segmenter.model_.landmarks.nbytes
    )
    assert least < history.nbytes < 20 * least


@given(npst.arrays(st.sampled_from([np.uint8, np.uint16, np.int32]), (3, 7)))
def test_masks_come_back_as_they_were(mask):
    for one in (mask, mask.T, mask[::2]):
        back = Compressed.of(one).array()
        assert back.dtype == one.dtype
        assert np.array_equal(back, one)
        back[0] = 1  # ours to write on


def test_masks_found_later_come_back_with_their_state():
    history, one = ProbeHistory(), learned(1)
    history.record(one)
    history.record(learned(2))
    history.add_masks(0, {"m": Compressed.of(np.ones((2, 2), np.uint8))})
    assert history.back(one)["m"].tolist() == [[1, 1], [1, 1]]
    assert float(one.model_[0]) == 1


def test_a_state_tells_whether_it_is_what_a_segmenter_knows():
    one = learned(1)
    state = ProbeHistory().record(learned_of(one), origin="here")
    assert state.origin == "here"
    assert state.knows(learned_of(one))
    one.samples_["b"] = torch.zeros(1)
    assert not state.knows(learned_of(one))
    assert not state.knows(learned_of(learned(1)))
    assert not state.knows({})


def test_states_around_the_shown_one_that_fit_a_budget():
    history = ProbeHistory()
    assert list(history.around(100)) == []
    for number in range(5):  # 4004 bytes each
        history.record(learned(number))
    history.go(3, learned(9))
    assert list(history.around(1)) == [3], "the one that is shown, whatever it takes"
    assert list(history.around(8_100)) == [2, 3]
    assert list(history.around(16_100)) == [0, 1, 2, 3], "earlier ones first"
    assert list(history.around(10**6)) == [0, 1, 2, 3, 4]
