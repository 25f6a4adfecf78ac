"""Groups of cells, worked out by hand where there is one answer."""

import torch

from napari_segdino.heads.probe.kmeans import MAX_CELLS, kmeans, scatter_of


def test_centres_are_the_means_of_what_lies_together():
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [10.0, 0.0], [10.0, 4.0]])
    centres = kmeans(x, 2, seed=0)
    assert sorted(centres.tolist()) == [[1.0, 0.0], [10.0, 2.0]]
    assert float(scatter_of(x, centres)) == 1 + 1 + 4 + 4


def test_a_constant_image_gives_equal_centres():
    centres = kmeans(torch.full((6, 2), 3.0), 3, seed=0)
    assert centres.tolist() == [[3.0, 3.0]] * 3


def test_the_same_seed_and_no_other_chance():
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = kmeans(x, 5, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    assert torch.equal(kmeans(x, 5, seed=2), first)
    assert not torch.equal(kmeans(x, 5, seed=3), first)


def test_of_many_cells_some_stand_for_all():
    x = torch.arange(2.0).repeat(MAX_CELLS)[:, None]
    assert sorted(kmeans(x, 2, seed=0).flatten().tolist()) == [0.0, 1.0]
