"""Vectors of tiles are made once while the same probe corrects a volume."""

from types import SimpleNamespace

import torch

import napari_segdino.heads.probe.basis as basis_module
from napari_segdino.heads.probe.basis import VectorStore


def test_of_a_volume_that_does_not_fit_only_the_last_few_planes_are_held(monkeypatch):
    made = []

    def vectors(grid):
        made.append(grid.key)
        return torch.zeros(100, 96)  # 19,200 bytes in half precision

    monkeypatch.setattr(basis_module, "STORED_BYTES", 10 * 19_200)
    monkeypatch.setattr(basis_module, "FEW_BYTES", 2 * 19_200)
    store, basis = VectorStore(), SimpleNamespace(vectors=vectors)

    def ask(basis, *planes):
        made.clear()
        for plane in planes:
            store.vectors(basis, SimpleNamespace(key=plane), "cpu")
        return made.copy()

    assert ask(basis, *range(11)) == list(range(11))
    assert ask(basis, 10, 9, 8) == [8]
    # Another basis has all the room again.
    other = SimpleNamespace(vectors=vectors)
    ask(other, *range(10))
    assert ask(other, *range(10)) == []


def test_a_volume_of_a_hundred_planes_is_held():
    made = []

    def vectors(grid):
        made.append(grid.key)
        # 256 x 256 pixels in cells of two; no memory is taken.
        return torch.empty(128 * 128, 96, device="meta")

    store, basis = VectorStore(), SimpleNamespace(vectors=vectors)
    for _ in range(2):
        for plane in range(100):
            store.vectors(basis, SimpleNamespace(key=str(plane)), "cpu")
    assert len(made) == 100
