"""Tiles of cases that a dense head trains on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder

from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import InputError
from napari_segdino.heads.dense.segdino import SegDINO
from napari_segdino.heads.dense.train import iter_fit_dense
from napari_segdino.heads.registry import make_head
from napari_segdino.io.cases import Case
from napari_segdino.pipeline import iter_make_pipeline
from napari_segdino.progress import Progress, drive
from napari_segdino.study.examples import ExampleStore, Tiles, iter_examples
from napari_segdino.study.read import Loaded

SIZE = FeatureSettings((32,), (1.0,), tile=48, overlap=16, neighbours=0)


@pytest.fixture
def encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


@pytest.fixture
def pipeline(encoder, tmp_path):
    def make(features=SIZE):
        cache = CacheSettings(1 << 28, 0, tmp_path)
        head = make_head("segdino")
        how = "fake", "cpu", cache, head, features, PredictSettings(), 0
        return drive(iter_make_pipeline(*how))

    return make


def case(name):
    return Case(name, (), None)


def reader(shape, axes="YX"):
    """Give each case noise of its own, the left half of it an object."""

    def read(one):
        seed = sum(one.name.encode())
        image = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
        mask = np.zeros(shape, np.uint8)
        mask[..., : shape[-1] // 2] = 1
        return Loaded(image, mask, axes, (1.0,) * len(shape))

    return read


def encoded(pipeline, cases, read, copies=0, seed=0):
    told = []
    steps = iter_examples(pipeline, cases, read, copies, seed)
    return drive(steps, told.append), told


def test_each_case_is_an_image_with_its_marks(pipeline):
    tiles, told = encoded(pipeline(), [case("a"), case("b")], reader((32, 40)))
    assert [e.image for e in tiles.plain.values()] == [0, 1]
    for example in tiles.plain.values():
        assert example.marks.tolist() == [[2] * 20 + [1] * 20] * 32
        assert [level.shape[0] for level in example.levels] == [3, 3]
    assert told == [
        Progress(0, 2, "Encoding a"),
        Progress(1, 2, "Encoding b"),
    ]
    assert tiles.more == []


def test_tiles_of_a_plane_and_planes_of_a_volume_are_images_of_their_own(pipeline):
    tiles, _ = encoded(pipeline(), [case("a")], reader((48, 80)))
    assert [e.image for e in tiles.plain.values()] == [0, 1]
    first, second = (e.marks for e in tiles.plain.values())
    assert first.shape == second.shape == (48, 48)
    assert (first[:, :40] == 2).all() and (first[:, 40:] == 1).all()
    assert (second[:, :8] == 2).all() and (second[:, 8:] == 1).all()
    stack, _ = encoded(pipeline(), [case("a")], reader((3, 32, 32), "ZYX"))
    assert [e.image for e in stack.plain.values()] == [0, 1, 2]


def test_views_of_a_tile_share_its_number(pipeline):
    features = FeatureSettings((32, 48), (1.0,), True, neighbours=0)
    tiles, _ = encoded(pipeline(features), [case("a"), case("b")], reader((32, 32)))
    assert [e.image for e in tiles.plain.values()] == [0] * 4 + [1] * 4
    assert len(tiles.plain) == 8, "each view has a key of its own"


def test_copies_are_of_their_image_and_the_same_for_the_same_seed(pipeline):
    one = pipeline()
    read = reader((32, 32))
    tiles, _ = encoded(one, [case("a"), case("b")], read, copies=3)
    assert [e.image for e in tiles.more] == [0, 0, 0, 1, 1, 1]
    assert tiles.all == [*tiles.plain.values(), *tiles.more]
    again, _ = encoded(pipeline(), [case("a"), case("b")], read, copies=3)
    other, _ = encoded(pipeline(), [case("a"), case("b")], read, copies=3, seed=1)

    def marks(found):
        return [e.marks.numpy().tobytes() for e in found.more]

    assert marks(again) == marks(tiles)
    assert marks(other) != marks(tiles)


def test_what_was_encoded_comes_from_the_cache(pipeline, encoder):
    one = pipeline()
    encoded(one, [case("a")], reader((32, 32)), copies=2)
    before = encoder.planes_encoded
    encoded(one, [case("a")], reader((32, 32)), copies=2)
    assert encoder.planes_encoded == before > 0


def test_bytes_are_those_of_the_tiles_as_they_are(pipeline):
    tiles, _ = encoded(pipeline(), [case("a")], reader((32, 32)), copies=2)
    # Levels of 8 x 8 and 4 x 4 cells, three channels of two bytes, and the marks.
    assert tiles.nbytes == 3 * 2 * (8 * 8 + 4 * 4) + 32 * 32
    assert Tiles().nbytes == 0


def test_what_does_not_fit_into_memory_is_read_from_disk(encoder, tmp_path):
    cache = CacheSettings(0, 1 << 28, tmp_path)
    how = "fake", "cpu", cache, make_head("segdino"), SIZE, PredictSettings(), 0
    pipeline = drive(iter_make_pipeline(*how))
    cases, read = [case(name) for name in "abc"], reader((32, 40))
    held = drive(iter_examples(pipeline, cases, read, 2, 0)).all
    # Levels of 8 x 8 and 4 x 4 cells with 3 channels, and marks: one and a half fit.
    room = held[0].nbytes * 3 // 2
    store = ExampleStore(pipeline.extractor.cache, tmp_path / "marks", room)
    tiles = drive(iter_examples(pipeline, cases, read, 2, 0, store))
    assert [type(e).__name__ for e in tiles.all].count("DenseExample") == 1
    for one, other in zip(held, tiles.all, strict=True):
        assert (one.image, one.marked, one.nbytes) == (
            other.image,
            other.marked,
            other.nbytes,
        )
        found = other.loaded()
        assert torch.equal(found.marks, one.marks)
        pairs = zip(found.levels, one.levels, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert tiles.nbytes == sum(e.nbytes for e in held[:3])
    recipe = replace(make_head("segdino").choose_recipe(True, "cpu"), steps=6)
    fits = [
        drive(
            iter_fit_dense(SegDINO.decoder, e, 2, recipe=recipe, seed=0, validate=e[:2])
        )
        for e in (held, tiles.all)
    ]
    pairs = zip(*(fit.parameters() for fit in fits), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "training is the same"


def test_features_that_are_gone_are_told(encoder, tmp_path):
    cache = CacheSettings(0, 1 << 28, tmp_path)
    how = "fake", "cpu", cache, make_head("segdino"), SIZE, PredictSettings(), 0
    pipeline = drive(iter_make_pipeline(*how))
    store = ExampleStore(pipeline.extractor.cache, tmp_path / "marks", 0)
    read = reader((32, 40))
    (example,) = drive(iter_examples(pipeline, [case("a")], read, 0, 0, store)).all
    for file in tmp_path.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(InputError, match="with --disk-gb"):
        example.loaded()
