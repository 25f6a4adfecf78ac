"""A tile is predicted where the encoder is, its views fused, then regularised."""

import numpy as np
import pytest
import torch
from fake_device import FakeDevice
from fake_encoder import FakeEncoder

from napari_segdino.config import PredictSettings
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.extract import Extractor
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.views import View
from napari_segdino.inference.score import TileScorer

TILE = np.zeros((32, 32, 1), np.uint8)
TILE[8:24, 8:24] = 200


class FakeHead:
    """Class 1 is as likely as a cell is bright; notes how it is asked."""

    regularised, sigma = True, 0.0

    def __init__(self):
        self.asked = []

    def predict(self, model, grid, device, reuse):
        self.asked.append((model, str(device), reuse))
        bright = grid.grey.float().clamp(0.2, 0.8)
        return torch.stack([1 - bright, bright])

    def temperature(self, model):
        return 1.0


def scorer(head, ram_bytes=1 << 20, views=1, painted=None, **settings):
    encoder = FakeEncoder()
    encoder.device = torch.device("cpu", 0)
    extractor = Extractor(encoder, (0,), FeatureCache(ram_bytes))
    sizes = ((View(32, 1.0),), (View(64, 1.0),))[:views]
    intensity = Intensity((0.0,), (200.0,))
    how = PredictSettings(**settings)
    return TileScorer(extractor, sizes, intensity, head, "model", how, painted or {})


@pytest.mark.parametrize(("ram_bytes", "reuse"), [(1 << 20, True), (0, False)])
def test_the_head_is_asked_where_the_encoder_is(ram_bytes, reuse):
    head = FakeHead()
    scorer(head, ram_bytes, views=2)(TILE)
    assert head.asked == [("model", "cpu:0", reuse)] * 2


def test_pixels_of_a_head_that_is_not_regularised_stay_as_they_are():
    head = FakeHead()
    head.regularised = False
    found = scorer(head)(TILE)
    assert found.shape == (2, 32, 32)
    assert found[1].unique().tolist() == pytest.approx([0.2, 0.8])


def test_marks_of_the_tile_are_sources_of_a_regularised_head():
    head = FakeHead()
    plain = scorer(head)
    key = plain.extractor.key(TILE, plain.intensity, plain.views[0])
    marks = torch.zeros(32, 32, dtype=torch.uint8)
    marks[2:5, 2:5] = 2
    marked = scorer(head, painted={key: marks})(TILE)
    assert float(marked[1, 3, 3]) > float(plain(TILE)[1, 3, 3])
    torch.testing.assert_close(marked.sum(0), torch.ones(32, 32))


def test_the_temperature_of_the_model_sharpens():
    mild, sharp = FakeHead(), FakeHead()
    sharp.temperature = lambda model: 0.25
    a, b = (scorer(head)(TILE)[1] for head in (mild, sharp))
    assert float(b[16, 16]) > float(a[16, 16]) > 0.5
    assert float(b[0, 0]) < float(a[0, 0]) < 0.5
    assert torch.equal(a > 0.5, b > 0.5)


class FullDevice(FakeHead):
    """Has no memory for a tile but on the CPU."""

    error = torch.OutOfMemoryError("CUDA out of memory")

    def predict(self, model, grid, device, reuse):
        found = super().predict(model, grid, device, reuse)
        if device.type != "cpu":
            raise self.error
        return found


def test_a_tile_that_is_too_large_for_the_device_goes_to_the_cpu(caplog):
    head, plain = FullDevice(), scorer(FakeHead())(TILE)
    score = scorer(head)
    with FakeDevice("cuda"):
        score.extractor.encoder.device = torch.device("cuda")
        found = [score(TILE) for _ in range(3)]
    assert all(torch.equal(one, plain) for one in found)
    asked = [device for _, device, _ in head.asked]
    assert asked == ["cuda", "cpu", "cpu", "cpu"], "the device is tried once"
    assert [r.getMessage() for r in caplog.records] == [
        "A tile of 32 x 32 pixels does not fit into the memory of cuda beside the "
        "encoder: the CPU computes it."
    ]


def test_other_failures_are_not_taken_for_a_full_device():
    head = FullDevice()
    head.error = RuntimeError("an illegal instruction was met")
    score = scorer(head)
    with FakeDevice("cuda"), pytest.raises(RuntimeError, match="illegal"):
        score.extractor.encoder.device = torch.device("cuda")
        score(TILE)
