"""Volumes predicted across several axes, and which planes probabilities flow in."""

import numpy as np
import torch
from fake_encoder import FakeEncoder

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.extract import Extractor
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.views import View
from napari_segdino.heads.registry import make_head
from napari_segdino.images.neighbours import cuts_of
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.inference.score import TileScorer
from napari_segdino.inference.volume import find_marks, iter_flow, iter_volume
from napari_segdino.progress import Progress

SETTINGS = FeatureSettings(neighbours=0)
IMAGE = as_planes(np.zeros((3, 4, 5), np.uint8), volume=True)


def by_axis(shares):
    """Score each plane with the share that is set for its shape."""

    def score(tile):
        p = torch.full(tile.shape[:2], shares[tile.shape[:2]])
        return torch.stack([1 - p, p])

    return score


def joined(shares, fusion, wanted=range(3)):
    cuts = cuts_of(IMAGE, "ZYX", 0)
    score = by_axis(shares)
    steps = list(
        iter_volume(IMAGE, cuts, score, SETTINGS, fusion, wanted, "Predicting")
    )
    planes = [step for step in steps if isinstance(step, PlaneResult)]
    return planes, [step for step in steps if isinstance(step, Progress)]


def test_cuts_are_averaged():
    shares = {(4, 5): 0.3, (3, 5): 0.6, (3, 4): 0.9}
    planes, told = joined(shares, "mean")
    assert [plane.index for plane in planes] == [0, 1, 2]
    for plane in planes:
        assert plane.probabilities.shape == (2, 4, 5)
        np.testing.assert_allclose(plane.probabilities[1], 0.6, atol=2e-3)
        assert (plane.labels == 1).all()
    texts = list(dict.fromkeys(step.text for step in told))
    assert texts == [f"Predicting across {axis}" for axis in "zyx"]


def test_a_surer_cut_weighs_more():
    shares = {(4, 5): 0.5, (3, 5): 0.5, (3, 4): 1.0}
    planes, _ = joined(shares, "entropy", [2])
    # Weights are exp(-2) where both classes are equal and 1 where one is certain.
    expected = (2 * np.exp(-2) * 0.5 + 1) / (2 * np.exp(-2) + 1)
    assert [plane.index for plane in planes] == [2]
    np.testing.assert_allclose(planes[0].probabilities[1], expected, atol=2e-3)


def scorer(painted):
    extractor = Extractor(FakeEncoder(), (0,), FeatureCache(1 << 20))
    views = ((View(),),)
    unit = Intensity((0.0,), (255.0,))
    score = TileScorer(
        extractor, views, unit, make_head("probe"), None, PredictSettings(), {}
    )
    for tile, marks in painted:
        score.painted[extractor.key(tile, unit, views[0])] = torch.from_numpy(marks)
    return score


def noise(*shape):
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def test_marks_are_found_by_the_pixels_of_their_tile():
    image = as_planes(noise(4, 6, 8), volume=True)
    marks = np.zeros((6, 8), np.uint8)
    marks[2, 3] = 2
    score = scorer([(image.read(1), marks)])
    found = find_marks(image, score, SETTINGS, range(4))
    assert list(found) == [1]
    assert np.array_equal(found[1], marks)
    assert find_marks(image, score, SETTINGS, [0, 2, 3]) == {}


def test_marks_of_tiles_are_put_together():
    settings = FeatureSettings(tile=32, overlap=8, neighbours=0)
    image = as_planes(noise(2, 32, 56), volume=True)
    left, right = (np.zeros((32, 32), np.uint8) for _ in range(2))
    left[5, 30] = right[5, 6] = 2  # the same pixel, in both tiles
    right[9, 20] = 1
    plane = image.read(0)
    score = scorer([(plane[:, :32], left), (plane[:, 24:], right)])
    found = find_marks(image, score, settings, [0])[0]
    assert found.shape == (32, 56)
    assert {tuple(at): int(found[tuple(at)]) for at in np.argwhere(found)} == {
        (5, 30): 2,
        (9, 44): 1,
    }


def test_where_no_tile_can_have_marks_one_plane_is_read():
    image = as_planes(noise(4, 6, 8), volume=True)
    score = scorer([(noise(9, 9, 1), np.ones((9, 9), np.uint8))])
    read = []

    class Counted:
        plane_shape = image.plane_shape

        def read(self, index):
            read.append(index)
            return image.read(index)

    assert find_marks(Counted(), score, SETTINGS, range(4)) == {}
    assert read == [0]


def test_planes_without_marks_near_them_are_predicted_as_they_are():
    image = as_planes(noise(4, 6, 8), volume=True)
    score = scorer([])
    asked = []

    def predict(given, planes, centre):
        asked.append((given.flows_later, list(planes), centre))
        yield Progress(0, 1, "")

    wanted = [3, 0, 1]
    list(iter_flow(predict, image, image, score, SETTINGS, wanted, None, (2, 2)))
    assert asked == [(False, [3, 0, 1], (2, 2))]


def test_volumes_that_follow_one_another_are_predicted_apart():
    image = as_planes(noise(2, 3, 6, 8), axes="TZYX")
    asked = []

    def predict(given, planes, centre):
        asked.append(list(planes))
        yield Progress(0, 1, "")

    list(iter_flow(predict, image, image, scorer([]), SETTINGS, [2, 3, 4], None))
    assert asked == [[2], [3, 4]]
