"""Which tiles groups are found on."""

from napari_segdino.features.tiles import cut_tiles
from napari_segdino.training.cluster import MAX_TILES, MAX_TILES_WAITED, _some_tiles

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
