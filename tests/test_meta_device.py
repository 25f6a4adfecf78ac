"""What computes runs on the meta device: there, tensors of two devices do not meet.

It has shapes and no values, so that what looks at values is tried on a fake device
(test_on_device).
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_segdino.config import FeatureSettings
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.local import COUNT, local_features, smooth_colour
from napari_segdino.heads.dense.batches import DenseExample
from napari_segdino.heads.dense.train import iter_fit_dense
from napari_segdino.heads.mvr.perceptrons import make_perceptrons
from napari_segdino.heads.on_device import DeviceCopy, moved
from napari_segdino.heads.probe.atlas import CELLS, Atlas
from napari_segdino.heads.probe.basis import Basis, VectorStore
from napari_segdino.heads.probe.model import NetworkProbe
from napari_segdino.heads.registry import HEADS, head_class, make_head
from napari_segdino.inference.blend import Blender, cut_plane
from napari_segdino.inference.diffusion import marks_on_cells, put_marks, trust_in
from napari_segdino.inference.fuse import certainty
from napari_segdino.inference.regularise import guide, refine, smooth
from napari_segdino.inference.uncertainty import temper

META = torch.device("meta")
DENSE = [name for name in HEADS if head_class(name).trains_in_epochs]


def grid_of(side=40, widths=(4, 6)):
    """Features of a tile, on the CPU as they are stored."""
    levels = tuple(torch.rand(d, 5, 5).half() for d in widths)
    cells = torch.rand(COUNT, side, side).half()
    return FeatureGrid(levels, cells, cells[:3], torch.rand(side, side).half(), "k")


def basis_of(grid):
    widths = [len(block) for block in (*grid.levels, grid.local)]
    maps = tuple(torch.rand(d, 8) for d in widths)
    return Basis(tuple(torch.zeros(d) for d in widths), maps, False)


def test_two_devices_do_not_meet_there():
    with pytest.raises(RuntimeError):
        torch.ones(3) + torch.ones(3, device=META)


def test_local_features():
    image = torch.rand(3, 50, 301, device=META)
    assert local_features(image).device == META
    assert smooth_colour(image, 3).shape == (3, 17, 101)


def test_vectors_are_made_and_stored_there():
    grid = grid_of()
    store, basis = VectorStore(), basis_of(grid)
    found = store.vectors(basis, grid, META)
    assert (found.device, tuple(found.shape)) == (META, (1600, 8))
    assert basis.means[0].device.type == "cpu", "what is stored stays"


def test_perceptrons_of_a_probe():
    grid = grid_of()
    layers = torch.rand(2, 8, 5), torch.rand(2, 1, 5), torch.rand(2, 5, 3)
    stored = NetworkProbe(basis_of(grid), *layers, torch.rand(2, 1, 3), torch.zeros(2))
    there = moved(stored, META)
    vectors = there.basis.vectors(grid)
    assert there.probabilities(vectors).shape == (1600, 3)
    assert stored.hidden.device.type == "cpu"


def test_perceptrons_on_blocks():
    model, head = make_perceptrons((4, 6), (0, 2), 3, 16), make_head("mvr")
    found = head.predict(model, grid_of(), META)
    assert (found.device, tuple(found.shape)) == (META, (3, 40, 40))


@pytest.mark.parametrize("head", DENSE)
def test_decoders_predict(head):
    grid = grid_of(widths=(4, 4, 4, 4))
    examples = [DenseExample(grid.levels, torch.ones(40, 40, dtype=torch.uint8))]
    examples[0].marks[:20] = 2
    recipe = replace(make_head(head).choose_recipe(False, "cpu"), steps=1)
    model = _trained(head_class(head).decoder, examples, recipe, "cpu")
    found = make_head(head).predict(model, grid, META)
    assert (found.device, tuple(found.shape)) == (META, (2, 40, 40))


def _trained(decoder, examples, recipe, device):
    steps = iter_fit_dense(decoder, examples, 2, recipe=recipe, seed=0, device=device)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("head", DENSE)
def test_decoders_train(head):
    levels = tuple(torch.rand(4, 5, 5).half() for _ in range(4))
    marks = torch.ones(40, 40, dtype=torch.uint8)
    marks[:20] = 2
    examples = [DenseExample(levels, marks)] * 3
    recipe = replace(make_head(head).choose_recipe(False, "cpu"), steps=3, batch=1)
    kind = head_class(head).decoder
    steps = iter_fit_dense(kind, examples, 2, recipe=recipe, seed=0, device=META)
    # The last thing told is that all is done; what is trained has no values to return.
    told = list(itertools.islice(steps, 4))
    assert [one.done for one in told] == [0, 1, 2, 3]
    with pytest.raises(NotImplementedError, match="meta"):
        next(steps)


def test_marks_and_trust():
    evidence = torch.rand(3, 14, 14, device=META)
    trust = trust_in(evidence)
    marks = torch.ones(40, 40, dtype=torch.uint8, device=META)
    put_marks(evidence, trust, marks_on_cells(marks, 3))
    assert (trust.device, evidence.device) == (META, META)


def test_filters_and_fusion():
    maps, grey = torch.rand(3, 150, 150, device=META), torch.rand(300, 300, device=META)
    assert guide(maps, grey).shape == (3, 300, 300)
    assert smooth(maps, 1.0).device == META
    assert temper(maps, 2.0).device == META
    assert certainty(maps).device == META
    flat = refine(torch.rand(2, 40, 40, device=META), grid_of(), flow=False)
    assert (flat.device, tuple(flat.shape)) == (META, (2, 40, 40))


def test_tiles_are_joined_there():
    cut = cut_plane((24, 40), FeatureSettings(tile=16, overlap=8))
    blender = Blender(cut)
    for row, column in np.ndindex(len(cut.rows), len(cut.columns)):
        found = blender.add(row, column, torch.rand(2, 16, 16, device=META))
        assert found.device == META


def test_an_atlas_has_its_say_there():
    atlas = Atlas(torch.ones(2, CELLS, CELLS, CELLS))
    assert atlas.apply(torch.rand(2, 30, 40, device=META), 1, 5).device == META


def test_a_copy_is_made_once_and_let_go():
    value, copies = (torch.ones(2), {"a": torch.ones(1)}, "text"), DeviceCopy()
    there = copies.of(value, META)
    assert (there[0].device, there[1]["a"].device, there[2]) == (META, META, "text")
    assert copies.of(value, META) is there
    assert copies.of(value, "cpu") is value
    assert copies.of(value, META) is not there
