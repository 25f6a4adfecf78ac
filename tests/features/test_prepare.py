"""Tiles that are encoded together are as those that are encoded one by one."""

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.intensity import Intensity
from napari_segdino.inference.predict import PlaneResult, iter_planes
from napari_segdino.inference.score import TileScorer

UNIT = Intensity((0.0,) * 4, (255.0,) * 4)
VIEWS = views_of(FeatureSettings())[0]
TILES = np.random.default_rng(0).integers(0, 256, (7, 32, 40, 4), np.uint8)


class Wide(FakeEncoder):
    """Takes some planes at once; counts its calls."""

    def __init__(self, most):
        super().__init__()
        self.most, self.batches = most, []

    def at_once(self, size):
        return self.most

    def encode(self, batch, levels):
        self.batches.append(len(batch))
        return super().encode(batch, levels)


@pytest.mark.parametrize("ram_bytes", [1 << 24, 0])
def test_they_are_the_same(ram_bytes):
    together = Extractor(Wide(4), (0, 1), FeatureCache(ram_bytes))
    alone = Extractor(Wide(1), (0, 1), FeatureCache(ram_bytes))
    together.prepare(list(TILES[:2].astype(np.int16)), UNIT, VIEWS)
    # Four channels are two planes for the encoder; two tiles, in two views.
    assert together.encoder.batches == [4, 4]
    for tile in TILES[:2].astype(np.int16):
        found, wanted = (e.grid(tile, UNIT, VIEWS) for e in (together, alone))
        assert found.key == wanted.key
        pairs = zip(found.levels, wanted.levels, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert together.encoder.batches == [4, 4], "nothing is encoded twice"


def test_what_is_stored_is_not_prepared():
    extractor = Extractor(Wide(4), (0, 1), FeatureCache(1 << 24))
    tiles = list(TILES[:2].astype(np.int16))
    extractor.grid(tiles[0], UNIT, VIEWS)
    extractor.prepare(tiles, UNIT, VIEWS)
    assert extractor.encoder.batches == [2, 2, 2, 2]


class Brightness:
    regularised, sigma = False, 0.0

    def predict(self, model, grid, device, reuse):
        return torch.stack([1 - grid.grey.float(), grid.grey.float()])


@pytest.mark.parametrize(("most", "batches"), [(3, [3, 3, 3, 3, 1, 1]), (1, [1] * 14)])
def test_planes_go_together_as_far_as_the_encoder_takes_them(most, batches):
    extractor = Extractor(Wide(most), (0, 1), FeatureCache(0))
    rest = Brightness(), None, PredictSettings(regularise=False), {}
    score = TileScorer(extractor, (VIEWS,), Intensity((0.0,), (255.0,)), *rest)
    planes = TILES[..., :1]
    steps = iter_planes(
        planes.__getitem__, range(7), score, FeatureSettings(), "Predicting"
    )
    found = [step for step in steps if isinstance(step, PlaneResult)]
    assert [one.index for one in found] == list(range(7))
    np.testing.assert_array_equal(found[4].labels, planes[4, ..., 0] > 127)
    assert extractor.encoder.batches == batches
