import numpy as np
import torch

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.training.samples import gather, pick_pixels


def test_every_stroke_weighs_one():
    marks = np.zeros((20, 30), np.uint8)
    marks[2:12, 2:12] = 2
    marks[15, 20:23] = 2
    marks[0, 29] = 1
    rows, columns, weights = pick_pixels(marks, 16, seed=0)
    codes = marks[rows, columns]
    assert np.isclose(weights[codes == 2].sum(), 2)
    assert np.isclose(weights[codes == 1].sum(), 1)
    assert len(rows) == 16 + 3 + 1
    assert len(set(zip(rows, columns, strict=True))) == len(rows)


def test_the_same_seed_picks_the_same_pixels():
    marks = np.ones((50, 50), np.uint8)
    first, again = pick_pixels(marks, 9, 3), pick_pixels(marks, 9, 3)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(pick_pixels(marks, 9, 4)[0], first[0])


def test_no_marks_no_pixels():
    assert all(len(part) == 0 for part in pick_pixels(np.zeros((4, 4), int), 9, 0))


def test_features_are_read_between_cells():
    level = torch.tensor([[[0.0, 4.0]]]).half()
    local = torch.arange(4.0)[None, None].half()
    grid = FeatureGrid((level,), local, (1, 4), "k")
    found = gather(grid, np.zeros(4, int), np.arange(4))
    assert found[:, 0].tolist() == [0, 1, 3, 4]
    assert found[:, 1].tolist() == [0, 1, 2, 3]
