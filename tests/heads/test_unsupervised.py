"""Which tiles groups are found on, and what of them is frame and middle."""

import numpy as np
import torch

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.local import COUNT
from napari_segdino.features.tiles import Tile, cut_tiles
from napari_segdino.heads.probe.unsupervised import (
    MAX_TILES,
    MAX_TILES_WAITED,
    SPREAD_FEATURE,
    Place,
    _central,
    _some_tiles,
)

TILES = cut_tiles((600, 900), 100, 20)


def test_tiles_from_all_over_the_plane():
    found = _some_tiles(TILES, None)
    assert MAX_TILES / 2 < len(found) <= MAX_TILES
    assert max(t.y1 for t in found) > 400
    assert _some_tiles(TILES[:3], None) == TILES[:3]


def test_what_is_looked_at_comes_first():
    found = _some_tiles(TILES, (580, 870))
    assert found[0] == TILES[-1]
    assert len(found) == len(set(found)) == MAX_TILES_WAITED
    assert min(t.y0 for t in found) == 0
    assert sorted(_some_tiles(TILES[:2], (0, 0)), key=TILES.index) == TILES[:2]


def place(flat, tile, plane_shape):
    local = torch.zeros(COUNT, *flat.shape).half()
    local[SPREAD_FEATURE] = torch.from_numpy(np.where(flat, 0.0, 0.1))
    nothing = torch.zeros(1, *flat.shape).half()
    found = Place.of(
        FeatureGrid((), local, nothing, nothing[0], "a"), tile, plane_shape
    )
    shape = flat.shape
    return found.frame.reshape(shape).numpy(), found.depth.reshape(shape).numpy()


def test_a_constant_border_is_the_frame_and_what_lies_inside_is_not():
    flat = np.zeros((5, 6), bool)
    flat[:, 0] = flat[0, :3] = True
    flat[3, 3] = True  # constant, but inside
    frame, depth = place(flat, Tile(0, 5, 0, 6), (5, 6))
    expected = flat.copy()
    expected[3, 3] = False
    assert np.array_equal(frame, expected)
    assert depth[3].tolist() == [0, 1, 2, 2, 2, 1]


def test_only_the_border_of_the_plane_is_a_border():
    flat = np.zeros((4, 4), bool)
    flat[1:3, 3] = True
    frame, depth = place(flat, Tile(0, 4, 0, 4), (4, 9))
    assert not frame.any()
    assert depth[1].tolist() == [1, 2, 2, 2]


def test_classes_are_the_groups_in_the_middle():
    nearest = torch.tensor([0, 0, 0, 1, 2, 2, 3])
    depth = torch.tensor([1.0, 2.0, 1.0, 9.0, 8.0, 9.0, np.inf])
    assert _central(nearest, depth, 4, 3).tolist() == [0, 1, 0, 2]
    assert _central(nearest, depth, 4, 2).tolist() == [0, 1, 0, 0]
