"""The estimator on volumes cut in other ways."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter, marks_from_mask
from napari_segdino.batch import iter_predict_blocks
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import InputError
from napari_segdino.inference.predict import BlockResult, PlaneResult
from napari_segdino.probe_file import read_model, write_model
from napari_segdino.progress import drive

WAYS = [{"slices": "Y"}, {"slices": "ZYX", "neighbours": 0}, {"neighbours": 1}]


@pytest.fixture(autouse=True)
def encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


def scene():
    """A bright box in the dark, slices 2 mm apart, and its mask."""
    mask = np.zeros((20, 40, 48), np.uint8)
    mask[5:15, 10:30, 16:40] = 1
    noise = np.random.default_rng(0).integers(0, 30, mask.shape)
    return (noise + 150 * mask).astype(np.uint8), mask


def segmenter(tmp_path, predicting=None, **shown):
    cache = CacheSettings(1 << 28, 0, tmp_path)
    features = FeatureSettings(**shown)
    predicting = predicting or PredictSettings()
    return Segmenter("fake", features=features, predicting=predicting, cache=cache)


def strokes(mask):
    marks = np.zeros_like(mask)
    marks[10, 15:25, 20:36] = 2
    marks[10, 2:6, 4:44] = 1
    return marks


@pytest.mark.parametrize("way", WAYS)
def test_strokes_in_one_slice_segment_the_volume(tmp_path, way):
    image, mask = scene()
    seg = segmenter(tmp_path, **way).fit(image, strokes(mask), volume=True)
    found = seg.predict(image, volume=True, spacing=(2, 1, 1))
    assert found.shape == mask.shape
    assert (found == mask).mean() > 0.95
    maps = seg.predict_proba(image, volume=True, spacing=(2, 1, 1))
    assert maps.shape == (2, *mask.shape)
    np.testing.assert_allclose(maps.sum(0), 1, atol=1e-2)


@pytest.mark.parametrize("way", WAYS)
def test_a_saved_probe_goes_on_in_its_way(tmp_path, way):
    image, mask = scene()
    seg = segmenter(tmp_path, **way)
    seg.fit(image, marks_from_mask(mask), volume=True)
    again = Segmenter.load(seg.save(tmp_path / "p.segdino"))
    np.testing.assert_array_equal(
        again.predict(image, volume=True), seg.predict(image, volume=True)
    )


def test_marks_of_another_cut_count_and_can_be_taken_back(tmp_path):
    image, mask = scene()
    marks = strokes(mask)
    seg = segmenter(tmp_path, slices="Y").fit(image, marks, volume=True)
    kept = len(seg.samples_)
    assert kept > 1, "a stroke in one slice crosses many planes"
    marks[10, 15:22] = 0
    seg.partial_fit(image, marks, volume=True)
    assert len(seg.samples_) < kept


def test_each_image_of_a_list_is_cut_with_its_own_spacing(tmp_path):
    image, mask = scene()
    marks, steps = strokes(mask), [(4, 1, 1), None]
    one = segmenter(tmp_path, slices="Y").fit(
        image, marks, volume=True, spacing=steps[0]
    )
    two = segmenter(tmp_path, slices="Y").fit(image[::-1], marks[::-1], volume=True)
    assert not set(one.samples_) & set(two.samples_), "rows are stretched"
    images, marked = [image, image[::-1]], [marks, marks[::-1]]
    both = segmenter(tmp_path, slices="Y")
    both.fit(images, marked, volume=True, spacing=steps)
    assert set(both.samples_) == set(one.samples_) | set(two.samples_)
    with pytest.raises(InputError, match="2 images need as many spacings"):
        both.fit(images, marked, volume=True, spacing=[4.0])


def test_one_slice_of_three_views_is_read_as_it_lies(tmp_path, encoder):
    image, mask = scene()
    seg = segmenter(tmp_path, slices="ZYX").fit(image, strokes(mask), volume=True)
    before = encoder.planes_encoded
    steps = seg.iter_predict(image, volume=True, planes=[3])
    assert [s.index for s in steps if isinstance(s, PlaneResult)] == [3]
    assert encoder.planes_encoded - before <= 2, "one plane in two sizes"


def test_planes_come_in_the_order_asked_for(tmp_path):
    image, mask = scene()
    seg = segmenter(tmp_path, slices="X").fit(image, strokes(mask), volume=True)
    order = [7, 3, 12]
    steps = seg.iter_predict(image, volume=True, planes=order)
    results = [s for s in steps if isinstance(s, PlaneResult)]
    assert [s.index for s in results] == order
    assert results[0].labels.shape == mask.shape[1:]


def test_a_plane_is_seen_as_a_slice_between_equal_ones(tmp_path, encoder):
    from napari_segdino.features.cache import FeatureCache
    from napari_segdino.features.extract import Extractor, views_of
    from napari_segdino.features.intensity import Intensity

    image, _ = scene()
    views = views_of(FeatureSettings())[0]
    extractor, range_ = Extractor(encoder, (0, 1), FeatureCache(1 << 28)), (0.0,)
    scale = Intensity(range_, (255.0,))
    alone = extractor.grid(image[10][..., None], scale, views)
    with_neighbours = replace(extractor, neighbours=1)
    between = with_neighbours.grid(np.stack([image[10]] * 3, -1), scale, views)
    assert alone.key != between.key
    for name in ("local", "colour", "grey"):
        assert torch.equal(getattr(alone, name), getattr(between, name))
    for a, b in zip(alone.levels, between.levels, strict=True):
        assert torch.equal(a, b)
    others = with_neighbours.grid(np.moveaxis(image[9:12], 0, -1), scale, views)
    assert torch.equal(others.local, alone.local), "local features are its own"


def test_a_probe_of_an_earlier_version_sees_planes_alone(tmp_path):
    image, mask = scene()
    seg = segmenter(tmp_path, neighbours=0).fit(image, strokes(mask), volume=True)
    path = seg.save(tmp_path / "p.segdino")
    file = read_model(path)
    del file.meta["features"]["neighbours"]
    write_model(path, file)
    assert Segmenter.load(path).features == seg.features


def test_a_plane_may_have_a_probe_for_volumes(tmp_path):
    image, mask = scene()
    for way in WAYS:
        seg = segmenter(tmp_path, **way).fit(image, strokes(mask), volume=True)
        assert (seg.predict(image[10]) == mask[10]).mean() > 0.9


def test_neighbours_block_by_block(tmp_path):
    image, mask = scene()
    seg = segmenter(tmp_path, neighbours=1, tile=32, overlap=8)
    seg.fit(image, strokes(mask), volume=True)
    found = np.zeros_like(mask)
    for step in iter_predict_blocks(seg, image, volume=True):
        if isinstance(step, BlockResult):
            found[(step.index, *step.slices)] = step.labels
    np.testing.assert_array_equal(found, seg.predict(image, volume=True))


def test_what_needs_the_whole_volume_is_not_done_by_blocks(tmp_path):
    image, mask = scene()
    seg = segmenter(tmp_path, slices="ZYX").fit(image, strokes(mask), volume=True)
    with pytest.raises(InputError, match="whole volume"):
        drive(iter_predict_blocks(seg, image, volume=True))
