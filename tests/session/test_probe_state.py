"""What is kept of a probe, and how much it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino import Segmenter
from napari_segdino.compressed import Compressed
from napari_segdino.config import CacheSettings
from napari_segdino.session.probe_state import ProbeState, bytes_of, fitted_state


class Bare:
    """Has what a fit sets, and nothing else."""


def fitted(number: int, shared: Any = None) -> Any:
    one: Any = Bare()
    one.model_ = torch.full((1000,), float(number))
    one.samples_ = {"a": shared if shared is not None else torch.zeros(1)}
    one.n_classes_, one.classes_, one.encoder_key_ = 2, np.arange(2), "e"
    return one


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Segmenter:
    FakeEncoder().installed(monkeypatch)
    return Segmenter("fake", cache=CacheSettings(folder=tmp_path / "cache"))


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright square in noise, and three strokes."""
    image = np.random.default_rng(seed).integers(0, 40, (64, 64), np.uint8)
    image[16:32, 16:32] += 200
    marks = np.zeros_like(image)
    marks[20, 18:30], marks[4, 5:40], marks[56, 5:40] = 2, 1, 1
    return image, marks


def test_a_state_brings_a_real_probe_back(segmenter: Segmenter) -> None:
    empty = ProbeState(fitted_state(segmenter))
    image, marks = scene(0)
    first = ProbeState(fitted_state(segmenter.fit(image, marks)))
    probabilities = segmenter.predict_proba(image)
    segmenter.partial_fit(*scene(3))
    second = ProbeState(fitted_state(segmenter))
    assert len(segmenter.samples_) == 2

    first.restore(segmenter)
    np.testing.assert_array_equal(segmenter.predict_proba(image), probabilities)
    assert len(segmenter.samples_) == 1
    segmenter.samples_["new"] = None  # learning goes on; the state stays
    assert first.fitted["samples_"].keys() != segmenter.samples_.keys()
    second.restore(segmenter)
    assert len(segmenter.samples_) == 2
    empty.restore(segmenter)
    assert not segmenter.is_fitted


def test_the_parts_of_a_real_probe_are_counted(segmenter: Segmenter) -> None:
    state = ProbeState(fitted_state(segmenter.fit(*scene(0))))
    (kept,) = segmenter.samples_.values()
    parts = kept.context, kept.features, segmenter.model_.landmarks
    least = sum(part.nbytes for part in parts)
    assert least < state.nbytes < 20 * least


def test_shared_tensors_count_once() -> None:
    shared = torch.zeros(10_000)
    states = [ProbeState(fitted_state(fitted(n, shared))) for n in range(4)]
    assert 56_000 <= bytes_of(states) <= 56_100  # one shared, then four of 4 kB


@given(npst.arrays(st.sampled_from([np.uint8, np.uint16, np.int32]), (3, 7)))
def test_masks_come_back_as_they_were(mask: np.ndarray) -> None:
    for one in (mask, mask.T, mask[::2]):
        back = Compressed.of(one).array()
        assert back.dtype == one.dtype
        assert np.array_equal(back, one)
        back[0] = 1  # ours to write on


def test_a_state_tells_whether_a_segmenter_is_in_it() -> None:
    one = fitted(1)
    state = ProbeState(fitted_state(one))
    assert state.same_as(fitted_state(one))
    one.samples_["b"] = torch.zeros(1)
    assert not state.same_as(fitted_state(one))
    assert not state.same_as(fitted_state(fitted(1)))
    assert not state.same_as({})
