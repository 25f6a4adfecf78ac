"""The probe as a head: what it reads, keeps, files and answers."""

import dataclasses

import numpy as np
import pytest
import torch

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.table import get_spec
from napari_segdino.errors import ChannelsError
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.model import KernelProbe, NetworkProbe
from napari_segdino.heads.probe.samples import UNSUPERVISED
from napari_segdino.heads.probe.tensors import probe_from_tensors, probe_to_tensors
from napari_segdino.heads.registry import make_head
from napari_segdino.marks import strokes_of
from napari_segdino.progress import drive

SIDE = 24


def tile(seed=0, key="tile", depth=4):
    """A bright square in the dark, as one level of noise and local features."""
    g = torch.Generator().manual_seed(seed)
    bright = torch.zeros(SIDE, SIDE)
    bright[6:16, 6:16] = 1
    level = torch.rand(depth, SIDE, SIDE, generator=g) + 3 * bright
    local = torch.rand(2, SIDE, SIDE, generator=g) + bright
    return FeatureGrid((level.half(),), local.half(), local[:1].half(), bright, key)


def marks(whole=False):
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    if whole:
        drawn[:] = 1
        drawn[6:16, 6:16] = 2
        return drawn
    drawn[10, 8:14], drawn[20, 2:20] = 2, 1
    return drawn


def fitted(head, *grids, whole=False, device="cpu"):
    samples = {g.key: head.sample(g, marks(whole), 0) for g in grids}
    return drive(head.iter_fit(samples, 2, 0, device)), samples


@pytest.mark.parametrize(
    ("encoder", "levels"),
    [
        ("dinov3_vits16", (9, 10, 11)),
        ("dinov3_vitl16", (21, 22, 23)),
        ("dinov3_convnext_tiny", (0, 1, 2, 3)),
        ("efficientnet_lite0", (0, 1, 2, 3, 4)),
    ],
)
def test_levels(encoder, levels):
    assert make_head("probe").levels(get_spec(encoder)) == levels


def test_features_are_those_of_the_recipe_if_there_is_one():
    assert make_head("probe").default_features() == FeatureSettings()
    made = make_head("probe", "probe").default_features()
    assert (made.sides, made.flips, made.factors) == ((512, 768), True, (1.0,))
    assert made.neighbours == 0


def test_it_classifies_the_cells_of_a_tile():
    head, grid = make_head("probe"), tile()
    probe, _ = fitted(head, grid)
    found = head.predict(probe, grid, "cpu")
    assert found.shape == (2, SIDE, SIDE)
    assert torch.allclose(found.sum(0), torch.ones(SIDE, SIDE))
    assert (found[1, 8:14, 8:14] > 0.5).all()
    assert (found[1, 18:] < 0.5).all()


def test_vectors_of_a_tile_are_made_once_and_never_where_it_goes_by_once(monkeypatch):
    made, plain = [], Basis.vectors

    def count(basis, grid):
        made.append(grid.key)
        return plain(basis, grid)

    monkeypatch.setattr(Basis, "vectors", count)
    head, grid = make_head("probe"), tile()
    probe, _ = fitted(head, grid)
    first = head.predict(probe, grid, "cpu")
    again = head.predict(probe, grid, "cpu")
    assert made == ["tile"]
    assert torch.equal(first, again)
    assert torch.equal(head.predict(probe, grid, "cpu", reuse=False), first)
    assert made == ["tile", "tile"]


def test_steps_of_the_recipe_are_those_of_the_perceptrons():
    grids = [tile(i, f"tile {i}") for i in range(3)]
    seen = {}
    for steps in (1, 25):
        head = make_head("probe", f"probe:steps={steps}")
        samples = {g.key: head.sample(g, marks(whole=True), 0) for g in grids}
        told = []
        probe = drive(head.iter_fit(samples, 2, 0, "cpu"), told.append)
        assert isinstance(probe, NetworkProbe)
        assert max(step.total for step in told) == steps
        seen[steps] = head.predict(probe, grids[0], "cpu")
    assert not torch.equal(seen[1], seen[25])


def test_strokes_are_asked_where_they_were_sampled():
    head, grid = make_head("probe"), tile()
    probe, samples = fitted(head, grid)
    strokes = list(strokes_of(marks()))
    assert head.stroke_accuracy(probe, "tile", samples["tile"], strokes) == [1.0, 1.0]
    turned = dataclasses.replace(samples["tile"], codes=3 - samples["tile"].codes)
    assert head.stroke_accuracy(probe, "tile", turned, strokes) == [0.0, 0.0]


def test_other_channels_are_refused():
    head = make_head("probe")
    probe, _ = fitted(head, tile())
    with pytest.raises(ChannelsError):
        head.predict(probe, tile(depth=5), "cpu")


def test_one_class_alone_leaves_the_rest_to_background():
    head, grid = make_head("probe"), tile()
    only = np.where(marks() == 2, 2, 0).astype(np.uint8)
    samples = {"tile": head.sample(grid, only, 0)}
    probe = drive(head.iter_fit(samples, 2, 0, "cpu"))
    assert UNSUPERVISED in samples, "what stands in is kept for the next fit"
    found = head.predict(probe, grid, "cpu")[1] > 0.5
    assert found[8:14, 8:14].all()
    assert found[18:].float().mean() < 0.1


@pytest.mark.parametrize("whole", [False, True])
def test_tensors_and_back(whole):
    head = make_head("probe")
    grids = [tile(i, f"tile {i}") for i in range(3)]
    probe, samples = fitted(head, *grids, whole=whole)
    tensors, meta = head.to_tensors(probe, samples)
    again, kept = make_head("probe").from_tensors(tensors, meta)
    assert type(again) is type(probe)
    assert list(kept) == list(samples)
    a, b = (head.predict(p, grids[1], "cpu") for p in (probe, again))
    assert torch.equal(a, b)


def test_names_in_files_are_those_of_the_first_version():
    basis = Basis((torch.zeros(2),), (torch.eye(2),), False)
    last = KernelProbe(
        basis,
        torch.zeros(3, 2),
        torch.zeros(3, 2),
        torch.ones(2, dtype=torch.bool),
        1.5,
        torch.zeros(3, dtype=torch.int64),
        ("a",),
        2,
    )
    tensors, meta = probe_to_tensors(dataclasses.replace(last, previous=last))
    fields = {"units", "weight", "present", "length", "own"}
    names = {f"probe.{f}" for f in fields} | {"means.0", "maps.0"}
    assert tensors.keys() == names | {f"before.{name}" for name in names}
    assert (meta["kind"], meta["strokes"], meta["tiles"]) == ("RadialProbe", 2, ["a"])
    again = probe_from_tensors(tensors, meta)
    assert again.length_scale == 1.5
    assert again.previous.tiles == ("a",)
