import pytest
import torch

from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.grid import FeatureGrid


def grid(key, value=1.0):
    level = torch.full((2, 3, 4), value).half()  # 48 bytes
    grey = torch.zeros(6, 8).half()  # 96 bytes
    cells = torch.zeros(1, 6, 8).half()
    return FeatureGrid((level, level.clone()), cells, cells.clone(), grey, key)


SIZE = grid("a").nbytes


def test_bytes_are_counted():
    assert SIZE == 2 * 48 + 3 * 96


def test_what_was_used_longest_ago_is_dropped():
    cache = FeatureCache(2 * SIZE)
    cache.put(grid("a"))
    cache.put(grid("b"))
    assert cache.get("a") is not None
    cache.put(grid("c"))
    assert cache.get("b") is None
    assert cache.get("a") is not None


def test_putting_twice_counts_once():
    cache = FeatureCache(2 * SIZE)
    for _ in range(3):
        cache.put(grid("a"))
    cache.put(grid("b"))
    assert cache.get("a") is not None


def test_what_leaves_memory_comes_back_from_disk(tmp_path):
    cache = FeatureCache(SIZE, 1 << 20, tmp_path)
    cache.put(grid("a", 3.0))
    cache.put(grid("b"))
    found = cache.get("a")
    assert found.shape == (6, 8)
    assert torch.equal(found.levels[1], grid("a", 3.0).levels[1])
    assert len(list(tmp_path.iterdir())) == 2


def test_files_on_disk_are_bounded(tmp_path):
    cache = FeatureCache(0, 2000, tmp_path)
    for name in "abcdef":
        cache.put(grid(name))
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 2000


def test_a_damaged_file_is_computed_anew(tmp_path):
    cache = FeatureCache(0, 1 << 20, tmp_path)
    cache.put(grid("a"))
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:40])
    assert cache.get("a") is None


@pytest.mark.parametrize("error", [OSError(28, "No space left on device")])
def test_a_full_disk_only_means_less_is_kept(tmp_path, monkeypatch, error):
    def full(*args, **kwargs):
        raise error

    monkeypatch.setattr("safetensors.torch.save_file", full)
    cache = FeatureCache(SIZE, 1 << 20, tmp_path)
    cache.put(grid("a"))
    cache.put(grid("b"))
    assert cache.get("b") is not None
    assert cache.get("a") is None
    assert list(tmp_path.iterdir()) == []
