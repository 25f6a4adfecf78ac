"""The memory of marked planes, reckoned ahead, against what is then kept."""

import numpy as np
import pytest
from fake_encoder import SPEC, FakeEncoder

from napari_segdino.config import GIB, FeatureSettings
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.extract import Extractor
from napari_segdino.heads.collect import iter_collect, sample_bytes
from napari_segdino.heads.registry import make_head
from napari_segdino.images.planes import as_planes
from napari_segdino.progress import drive


@pytest.mark.parametrize("shape", [(64, 96), (70, 50, 3), (64, 64, 5)])
@pytest.mark.parametrize(
    "feature_settings",
    [
        FeatureSettings((0,), (1.0,)),
        FeatureSettings((64, 128), (0.5, 1.0), flips=True, tile=48, overlap=8),
    ],
)
def test_it_is_what_is_kept(tmp_path, shape, feature_settings):
    head = make_head("segdino")
    image = as_planes(np.random.default_rng(0).random(shape).astype("f4"), volume=False)
    extractor = Extractor(FakeEncoder(), (0, 1), FeatureCache(GIB, 0, tmp_path))
    head.levels = lambda spec: (0, 1)
    marks = np.zeros(shape[:2], np.uint8)
    marks[3, 4] = 1
    samples = {}
    drive(
        iter_collect(samples, head, extractor, image, marks, None, feature_settings, 0)
    )
    held = sum(level.nbytes for kept in samples.values() for level in kept.levels)
    channels = shape[2] if len(shape) > 2 else 1
    assert sample_bytes(head, SPEC, feature_settings, marks, channels) == held


def test_copies_of_whole_masks_count():
    head = make_head("segdino_v2")
    head.levels = lambda spec: (0,)
    feature_settings = FeatureSettings((64,), (1.0,))
    marks = np.ones((64, 64), np.uint8)
    # One channel level of 3 x 16 x 16 float16; the image and eight copies.
    assert sample_bytes(head, SPEC, feature_settings, marks, 1) == 9 * 3 * 16 * 16 * 2


@pytest.mark.parametrize("name", ["probe", "mvr"])
def test_pixels_of_whole_masks_count(tmp_path, name):
    head = make_head(name)
    head.levels = lambda spec: (0, 1)
    image = as_planes(np.random.default_rng(0).random((40, 48)).astype("f4"))
    extractor = Extractor(FakeEncoder(), (0, 1), FeatureCache(GIB, 0, tmp_path))
    marks = np.ones((40, 48), np.uint8)
    marks[:2] = 2
    samples, shown = {}, FeatureSettings((64,), (1.0,))
    drive(iter_collect(samples, head, extractor, image, marks, None, shown, 0))
    (kept,) = samples.values()
    rows = len(kept.features) + len(kept.context)
    # Levels alone: beside those of an encoder local features are few.
    assert sample_bytes(head, SPEC, shown, marks, 1) == rows * 2 * 3 * 2
