"""Vectors of tiles are made once while the same probe corrects a volume."""

from types import SimpleNamespace

import torch

from napari_segdino.heads.probe.basis import VectorStore


def test_a_volume_of_a_hundred_planes_is_held():
    made = []

    def vectors(grid):
        made.append(grid.key)
        # 256 x 256 pixels in cells of two; no memory is taken.
        return torch.empty(128 * 128, 96, device="meta")

    store, basis = VectorStore(), SimpleNamespace(vectors=vectors)
    for _ in range(2):
        for plane in range(100):
            store.vectors(basis, SimpleNamespace(key=str(plane)))
    assert len(made) == 100
