"""Settings of the dock: what a probe is bound to, and what is kept of them."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from napari_segdino.config import INTENSITIES, FeatureSettings, PredictSettings
from napari_segdino.heads.registry import HEADS
from napari_segdino.segmenter import Segmenter
from napari_segdino.session.settings import Settings, made_for

shown = st.builds(
    FeatureSettings,
    sides=st.lists(st.integers(0, 2048), min_size=1, max_size=3).map(tuple),
    flips=st.booleans(),
    intensity=st.sampled_from(INTENSITIES),
)
predicting = st.builds(
    PredictSettings,
    fusion=st.sampled_from(["entropy", "mean"]),
    regularise=st.booleans(),
    z_sigma=st.floats(0, 10),
    z_unit=st.sampled_from(["slices", "mm"]),
)
settings = st.builds(
    Settings,
    head=st.sampled_from(sorted(HEADS)),
    features=st.none() | shown,
    predicting=predicting,
    live=st.booleans(),
)


@given(settings)
def test_settings_survive_json(wanted: Settings) -> None:
    saved = json.loads(json.dumps(asdict(wanted)))
    assert Settings().restored(saved) == wanted


def test_what_is_unknown_is_left_out() -> None:
    saved = {"head": "segdino", "device": "cuda", "beard": 3, "predicting": {"x": 1}}
    assert Settings(device="cpu").restored(saved) == Settings(
        device="cpu", head="segdino"
    )


@given(settings)
def test_an_estimator_takes_all_of_them(wanted: Settings) -> None:
    segmenter = Segmenter(**wanted.parameters())
    assert {n: segmenter.get_params()[n] for n in wanted.parameters()} == (
        wanted.parameters()
    )
    back = Settings().taking(segmenter)
    features = None if wanted.features == made_for(wanted.head) else wanted.features
    assert (back.head, back.features, back.predicting) == (
        wanted.head,
        features,
        wanted.predicting,
    )


def test_what_a_probe_is_bound_to() -> None:
    here = Settings("e")
    assert here.probe == Settings("e", live=True, device="cpu").probe
    assert here.probe == Settings("e", predicting=PredictSettings("mean")).probe
    assert here.probe != Settings("e", head="segdino").probe
    assert here.probe != Settings("e", features=FeatureSettings(flips=True)).probe
