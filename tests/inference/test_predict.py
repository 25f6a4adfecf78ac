import numpy as np
import pytest
import torch

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings
from napari_segdino.features import grid
from napari_segdino.inference.predict import (
    BlockResult,
    iter_blocks,
    iter_planes,
    predict_plane,
)
from napari_segdino.progress import Progress, drive

SMALL = FeatureSettings(tile=40, overlap=12)


def brightness(tile):
    """What a probe that looks at single pixels would say."""
    bright = torch.from_numpy(tile[..., 0].astype(np.float32) / 255)
    return torch.stack([1 - bright, bright])


@pytest.fixture
def plane():
    return np.random.default_rng(0).integers(0, 256, (150, 97, 1), np.uint8)


class OnlyTiles:
    """A plane that refuses to be read as a whole."""

    def __init__(self, pixels, largest):
        self.pixels, self.largest = pixels, largest
        self.shape = pixels.shape

    def __getitem__(self, region):
        found = self.pixels[region]
        assert max(found.shape[:2]) <= self.largest
        return found


def blocks_of(plane, **kwargs):
    steps = iter_blocks(plane, 3, brightness, SMALL, **kwargs)
    return [step for step in steps if isinstance(step, BlockResult)]


def test_blocks_cover_each_pixel_once_and_blend_to_the_whole(plane):
    counted = np.zeros(plane.shape[:2], int)
    for block in blocks_of(OnlyTiles(plane, 40)):
        counted[block.slices] += 1
        assert block.index == 3
        there = plane[block.slices][..., 0] / 255
        assert np.allclose(block.probabilities[1], there, atol=1e-5)
        assert np.allclose(block.probabilities.sum(0), 1, atol=1e-5)
        assert np.array_equal(block.labels, block.probabilities.argmax(0))
    assert (counted == 1).all()


def test_a_later_row_is_the_same_without_those_before(plane):
    whole = blocks_of(plane)
    rows = whole[-1].row + 1
    assert rows > 3
    for first in range(rows):
        later = blocks_of(plane, first_row=first)
        expected = [block for block in whole if block.row >= first]
        assert len(later) == len(expected)
        for a, b in zip(later, expected, strict=True):
            assert a.slices == b.slices
            assert np.array_equal(a.probabilities, b.probabilities)


def test_rows_say_when_they_end(plane):
    blocks = blocks_of(plane)
    ends = [block for block in blocks if block.last_in_row]
    assert [block.row for block in ends] == list(range(len(ends)))
    assert [block for block in blocks if block.last_in_plane] == [blocks[-1]]


def test_a_plane_is_its_blocks(plane):
    result = drive(predict_plane(plane, 0, brightness, SMALL))
    for block in blocks_of(plane):
        assert np.array_equal(result.labels[block.slices], block.labels)


def test_progress_counts_tiles_of_all_planes(plane):
    steps = list(iter_planes(lambda _: plane, [4, 2], brightness, SMALL, "x"))
    counts = [step for step in steps if isinstance(step, Progress)]
    tiles = len(blocks_of(plane))
    assert counts[-1] == Progress(2 * tiles, 2 * tiles, "x")
    done = [step.done for step in counts]
    assert done == sorted(done)
    assert [s.index for s in steps if not isinstance(s, Progress)] == [4, 2]


def test_tiles_give_the_labels_of_one_pass(monkeypatch, tmp_path):
    """The real encoder, at one scale and on one grid, with and without tiles."""
    import skimage.io
    from skimage.util import img_as_ubyte

    folder = skimage.__path__[0]
    tissue = img_as_ubyte(skimage.io.imread(f"{folder}/data/ihc.png")[..., :3])
    brown = tissue[..., 2] < 130
    marks = np.zeros(brown.shape, np.uint8)
    marks[::9, ::9] = 1 + brown[::9, ::9]

    def segmenter(side):
        feature_settings = FeatureSettings(sides=(side,), tile=side, overlap=128)
        cache = CacheSettings(1 << 30, 0, tmp_path)
        return Segmenter(
            "efficientnet_lite0", device="cpu", features=feature_settings, cache=cache
        )

    monkeypatch.setattr(grid, "GRID_CELLS", 30_000)
    assert grid.grid_step((512, 512)) == 3
    whole = segmenter(512).fit(tissue, marks)
    whole.samples_ = {}  # strokes would be drawn into one of the two only
    one = whole.predict_proba(tissue)
    monkeypatch.setattr(grid, "GRID_CELLS", 12_000)
    assert grid.grid_step((320, 320)) == 3
    tiled = segmenter(320)
    for name in ("model_", "n_classes_", "classes_", "encoder_key_", "channels_"):
        setattr(tiled, name, getattr(whole, name))
    tiled.samples_ = {}
    many = tiled.predict_proba(tissue)
    # A tie is 0.55 against 0.45 before the temperature sharpens it.
    odds = (0.55 / 0.45) ** (1 / whole.model_.temperature)
    sure = np.abs(one[1] - one[0]) > (odds - 1) / (odds + 1)
    same = one.argmax(0) == many.argmax(0)
    assert sure.mean() > 0.9
    assert same[sure].mean() >= 0.995
    assert same.mean() >= 0.985
