import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segdino.features.grid import FeatureGrid, grid_step
from napari_segdino.features.local import on_grid
from napari_segdino.inference.regularise import refine


def grid_of(image):
    grey = torch.from_numpy(image).half()
    cells = on_grid(grey, grid_step(image.shape))[None]
    return FeatureGrid((), cells, cells, grey, "k")


def halves(shape=(40, 60)):
    """A dark and a bright half."""
    image = np.zeros(shape, np.float32)
    image[:, shape[1] // 2 :] = 1
    return image


def test_a_blurred_boundary_snaps_to_the_edge():
    image = halves()
    ramp = (torch.linspace(0, 1, 60).expand(40, 60) + 0.1).clamp(0, 1)
    maps = torch.stack([1 - ramp, ramp])
    before = (maps[1].numpy() > 0.5) == image
    after = (refine(maps, grid_of(image))[1].numpy() > 0.5) == image
    assert after.mean() > before.mean()
    assert after.mean() > 0.98


def test_a_stroke_speaks_for_its_region():
    image = halves()
    undecided = torch.full((2, 40, 60), 0.5)
    marks = torch.zeros(40, 60, dtype=torch.uint8)
    marks[20, 5:12], marks[20, 45:52] = 1, 2
    found = refine(undecided, grid_of(image), marks)[1].numpy() > 0.5
    assert (found == image).mean() > 0.95


def test_a_thin_stroke_counts_on_a_coarse_grid():
    image = halves((500, 500))
    grid = grid_of(image)
    assert grid_step(grid.shape) == 3
    cells = torch.full((2, *grid.cells), 0.5)
    marks = torch.zeros(500, 500, dtype=torch.uint8)
    marks[100:400, 101], marks[100:400, 402] = 1, 2
    found = refine(cells, grid, marks)[1].numpy()
    assert found[250, 101] < 0.3
    assert found[250, 402] > 0.7


def test_without_flow_maps_are_only_enlarged():
    image = halves()
    maps = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))
    maps = maps / maps.sum(0)
    assert torch.allclose(refine(maps, grid_of(image), flow=False), maps, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(2, 5), st.integers(0, 99))
def test_probabilities_stay_probabilities(height, width, classes, seed):
    random = np.random.default_rng(seed)
    maps = torch.from_numpy(random.dirichlet([1] * classes, (height, width)))
    maps = maps.permute(2, 0, 1).float().contiguous()
    image = random.random((height, width), np.float32)
    fine = refine(maps, grid_of(image))
    assert fine.shape == (classes, height, width)
    assert float(fine.min()) >= 0
    assert torch.allclose(fine.sum(0), torch.ones(height, width), atol=1e-4)
