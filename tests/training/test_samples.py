import numpy as np
import torch

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.mvr import gather
from napari_segdino.training.samples import pick_pixels, strokes_of, take_sample


def test_strokes_are_connected_marks_of_one_code():
    marks = np.array([[2, 2, 0], [0, 0, 1], [2, 1, 1]])
    found = [(code, pixels.tolist()) for code, pixels in strokes_of(marks)]
    assert found == [(1, [5, 7, 8]), (2, [0, 1]), (2, [6])]


def test_every_stroke_weighs_one():
    marks = np.zeros((20, 30), np.uint8)
    marks[2:12, 2:12] = 2
    marks[15, 20:23] = 2
    marks[0, 29] = 1
    (rows, columns), weights = pick_pixels(marks, 16)
    codes = marks[rows, columns]
    assert np.isclose(weights[codes == 2].sum(), 2)
    assert np.isclose(weights[codes == 1].sum(), 1)
    assert len(rows) == 16 + 3 + 1
    assert len(set(zip(rows, columns, strict=True))) == len(rows)


def test_no_marks_no_pixels():
    (rows, columns), weights = pick_pixels(np.zeros((4, 4), int), 9)
    assert len(rows) == len(columns) == len(weights) == 0


def test_the_same_seed_takes_the_same_sample():
    grid = tiny_grid()
    marks = np.array([[1, 0, 2, 2]])
    first, again = take_sample(grid, marks, 3), take_sample(grid, marks, 3)
    assert torch.equal(first.context, again.context)
    assert first.codes.tolist() == [1, 2, 2]
    assert first.features[:, 1].tolist() == [0, 2, 3]
    assert first.widths.tolist() == [1, 1]
    assert sorted(first.context[:, 1].tolist()) == [0, 1, 2, 3]


def tiny_grid():
    level = torch.tensor([[[0.0, 4.0]]]).half()
    local = torch.arange(4.0)[None, None].half()
    return FeatureGrid((level,), local, local, torch.zeros(1, 4).half(), "k")


def test_features_are_read_between_cells():
    level, local = gather(tiny_grid(), torch.zeros(4), torch.arange(4))
    assert level[:, 0].tolist() == [0, 1, 3, 4]
    assert local[:, 0].tolist() == [0, 1, 2, 3]
