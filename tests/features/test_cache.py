import os
import shutil

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


def test_no_flipped_bit_is_ever_read(tmp_path):
    """Each is computed anew, and what is then put is found again."""
    cache = FeatureCache(0, 1 << 20, tmp_path)
    cache.put(grid("a", 3.0))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for bit in range(0, 8 * len(whole), 5):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        found = cache.get("a")
        if found is not None:  # what is no part of it, such as padding
            assert torch.equal(found.levels[1], grid("a", 3.0).levels[1])
            assert found.shape == (6, 8)
    file.write_bytes(flipped)
    file.write_bytes(whole[:300])
    assert cache.get("a") is None
    cache.put(grid("a", 3.0))
    assert cache.get("a") is not None


@pytest.mark.parametrize("place", ["folder", "link", "pipe"])
def test_what_stands_in_the_place_of_a_file_is_computed_anew(tmp_path, place):
    cache = FeatureCache(0, 1 << 20, tmp_path)
    cache.put(grid("a"))
    (file,) = tmp_path.iterdir()
    file.unlink()
    if place == "folder":
        file.mkdir()
    elif place == "link":
        file.symlink_to(tmp_path / "gone")
    else:
        os.mkfifo(file)
    assert cache.get("a") is None
    cache.put(grid("a"))


def test_a_folder_that_goes_or_is_a_file_only_means_less_is_kept(tmp_path):
    folder = tmp_path / "features"
    cache = FeatureCache(0, 1 << 20, folder)
    cache.put(grid("a"))
    shutil.rmtree(folder)
    assert cache.get("a") is None
    cache.put(grid("a"))
    assert cache.get("a") is not None
    shutil.rmtree(folder)
    folder.write_text("mine")
    cache.put(grid("b"))
    assert cache.get("b") is None
    assert folder.read_text() == "mine"


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


def test_features_of_another_precision_are_others(tmp_path):
    kinds = ("float32", "bfloat16", "float16")
    caches = {name: FeatureCache(0, 1 << 20, tmp_path, name) for name in kinds}
    for value, cache in enumerate(caches.values()):
        cache.put(grid("a", float(value)))
    found = [float(cache.get("a").levels[0].max()) for cache in caches.values()]
    assert found == [0, 1, 2]
    assert FeatureCache(0, 1 << 20, tmp_path).get("a") is not None
