"""A loaded encoder joined with a head: what is shared and what is made anew."""

import numpy as np
import pytest
from fake_encoder import FakeEncoder, bright_square

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import InputError
from napari_segdino.heads.registry import make_head
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.pipeline import iter_make_pipeline
from napari_segdino.progress import drive


@pytest.fixture
def encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


@pytest.fixture
def pipeline(encoder, tmp_path):
    cache = CacheSettings(1 << 28, 0, tmp_path)
    how = "fake", "cpu", cache, make_head("probe"), None, PredictSettings(), 0
    return drive(iter_make_pipeline(*how))


def learned(pipeline):
    pixels, marks = bright_square(64)
    image, samples = as_planes(pixels), {}
    drive(pipeline.iter_learn(samples, [(image, marks)], [None], [None]))
    model = drive(pipeline.head.iter_fit(samples, 2, 0, "cpu"))
    return image, model, samples


def planes_of(steps):
    return [step for step in steps if isinstance(step, PlaneResult)]


def test_it_is_made_for_the_head_and_loads_the_encoder_once(pipeline, encoder):
    assert encoder.loaded == 1
    assert pipeline.extractor.levels == pipeline.head.levels(encoder.spec)
    assert pipeline.feature_settings == pipeline.head.default_features()


def test_what_it_learned_is_what_it_predicts(pipeline, encoder):
    image, model, samples = learned(pipeline)
    encoded = encoder.planes_encoded
    (plane,) = planes_of(pipeline.iter_score(image, model, samples, None, ""))
    expected = np.zeros((64, 64), np.uint8)
    expected[16:32, 16:32] = 1
    assert (plane.labels == expected).mean() > 0.97
    assert encoder.planes_encoded == encoded, "features come from the cache"


def test_other_settings_share_encoder_and_cache(pipeline):
    pipeline.unsupervised = "a mask"
    other = pipeline.with_settings(None, None, PredictSettings(regularise=False), 7)
    assert (other.seed, other.predicting.regularise) == (7, False)
    assert (pipeline.seed, pipeline.predicting.regularise) == (0, True)
    assert other.extractor is pipeline.extractor
    assert other.head is pipeline.head
    assert other.unsupervised == "a mask", "of the same features and head"


@pytest.mark.parametrize(
    ("head", "features"), [("mvr", None), (None, FeatureSettings((96,)))]
)
def test_a_first_mask_of_another_head_or_other_features_is_forgotten(
    pipeline, head, features
):
    pipeline.unsupervised = "a mask"
    made = make_head(head) if head else None
    other = pipeline.with_settings(made, features, pipeline.predicting, 0)
    assert other.unsupervised is None
    assert pipeline.unsupervised == "a mask"
    assert other.extractor.cache is pipeline.extractor.cache
    if head:
        assert other.extractor.levels == made.levels(pipeline.extractor.encoder.spec)
        assert other.feature_settings == made.default_features()


def test_a_scorer_that_keeps_nothing_leaves_the_cache_alone(pipeline, encoder):
    image, model, samples = learned(pipeline)
    pipeline.extractor.cache.clear()
    before = encoder.planes_encoded
    score = pipeline.scorer(image, model, samples, keep=False)
    score(image.read(0))
    score(image.read(0))
    twice = encoder.planes_encoded - before
    assert pipeline.extractor.cache.get(next(iter(samples))) is None
    kept = pipeline.scorer(image, model, samples)
    kept(image.read(0))
    kept(image.read(0))
    assert encoder.planes_encoded - before - twice == twice / 2


def test_probabilities_flow_and_are_smoothed_along_z_but_never_along_time(pipeline):
    stack = np.zeros((3, 8, 8), np.uint8)
    slices, frames = as_planes(stack, axes="ZYX"), as_planes(stack, axes="TYX")
    smooth = pipeline.with_settings(None, None, PredictSettings(z_sigma=1), 0)
    assert [smooth.smooths(image) for image in (slices, frames)] == [True, False]
    assert not pipeline.smooths(slices)
    score = pipeline.scorer(slices, None, {})
    assert [pipeline.flows(image, score) for image in (slices, frames)] == [True, False]
    plain = pipeline.with_settings(None, None, PredictSettings(regularise=False), 0)
    assert not plain.flows(slices, score)
    decoder = pipeline.scorer(slices, None, {}, head=make_head("segdino"))
    assert not pipeline.flows(slices, decoder)


@pytest.fixture
def segmenter(encoder, tmp_path):
    return Segmenter("fake", device="cpu", cache=CacheSettings(1 << 28, 0, tmp_path))


def test_groups_are_drawn_and_kept_for_the_first_strokes(segmenter):
    pixels, _ = bright_square(64)
    pipeline = drive(segmenter.iter_pipeline())
    assert not pipeline.unsupervised_fits(3)
    (plane,) = planes_of(segmenter.iter_cluster(pixels))
    assert plane.labels.max() == 1
    assert plane.labels[20:28, 20:28].mean() > 0.9
    assert plane.labels[40:].mean() < 0.1
    assert pipeline.unsupervised is not None
    assert pipeline.unsupervised_fits(3)
    assert not pipeline.unsupervised_fits(None)
    assert not pipeline.unsupervised_fits(5)


def test_the_group_of_a_click_is_its_class(segmenter):
    pixels, _ = bright_square(64)
    marks = np.zeros((64, 64), np.uint8)
    marks[23:26, 23:26] = 3
    (plane,) = planes_of(segmenter.iter_from_clicks(pixels, marks))
    assert set(np.unique(plane.labels)) == {0, 2}
    assert (plane.labels[20:28, 20:28] == 2).mean() > 0.9
    assert (plane.labels[40:] == 2).mean() < 0.1


@pytest.mark.parametrize("code", [0, 1])
def test_a_click_on_background_alone_is_refused(segmenter, code):
    marks = np.zeros((64, 64), np.uint8)
    marks[3:6, 3:6] = code
    with pytest.raises(InputError, match="No class is marked"):
        list(segmenter.iter_from_clicks(bright_square(64)[0], marks))
