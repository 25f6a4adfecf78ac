import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import dask.array
import numpy as np
import pytest
import zarr
from fake_encoder import FakeEncoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.ndimage import gaussian_filter1d
from sklearn.base import clone

from napari_segdino import Segmenter, marks_from_mask
from napari_segdino.batch.blocks import iter_predict_blocks
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import (
    ChannelsError,
    InputError,
    ModelFileError,
    NotFittedError,
)
from napari_segdino.features.local import COLOUR_FEATURES
from napari_segdino.heads.dense.recipes import AUGMENTED_COPIES
from napari_segdino.heads.probe.samples import UNSUPERVISED
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.probe_file import ModelFile, read_model, write_model
from napari_segdino.progress import drive


@pytest.fixture
def encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


PASSES = len(FeatureSettings().factors)
"""How often the encoder runs for one tile."""


@pytest.fixture
def segmenter(encoder, tmp_path):
    return Segmenter("fake", cache=CacheSettings(folder=tmp_path / "cache"))


def square(side=96, low=40, high=200):
    """A bright square in a noisy dark plane, its mask, and two strokes."""
    image = np.random.default_rng(0).integers(0, low, (side, side), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : side // 2, side // 4 : side // 2] = 1
    image[mask > 0] += high
    marks = np.zeros_like(mask)
    marks[side // 3, side // 3 : side // 3 + 5] = 2
    marks[side - 8, 5:60] = 1
    return image, mask, marks


def agreement(a, b):
    return float((np.asarray(a) == b).mean())


def test_two_strokes_find_the_square(segmenter):
    image, mask, marks = square()
    found = segmenter.fit(image, marks).predict(image)
    assert found.dtype == np.uint8
    assert agreement(found, mask) > 0.99
    assert segmenter.classes_.tolist() == [0, 1]


def test_probabilities_sum_to_one_and_agree_with_the_labels(segmenter):
    image, _, marks = square()
    segmenter.fit(image, marks)
    probabilities = segmenter.predict_proba(image)
    assert probabilities.shape == (2, *image.shape)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(0), 1, atol=1e-5)
    assert np.array_equal(probabilities.argmax(0), segmenter.predict(image))


@pytest.mark.parametrize(
    "make",
    [
        lambda g: g,
        lambda g: np.stack([g] * 3, -1),
        lambda g: np.stack([g] * 3 + [np.full_like(g, 255)], -1),
        lambda g: np.stack([g.astype(np.uint16)] * 5, -1),
        lambda g: g.astype(np.float64) * 1e6 - 3e5,
        lambda g: g.astype(np.int32) - 1000,
    ],
    ids=["grey", "rgb", "rgba", "five channels", "floats", "signed"],
)
def test_kinds_of_planes(segmenter, make):
    image, mask, marks = square()
    image = make(image)
    assert agreement(segmenter.fit(image, marks).predict(image), mask) > 0.99


@pytest.mark.parametrize("wrap", [np.asarray, dask.array.from_array, zarr.array])
@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_stacks_learn_from_one_plane(segmenter, wrap, axes):
    image, mask, marks = square()
    volume = np.stack([image, image[::-1], image.T])
    stack_marks = np.zeros(volume.shape, np.uint8)
    stack_marks[0] = marks
    segmenter.fit(wrap(volume), wrap(stack_marks), axes=axes)
    found = segmenter.predict(wrap(volume), axes=axes)
    assert agreement(found, np.stack([mask, mask[::-1], mask.T])) > 0.98


def test_colour_volumes_and_four_axes(segmenter):
    image, mask, marks = square()
    colour = np.stack([image] * 3, -1)[None]
    found = segmenter.fit(colour, marks[None]).predict(colour)
    assert found.shape == (1, *mask.shape)
    grey = np.stack([image, image])[None]
    segmenter.fit(grey, np.stack([marks, marks])[None], axes="TZYX")
    found = segmenter.predict(grey, axes="TZYX")
    assert found.shape == (1, 2, *mask.shape)
    assert agreement(found[0, 1], mask) > 0.98


def test_several_classes(segmenter):
    image, mask, marks = square()
    image[70:90, 60:90] = 120
    marks[80, 70:76] = 3
    found = segmenter.fit(image, marks).predict(image)
    assert set(np.unique(found)) == {0, 1, 2}
    assert found[85, 85] == 2
    assert found[30, 30] == 1


def test_a_class_without_marks_is_never_predicted(segmenter):
    image, _, marks = square()
    marks[marks == 2] = 4
    found = segmenter.fit(image, marks).predict(image)
    assert set(np.unique(found)) == {0, 3}
    assert not segmenter.predict_proba(image)[1:3].any()


def test_same_seed_same_mask(segmenter):
    image, mask, _ = square()
    marks = marks_from_mask(mask)
    first = clone(segmenter).fit(image, marks).predict_proba(image)
    again = clone(segmenter).fit(image, marks).predict_proba(image)
    assert np.array_equal(first, again)


def scribbled(count):
    """The square, and so many strokes: on it and beside it in turn."""
    image, _, marks = square()
    marks[:] = 0
    for number in range(count):
        y = 26 + 3 * number
        marks[y, (30 if number % 2 else 60) : (34 if number % 2 else 64)] = (
            2 if number % 2 else 1
        )
    return image, marks


def test_a_stroke_more_corrects_the_mask_that_was_there(segmenter):
    image, marks = scribbled(5)
    fresh = clone(segmenter).fit(image, marks).predict_proba(image)
    segmenter.fit(image, scribbled(4)[1])
    corrected = segmenter.fit(image, marks).predict_proba(image)
    assert not np.allclose(corrected, fresh, atol=1e-3)
    again = segmenter.fit(image, marks).predict_proba(image)
    assert np.array_equal(again, corrected)


VIEWS_OF = FeatureSettings(sides=(0, 128), flips=True)
TILES_OF = FeatureSettings(tile=64, overlap=32)


@pytest.mark.parametrize("features", [VIEWS_OF, TILES_OF])
@pytest.mark.parametrize("strokes", [2, 5])
def test_strokes_are_counted_as_they_were_painted(segmenter, features, strokes):
    image, marks = scribbled(strokes)
    other = clone(segmenter).set_params(features=features)
    for one in (segmenter, other):
        drive(one.iter_cluster(image))
        one.partial_fit(image, marks)
    assert len(other.samples_) > len(segmenter.samples_)
    assert segmenter.model_.strokes == other.model_.strokes == strokes
    assert segmenter.model_.temperature == other.model_.temperature
    weight = [
        float(
            sum(
                kept.weights.sum()
                for k, kept in one.samples_.items()
                if k != UNSUPERVISED
            )
        )
        for one in (segmenter, other)
    ]
    assert weight == pytest.approx([strokes, strokes], rel=1e-5)


@pytest.mark.parametrize("slices", ["Z", "ZYX"])
def test_a_volume_cut_across_all_axes_has_no_more_strokes(segmenter, slices):
    image, marks = scribbled(3)
    volume = np.stack([image] * 20) + np.arange(20, dtype=np.uint8)[:, None, None]
    marked = np.zeros(volume.shape, np.uint8)
    marked[4], marked[9] = marks, scribbled(2)[1]
    segmenter.set_params(features=FeatureSettings(slices=slices))
    segmenter.fit(volume, marked, volume=True)
    assert segmenter.model_.strokes == 5
    total = float(sum(kept.weights.sum() for kept in segmenter.samples_.values()))
    assert total == pytest.approx(5, rel=1e-5)


@pytest.mark.parametrize("features", [VIEWS_OF, TILES_OF])
def test_one_whole_mask_is_one_mask(segmenter, features):
    image, mask, _ = square()
    segmenter.set_params(features=features).fit(image, marks_from_mask(mask))
    assert len(segmenter.samples_) >= 4
    assert segmenter.model_.strokes == 1


def test_groups_are_no_strokes(segmenter):
    image, marks = scribbled(4)
    drive(segmenter.iter_cluster(image))
    assert segmenter.partial_fit(image, marks).model_.strokes == 4


def test_a_loaded_probe_goes_on_from_the_same_mask(segmenter, tmp_path):
    image, marks = scribbled(5)
    segmenter.fit(image, scribbled(4)[1]).partial_fit(image, marks)
    saved = Segmenter.load(segmenter.save(tmp_path / "p.segdino"))
    for one in (segmenter, saved):
        one.partial_fit(image, marks)  # nothing new was marked
    assert saved.model_.previous.strokes == 4
    assert np.array_equal(saved.predict_proba(image), segmenter.predict_proba(image))


def test_a_stroke_that_grows_corrects_the_mask_from_before_it(segmenter):
    image, marks = scribbled(5)
    other = clone(segmenter)
    segmenter.fit(image, scribbled(4)[1])
    begun = marks.copy()
    begun[38, 62:] = 0
    segmenter.partial_fit(image, begun)
    grown = segmenter.partial_fit(image, marks).predict_proba(image)
    other.fit(image, scribbled(4)[1])
    at_once = other.partial_fit(image, marks).predict_proba(image)
    assert np.array_equal(grown, at_once)


def test_fit_on_other_marks_forgets(segmenter):
    image, marks = scribbled(5)
    wanted = clone(segmenter).fit(image, marks).predict_proba(image)
    segmenter.fit(image, 3 - scribbled(4)[1] * (scribbled(4)[1] > 0))
    erased = scribbled(4)[1]
    erased[80:, :] = 1
    segmenter.fit(image, erased)
    assert np.array_equal(segmenter.fit(image, marks).predict_proba(image), wanted)


def test_a_refit_never_runs_the_encoder(segmenter, encoder):
    image, _, marks = square()
    segmenter.fit(image, marks).predict(image)
    assert encoder.planes_encoded == PASSES
    marks[0, :5] = 1
    segmenter.fit(image, marks).predict(image)
    segmenter.partial_fit(image, marks).predict(image)
    assert encoder.planes_encoded == PASSES


def test_only_marked_planes_are_encoded_to_fit(segmenter, encoder):
    image, _, marks = square()
    volume = np.stack([np.roll(image, i) for i in range(4)])
    stack_marks = np.zeros(volume.shape, np.uint8)
    stack_marks[2] = marks
    segmenter.fit(volume, stack_marks, volume=True)
    assert encoder.planes_encoded == PASSES


def test_features_come_from_disk_when_memory_is_short(encoder, tmp_path):
    segmenter = Segmenter("fake", cache=CacheSettings(0, 1 << 30, tmp_path))
    image, _, marks = square()
    segmenter.fit(image, marks).predict(image)
    assert encoder.planes_encoded == PASSES


def test_an_unmarked_plane_of_the_same_pixels_takes_no_marks_away(segmenter):
    image, mask, marks = square()
    volume = np.stack([image, image])
    marked = np.stack([marks, np.zeros_like(marks)])
    found = segmenter.fit(volume, marked, volume=True).predict(image)
    assert agreement(found, mask) > 0.99


def test_a_probe_of_several_views_is_saved(segmenter, tmp_path):
    image, _, marks = square()
    segmenter.set_params(features=FeatureSettings(flips=True)).fit(image, marks)
    loaded = Segmenter.load(segmenter.save(tmp_path / "a.segdino"))
    assert np.array_equal(loaded.predict(image), segmenter.predict(image))


def test_lists_of_images(segmenter):
    image, mask, marks = square()
    nothing = np.zeros_like(marks)
    segmenter.fit([image, image[::-1].copy()], [marks, nothing])
    assert agreement(segmenter.predict(image), mask) > 0.99
    with pytest.raises(InputError, match="as many marks"):
        segmenter.fit([image, image], [marks])


def test_partial_fit_counts_earlier_marks(segmenter):
    image, mask, marks = square()
    other = np.full_like(image, 90)
    other[:48] = 250
    other_marks = np.zeros_like(marks)
    other_marks[60, 10:80] = 3
    segmenter.fit(image, marks).partial_fit(other, other_marks)
    assert segmenter.n_classes_ == 3
    assert agreement(segmenter.predict(image) == 1, mask) > 0.97


def test_marks_of_a_plane_replace_its_earlier_ones(segmenter):
    image, _, marks = square()
    segmenter.fit(image, marks)
    one = segmenter.predict_proba(image)
    more = marks.copy()
    more[40:44, 40:44] = 1
    segmenter.partial_fit(image, more)
    assert not np.array_equal(segmenter.predict_proba(image), one)
    segmenter.partial_fit(image, marks)
    assert np.array_equal(segmenter.predict_proba(image), one)


def test_erased_marks_are_forgotten(segmenter):
    image, _, marks = square()
    other = image[::-1].copy()
    segmenter.fit([image, other], [marks, marks[::-1]])
    segmenter.partial_fit(other, np.zeros_like(marks))
    alone = clone(segmenter).fit(image, marks)
    assert np.array_equal(segmenter.predict_proba(image), alone.predict_proba(image))


def test_saved_and_loaded_is_the_same_and_goes_on(segmenter, tmp_path):
    image, mask, marks = square()
    segmenter.fit(image, marks)
    segmenter.class_info_ = [{"label": 1, "name": "polyp"}]
    path = segmenter.save(tmp_path / "a.segdino")
    loaded = Segmenter.load(path)
    assert loaded.class_info_ == segmenter.class_info_
    expected = segmenter.predict_proba(image)
    assert np.array_equal(loaded.predict_proba(image), expected)
    again = read_model(loaded.save(tmp_path / "b.segdino"))
    assert again.meta == read_model(path).meta
    other, other_marks = image[::-1].copy(), np.zeros_like(marks)
    other_marks[5, 5:50] = 1
    loaded.partial_fit(other, other_marks)
    assert agreement(loaded.predict(image), mask) > 0.99


def test_a_probe_of_another_encoder_is_refused(segmenter, encoder, tmp_path):
    image, _, marks = square()
    path = segmenter.fit(image, marks).save(tmp_path / "a.segdino")
    encoder.key = "fake:2"
    with pytest.raises(ModelFileError, match="another encoder"):
        Segmenter.load(path).predict(image)


def kinds(image):
    """The same plane as grey, grey with alpha, RGB and RGBA."""
    opaque = np.full_like(image, 255)
    grey, rgb = [image], [image] * 3
    return [image, *(np.stack(c, -1) for c in ([*grey, opaque], rgb, [*rgb, opaque]))]


@pytest.mark.parametrize("learned", range(4))
def test_grey_and_rgb_share_a_probe(segmenter, learned):
    image, mask, marks = square()
    segmenter.fit(kinds(image)[learned], marks)
    for other in kinds(image):
        assert agreement(segmenter.predict(other), mask) > 0.97
    other = image[::-1].copy()
    for kind in kinds(other):
        segmenter.partial_fit(kind, marks[::-1])
    assert agreement(segmenter.predict(image), mask) > 0.97


def test_grey_and_rgb_are_learned_together_and_with_slices(segmenter):
    image, mask, marks = square()
    volume = np.stack([image, image.T])
    marked = [marks, marks, np.stack([marks, marks.T])]
    segmenter.fit([image, kinds(image)[2], volume], marked)
    assert segmenter.channels_ == 3
    for one in (*kinds(image), image[None]):
        assert agreement(segmenter.predict(one).reshape(mask.shape), mask) > 0.99


def test_a_grey_probe_says_of_rgb_what_it_says_of_grey(segmenter):
    image, _, marks = square()
    segmenter.fit(image, marks)
    grey, _, rgb, _ = kinds(image[::-1].copy())  # one without marks of its own
    found = segmenter.predict_proba(rgb)
    assert np.allclose(found, segmenter.predict_proba(grey), atol=1e-3)


@pytest.mark.parametrize("count", [2, 5])
def test_other_channels_are_refused_before_anything_is_loaded(
    segmenter, encoder, tmp_path, count
):
    image, _, marks = square()
    other = np.stack([image.astype(np.uint16)] * count, -1)
    path = segmenter.fit(kinds(image)[2], marks).save(tmp_path / "a.segdino")
    encoder.planes_encoded = 0
    loaded = Segmenter.load(path)
    assert loaded.channels_ == 3
    says = f"has {count} channels, but .* 3 channels"
    for call in (
        lambda: loaded.predict(other),
        lambda: loaded.predict_proba(other),
        lambda: loaded.partial_fit(other, marks),
        lambda: drive(iter_predict_blocks(loaded, other)),
        lambda: clone(loaded).fit([kinds(image)[2], other], [marks, marks]),
    ):
        with pytest.raises(ChannelsError, match=says):
            call()
    assert not hasattr(loaded, "_pipeline")
    assert not encoder.planes_encoded
    loaded.fit(other, marks)
    assert loaded.channels_ == count
    with pytest.raises(ChannelsError, match=f"has 1 channel, but .* {count} channels"):
        loaded.predict(image)


def test_a_first_mask_of_other_channels_does_not_count(segmenter):
    image, mask, marks = square()
    drive(segmenter.iter_cluster(np.stack([image.astype(np.uint16)] * 5, -1)))
    found = segmenter.partial_fit(image, marks).predict(image)
    assert agreement(found, mask) > 0.99


def test_a_grey_probe_of_an_earlier_version_goes_on(segmenter, tmp_path):
    image, mask, marks = square()
    segmenter.fit(image, marks)
    expected = segmenter.predict_proba(image)
    file = read_model(segmenter.save(tmp_path / "new.segdino"))
    meta, tensors = dict(file.meta), dict(file.tensors)
    del meta["channels"]
    last = max(n for n in tensors if n.startswith("maps."))
    for name in (last, last.replace("maps", "means")):
        tensors[name] = tensors[name][:-COLOUR_FEATURES].clone()
    for name in ("memory.0.features", "memory.0.context"):
        tensors[name] = tensors[name][:, :-COLOUR_FEATURES].clone()
    tensors["memory.0.widths"] = tensors["memory.0.widths"].clone()
    tensors["memory.0.widths"][-1] -= COLOUR_FEATURES
    write_model(tmp_path / "old.segdino", ModelFile(meta, tensors))
    loaded = Segmenter.load(tmp_path / "old.segdino")
    assert loaded.channels_ == 1
    assert np.array_equal(loaded.predict_proba(image), expected)
    loaded.partial_fit(kinds(image[::-1].copy())[2], marks[::-1])
    assert agreement(loaded.predict(image), mask) > 0.99


def test_nothing_learned_yet(segmenter, tmp_path):
    image, _, marks = square()
    for call in (
        lambda: segmenter.predict(image),
        lambda: segmenter.predict_proba(image),
        lambda: segmenter.save(tmp_path / "a.segdino"),
    ):
        with pytest.raises(NotFittedError):
            call()
    assert not list(tmp_path.glob("*.segdino"))


def test_no_marks_and_marks_of_one_class(segmenter):
    image, mask, marks = square()
    with pytest.raises(InputError, match="Nothing is marked"):
        segmenter.fit(image, np.zeros_like(marks))
    for useless in (np.where(marks == 1, 1, 0), np.full_like(marks, 2)):
        with pytest.raises(InputError, match="Only one class"):
            segmenter.fit(image, useless)
    assert not segmenter.is_fitted
    found = segmenter.fit(image, np.where(marks == 2, 2, 0)).predict(image)
    assert agreement(found, mask) > 0.99


def test_one_class_goes_on_after_it_is_saved(segmenter, tmp_path):
    image, mask, marks = square()
    segmenter.fit(image, np.where(marks == 2, 2, 0))
    loaded = Segmenter.load(segmenter.save(tmp_path / "a.segdino"))
    for one in (segmenter, loaded):
        one.partial_fit(image, marks)
    expected = segmenter.predict_proba(image)
    assert np.array_equal(loaded.predict_proba(image), expected)
    assert agreement(expected.argmax(0), mask) > 0.99


def test_a_failed_fit_keeps_what_was_learned(segmenter):
    image, _, marks = square()
    expected = segmenter.fit(image, marks).predict(image)
    with pytest.raises(InputError):
        segmenter.fit(image, np.zeros_like(marks))
    assert np.array_equal(segmenter.predict(image), expected)


def test_cancelling_keeps_what_was_learned(segmenter):
    image, _, marks = square()
    expected = segmenter.fit(image, marks).predict_proba(image)
    steps = segmenter.iter_partial_fit(image, marks[::-1])
    next(steps)
    steps.close()
    assert np.array_equal(segmenter.predict_proba(image), expected)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_constant_and_nan_images_give_an_answer(segmenter, value):
    image = np.full((40, 50), value)
    marks = np.zeros(image.shape, np.uint8)
    marks[5, 5:20], marks[30, 5:20] = 1, 2
    assert segmenter.fit(image, marks).predict(image).shape == image.shape
    assert np.isfinite(segmenter.predict_proba(image)).all()


def test_an_image_one_pixel_wide(segmenter):
    image = np.arange(200, dtype=np.uint16)[:, None]
    marks = np.zeros(image.shape, np.uint8)
    marks[10:30], marks[160:180] = 1, 2
    found = segmenter.fit(image, marks).predict(image)
    assert found.shape == (200, 1)
    assert (found[20, 0], found[170, 0]) == (0, 1)


def test_grouping_gives_a_first_mask(segmenter):
    image, mask, _ = square()
    results = []
    drive(segmenter.iter_cluster(image), results.append)
    (plane,) = [r for r in results if isinstance(r, PlaneResult)]
    assert agreement(plane.labels, mask) > 0.95
    assert not segmenter.is_fitted


def test_the_first_strokes_go_on_from_the_groups(segmenter, tmp_path):
    image, mask, marks = square()
    drive(segmenter.iter_cluster(image))
    assert segmenter.has_unsupervised
    corner = np.zeros_like(marks)
    corner[2, 2:6] = 1
    found = segmenter.partial_fit(image, corner).predict(image)
    assert agreement(found, mask) > 0.95
    loaded = Segmenter.load(segmenter.save(tmp_path / "a.segdino"))
    assert np.array_equal(loaded.predict(image), found)
    assert agreement(segmenter.fit(image, marks).predict(image), mask) > 0.95
    assert len(segmenter.samples_) == 1


def test_strokes_outweigh_the_groups(segmenter):
    image, mask, _ = square()
    drive(segmenter.iter_cluster(image))
    other = np.zeros(image.shape, np.uint8)
    other[30:34, 30:44], other[40:44, 30:44] = 1, 1
    other[5, 5:90], other[80, 5:90] = 2, 2
    found = segmenter.partial_fit(image, other).predict(image)
    assert agreement(found, 1 - mask) > 0.9


def test_several_images_learn_from_their_own_planes(segmenter):
    image, mask, marks = square()
    volume = np.stack([image, image[::-1]])
    marked = np.zeros(volume.shape, np.uint8)
    marked[0], marked[1] = np.where(marks == 2, 2, 0), np.where(marks == 1, 1, 0)
    pair = [volume, volume + 1], [marked, marked]
    drive(segmenter.iter_partial_fit(*pair, axes="ZYX", planes=[[0], [1]]))
    assert len(segmenter.samples_) == 2
    assert agreement(segmenter.predict(image), mask) > 0.98


def test_planes_come_in_the_order_asked_for(segmenter):
    image, _, marks = square()
    segmenter.fit(image, marks)
    results = []
    volume = np.stack([image] * 4)
    drive(segmenter.iter_predict(volume, volume=True, planes=[2, 0]), results.append)
    assert [r.index for r in results if isinstance(r, PlaneResult)] == [2, 0]


def test_tiles_give_what_one_pass_gives(encoder, tmp_path):
    image, _, marks = square(320)
    cache = CacheSettings(folder=tmp_path)
    whole = Segmenter("fake", cache=cache)
    tiled = Segmenter(
        "fake", cache=cache, features=FeatureSettings(tile=256, overlap=64)
    )
    expected = whole.fit(image, marks).predict(image)
    assert agreement(tiled.fit(image, marks).predict(image), expected) > 0.995


@pytest.mark.parametrize("head", ["segdino", "segdino_v2", "meddino"])
def test_dense_heads_learn_predict_and_are_saved(segmenter, encoder, tmp_path, head):
    image, mask, _ = square(64)
    dense = clone(segmenter).set_params(head=head)
    dense.set_params(recipe=f"{head}_quick", features=FeatureSettings((64,), (1.0,)))
    before = encoder.planes_encoded
    dense.fit(image, marks_from_mask(mask))
    found = dense.predict(image)
    assert agreement(found, mask) > 0.9
    assert encoder.planes_encoded == before + 1
    loaded = Segmenter.load(dense.save(tmp_path / "a.segdino"))
    for other in loaded, copy.deepcopy(dense):
        assert np.array_equal(other.predict_proba(image), dense.predict_proba(image))
    assert loaded.recipe == dense.recipe


def test_augmented_copies_are_encoded_once_and_forgotten_with_their_tile(
    segmenter, encoder
):
    image, mask, marks = square(64)
    shown = FeatureSettings((64,), (1.0,))
    segmenter.set_params(head="segdino_v2", recipe="segdino_v2:width=32")
    segmenter.set_params(features=shown)
    steps = segmenter.iter_fit(image, marks_from_mask(mask))
    while "epoch" not in next(steps).text:
        pass
    steps.close()
    assert encoder.planes_encoded == 1 + AUGMENTED_COPIES
    segmenter.set_params(recipe="segdino_v2_quick").fit(image, marks)
    assert len(segmenter.samples_) == 1


def test_options_of_a_head_follow_its_recipe(segmenter):
    image, _, marks = square(64)
    recipe = "segdino_quick:activation=none,upsample_first=True"
    shown = FeatureSettings((64,), (1.0,))
    segmenter.set_params(head="segdino", recipe=recipe, features=shown)
    segmenter.fit(image, marks)
    assert segmenter.model_.options["upsample_first"] is True
    assert segmenter.model_.options["activation"] == "none"
    with pytest.raises(InputError, match="look like width=512"):
        segmenter.set_params(recipe="segdino:width").fit(image, marks)


@pytest.mark.parametrize("fusion", ["entropy", "mean"])
def test_views_are_fused(segmenter, fusion):
    image, mask, marks = square()
    views = FeatureSettings((128, 192), (1.0,), flips=True)
    segmenter.set_params(features=views, predicting=PredictSettings(fusion))
    segmenter.fit(image, marks)
    assert len(segmenter.samples_) == 4
    assert agreement(segmenter.predict(image), mask) > 0.97


def test_smoothing_along_z_and_never_along_time(segmenter):
    image, _, marks = square()
    volume = np.stack([image] * 5)
    volume[2] = volume[2][::-1]
    plain = segmenter.fit(image, marks).predict_proba(volume, volume=True)
    movie = segmenter.predict_proba(volume, axes="TYX")
    segmenter.set_params(predicting=PredictSettings(z_sigma=1.0))
    smooth = segmenter.predict_proba(volume, volume=True)
    assert np.allclose(
        smooth, gaussian_filter1d(plain, 1.0, 1, mode="nearest"), atol=1e-3
    )
    thick = segmenter.predict_proba(volume, volume=True, spacing=8.0)
    assert np.allclose(
        thick, gaussian_filter1d(plain, 0.5, 1, mode="nearest"), atol=1e-3
    )
    assert np.array_equal(segmenter.predict_proba(volume, axes="TYX"), movie)
    # A plane alone, and planes in the order of a window, are as in the whole.
    for asked in ([3], [2, 1, 3]):
        alone = segmenter.iter_predict(volume, volume=True, planes=asked)
        found = {r.index: r.probabilities for r in alone if hasattr(r, "index")}
        assert sorted(found) == sorted(asked)
        for index, maps in found.items():
            assert np.allclose(maps, smooth[:, index], atol=1e-5)


def test_an_unknown_head_is_named(segmenter):
    image, _, marks = square()
    with pytest.raises(InputError, match="no head named 'x'"):
        segmenter.set_params(head="x").fit(image, marks)


def test_parameters_are_only_stored():
    segmenter = Segmenter("x", head="y", device="z", random_state=3)
    params = segmenter.get_params()
    assert params["head"] == "y"
    assert clone(segmenter).get_params() == params
    assert segmenter.set_params(encoder="w").encoder == "w"
    with pytest.raises(InputError, match="parameter of Segmenter named 'nonsense'"):
        segmenter.set_params(nonsense=1)
    assert "encoder='w'" in repr(segmenter)


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    npst.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.float32, bool]),
        npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
    ),
    st.randoms(),
)
def test_any_plane_gives_a_mask_of_its_shape(segmenter, image, random):
    marks = np.zeros(image.shape, np.uint8)
    marks.flat[random.randrange(image.size)] = 1
    marks.flat[random.randrange(image.size)] = 2
    try:
        found = segmenter.fit(image, marks).predict(image)
    except InputError as error:
        assert len(np.unique(marks[marks > 0])) < 2, error
        return
    assert found.shape == image.shape
    assert set(np.unique(found)) <= {0, 1}


def in_a_new_process(segmenter):
    """The segmenter as another process hands it back."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(copy.copy, segmenter).result()


WAYS_TO_COPY = {
    "deep copy": copy.deepcopy,
    "pickle": lambda segmenter: pickle.loads(pickle.dumps(segmenter)),
    "another process": in_a_new_process,
}


@pytest.mark.parametrize("way", WAYS_TO_COPY)
def test_a_copy_predicts_the_same_and_goes_on_learning(segmenter, way):
    image, _, marks = square()
    segmenter.fit(image, marks)
    segmenter.class_info_ = [{"name": "square"}]
    before = segmenter.predict_proba(image)
    copied = WAYS_TO_COPY[way](segmenter)
    assert copied.get_params() == segmenter.get_params()
    assert copied.class_info_ == segmenter.class_info_
    np.testing.assert_array_equal(copied.predict_proba(image), before)
    more = np.zeros_like(marks)
    more[2, 2:9], more[40, 40:44] = 1, 3
    copied.partial_fit(image[::-1], more)
    np.testing.assert_array_equal(segmenter.predict_proba(image), before)
    segmenter.partial_fit(image[::-1], more)
    assert copied.n_classes_ == segmenter.n_classes_ == 3
    same = copied.predict_proba(image), segmenter.predict_proba(image)
    np.testing.assert_array_equal(*same)


def test_what_is_copied_is_what_was_learned(segmenter):
    image, _, marks = square()
    segmenter.fit(image, marks)
    assert "_pipeline" in vars(copy.copy(segmenter)), (
        "a shallow copy shares the encoder"
    )
    assert "_pipeline" not in vars(copy.deepcopy(segmenter))
    fresh = clone(segmenter)
    assert not fresh.is_fitted
    assert fresh.get_params() == segmenter.get_params()


@pytest.mark.parametrize(
    "change",
    [
        {"predicting": PredictSettings(regularise=False)},
        {"predicting": PredictSettings(fusion="mean")},
        {"predicting": PredictSettings(z_sigma=1)},
        {"random_state": 7},
    ],
)
def test_what_the_encoder_has_no_part_in_never_encodes_again(
    segmenter, encoder, change
):
    image, mask, marks = square()
    segmenter.fit(image, marks)
    before = segmenter.predict(image)
    work = encoder.planes_encoded, encoder.loaded
    segmenter.set_params(**change)
    segmenter.fit(image, marks)
    segmenter.predict(image)
    assert (encoder.planes_encoded, encoder.loaded) == work
    fresh = Segmenter(**segmenter.get_params())
    np.testing.assert_array_equal(
        fresh.fit(image, marks).predict(image), segmenter.predict(image)
    )
    segmenter.set_params(predicting=PredictSettings(), random_state=0)
    np.testing.assert_array_equal(segmenter.fit(image, marks).predict(image), before)


@pytest.mark.parametrize(
    ("head", "recipe", "message"),
    [
        ("probe", "segdino_quick", "is for the head segdino, not probe"),
        ("segdino", "meddino_quick", "is for the head meddino, not segdino"),
        ("segdino", "nonsense", "no recipe named 'nonsense'"),
        ("probe", "nonsense", "no recipe named 'nonsense'"),
    ],
)
def test_a_recipe_of_another_head_is_refused(encoder, head, recipe, message):
    image, _, marks = square()
    with pytest.raises(InputError, match=message):
        Segmenter("fake", head=head, recipe=recipe).fit(image, marks)
    assert encoder.planes_encoded == 0


def test_another_head_reads_the_encoder_that_is_loaded(segmenter, encoder):
    image, _, marks = square()
    segmenter.fit(image, marks)
    loaded = encoder.loaded
    quick = {"head": "segdino", "features": FeatureSettings((32,), (1.0,))}
    other = segmenter.unfitted(**quick)
    assert not other.is_fitted
    other.fit(image, marks)
    segmenter.set_params(**quick).fit(image, marks)
    assert encoder.loaded == loaded
    fresh = Segmenter("fake", **quick).fit(image, marks)
    for same in (other, segmenter):
        np.testing.assert_array_equal(
            same.predict_proba(image), fresh.predict_proba(image)
        )


def test_another_device_loads_the_encoder_anew(segmenter, encoder):
    image, _, marks = square()
    segmenter.fit(image, marks)
    loaded = encoder.loaded
    segmenter.unfitted(device="cpu").fit(image, marks)
    assert encoder.loaded == loaded + 1


def test_slices_are_one_image_and_pictures_in_one_window_are_not(encoder, tmp_path):
    image, _, marks = square()
    cache = CacheSettings(folder=tmp_path / "cache")
    window = FeatureSettings(intensity="ct brain")
    pictures = [image, np.roll(image, 9, 1)]
    two = Segmenter("fake", features=window, cache=cache)
    two.fit(pictures, [marks, np.roll(marks, 9, 1)])
    assert two.model_.images == (0, 1)
    volume, marked = np.stack(pictures), np.stack([marks, np.roll(marks, 9, 1)])
    one = Segmenter("fake", features=window, cache=cache)
    one.fit(volume, marked, volume=True)
    assert one.model_.images == (0, 0)
    again = Segmenter.load(one.save(tmp_path / "a.segdino"))
    again.set_params(cache=cache)
    more = np.roll(image, 20, 1)
    again.partial_fit(more, np.roll(marks, 20, 1))
    assert again.model_.images == (0, 0, 2)


def test_squashed_planes_are_seen_whole_and_files_say_so(encoder, tmp_path):
    image = np.random.default_rng(0).integers(0, 40, (150, 1100), np.uint8)
    marks = np.ones(image.shape, np.uint8)
    image[40:110, 300:800] += 180
    marks[40:110, 300:800] = 2
    cache = CacheSettings(folder=tmp_path)
    segmenter = Segmenter("fake", "segdino", recipe="segdino_published", cache=cache)
    found = segmenter.fit(image, marks).predict(image)
    assert encoder.planes_encoded == 1, "one square, no tiles"
    assert agreement(found, marks - 1) > 0.97
    features = FeatureSettings(intensity="8-bit", squash="bicubic")
    probe = Segmenter("fake", features=features, cache=cache).fit(image, marks)
    for each in (segmenter, probe):
        again = Segmenter.load(each.save(tmp_path / "probe.segdino"))
        assert again.feature_settings == each.feature_settings
        assert again.feature_settings.squash == "bicubic"
