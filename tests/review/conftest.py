import numpy as np
import pytest
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings


@pytest.fixture
def encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


@pytest.fixture
def segmenter(encoder, tmp_path):
    return Segmenter("fake", cache=CacheSettings(folder=tmp_path / "cache"))


@pytest.fixture
def scene():
    """A function: a bright square in noise, its mask, four strokes."""

    def make(seed=0, side=64, low=40, high=200):
        random = np.random.default_rng(seed)
        image = random.integers(0, low, (side, side), np.uint8)
        mask = np.zeros((side, side), np.uint8)
        mask[side // 4 : side // 2, side // 4 : side // 2] = 1
        image[mask > 0] += high
        marks = np.zeros_like(mask)
        third = side // 3
        marks[third, third : third + 5] = 2
        marks[third + 6, third : third + 5] = 2
        marks[side - 8, 5:40] = 1
        marks[4, 5:40] = 1
        return image, mask, marks

    return make
