import numpy as np
import torch

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.probe.basis import Basis, cell_positions, gather
from napari_segdino.heads.probe.samples import (
    MASK_WEIGHT,
    pick_from_mask,
    pick_from_strokes,
    take_sample,
)
from napari_segdino.heads.registry import make_head
from napari_segdino.marks import strokes_of


def test_strokes_are_connected_marks_of_one_code():
    marks = np.array([[2, 2, 0], [0, 0, 1], [2, 1, 1]])
    found = [(code, pixels.tolist()) for code, pixels in strokes_of(marks)]
    assert found == [(1, [5, 7, 8]), (2, [0, 1]), (2, [6])]


def test_every_stroke_weighs_one():
    marks = np.zeros((20, 30), np.uint8)
    marks[2:12, 2:12] = 2
    marks[15, 20:23] = 2
    marks[0, 29] = 1
    picked = pick_from_strokes(marks, 16)
    codes = marks.ravel()[picked.pixels]
    assert np.isclose(picked.weights[codes == 2].sum(), 2)
    assert np.isclose(picked.weights[codes == 1].sum(), 1)
    assert np.bincount(picked.strokes).tolist() == [1, 16, 3]
    assert len(set(picked.pixels)) == 20


def test_no_marks_no_pixels():
    picked = pick_from_strokes(np.zeros((4, 4), int))
    assert len(picked.pixels) == len(picked.weights) == len(picked.strokes) == 0


def test_a_whole_mask_weighs_its_classes_by_the_root_of_their_share():
    marks = np.ones((10, 10), np.uint8)
    marks[0] = 2
    picked = pick_from_mask(marks, seed=0, per_class=30)
    codes = marks.ravel()[picked.pixels]
    assert np.bincount(codes).tolist() == [0, 30, 10]
    assert np.isclose(picked.weights.sum(), MASK_WEIGHT)
    shares = [picked.weights[codes == c].sum() for c in (1, 2)]
    assert np.isclose(shares[0] / shares[1], 3)


def tiny_grid():
    level = torch.tensor([[[0.0, 4.0]]]).half()
    local = torch.arange(4.0)[None, None].half()
    return FeatureGrid((level,), local, local, torch.zeros(1, 4).half(), "k")


def test_a_sample_holds_the_features_of_marked_pixels():
    marks = np.array([[1, 0, 0, 0]])
    first, again = (take_sample(tiny_grid(), marks, 3) for _ in range(2))
    assert torch.equal(first.context, again.context)
    assert first.codes.tolist() == [1]
    assert first.features.tolist() == [[0, 0]]
    assert first.widths.tolist() == [1, 1]
    assert sorted(first.context[:, 1].tolist()) == [0, 1, 2, 3]
    assert not first.whole
    assert take_sample(tiny_grid(), np.array([[1, 1, 2, 2]]), 0).whole


def test_features_are_read_between_cells():
    level, local = gather(tiny_grid(), torch.zeros(4), torch.arange(4))
    assert level[:, 0].tolist() == [0, 1, 3, 4]
    assert local[:, 0].tolist() == [0, 1, 2, 3]


def test_mapping_and_reading_commute():
    random = torch.Generator().manual_seed(0)
    levels = tuple(
        torch.randn(d, n, n, generator=random).half() for d, n in ((5, 4), (3, 9))
    )
    local = torch.randn(4, 18, 18, generator=random).half()
    grid = FeatureGrid(levels, local, local[:3], torch.zeros(18, 18).half(), "k")
    for stacked in (False, True):
        means = tuple(torch.randn(d, generator=random) for d in (5, 3, 4))
        maps = tuple(torch.randn(d, 2, generator=random) for d in (5, 3, 4))
        basis = Basis(means, maps, stacked)
        read = basis.project(torch.cat(gather(grid, *cell_positions(grid)), 1))
        assert torch.allclose(basis.vectors(grid), read, atol=1e-4)


def test_a_tile_that_was_kept_before_gives_the_same():
    grid = tiny_grid()
    earlier = take_sample(grid, np.array([[1, 0, 0, 0]]), 3)
    marks = np.array([[1, 0, 0, 2]])
    again, anew = (
        take_sample(grid, marks, 3, earlier.context),
        take_sample(grid, marks, 3),
    )
    for name in ("context", "features", "codes", "weights", "strokes"):
        assert torch.equal(getattr(again, name), getattr(anew, name))


def test_a_fit_that_forgets_reads_no_context_anew():
    head, grid = make_head("probe"), tiny_grid()
    first = head.sample(grid, np.array([[1, 0, 0, 0]]), 3)
    other_seed = head.sample(grid, np.array([[1, 0, 0, 0]]), 4)
    again = head.sample(grid, np.array([[1, 0, 0, 2]]), 3)
    assert again.context is first.context
    assert other_seed.context is not first.context
