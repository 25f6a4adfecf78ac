"""Heads, flows and filters compute on the encoder's device, and nothing else."""

import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps

import numpy as np
import pytest
import torch
from fake_device import NO_FLOAT64, FakeDevice, OnDevice
from fake_encoder import bright_square

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.encoders import frozen, load
from napari_segdino.encoders.device import free_memory, resolve_device
from napari_segdino.features import grid
from napari_segdino.heads.registry import HEADS, head_class
from napari_segdino.inference.predict import PlaneResult


def device_of(kind, monkeypatch, **options):
    """Let this machine have a device of a kind, and no other."""
    for name, backend in (("mps", torch.backends.mps), ("cuda", torch.cuda)):
        # torch looks for what its own functions wrap. That there were CUDA its
        # optimisers would believe.
        there = name == kind == "mps"
        known = wraps(backend.is_available)(lambda there=there: there)
        monkeypatch.setattr(backend, "is_available", known)
    # Nobody counts its bytes.
    monkeypatch.setattr(frozen, "measured_memory", lambda _: nullcontext([]))
    if kind == "cuda":
        monkeypatch.setattr(load, "resolve_device", torch.device)
        for name, value in (("is_bf16_supported", False), ("empty_cache", None)):
            monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    return FakeDevice(kind, **options)


@pytest.fixture
def mps(monkeypatch):
    with device_of("mps", monkeypatch) as device:
        yield device


RECIPES = {"mvr": "mvr_quick:steps=4", "segdino_v2": "segdino_v2_quick:width=32"}
"""Small ones; decoders are cut to two steps."""


def shortened(head, monkeypatch):
    """Name a recipe that takes a second."""
    kind = head_class(head)
    if hasattr(kind, "from_strokes"):
        short = [replace(r, steps=2, sides=(64,)) for r in kind.recipes]
        monkeypatch.setattr(kind, "recipes", tuple(short))
    return RECIPES.get(head, f"{head}_quick")


def segmenter(head, device, tmp_path, recipe=None):
    cache = CacheSettings(1 << 28, 0, tmp_path)
    known = {"head": head, "recipe": recipe, "cache": cache, "device": device}
    return Segmenter("efficientnet_lite0", **known)


def test_the_fake_refuses_what_the_device_refuses(mps):
    here, there = torch.ones(3), torch.ones(3, device="mps")
    assert (there.device.type, (there + 1).device.type) == ("mps", "mps")
    assert type((there * 2).cpu()) is torch.Tensor
    for refused in (there.double, lambda: here.to("mps").to(torch.double)):
        with pytest.raises(TypeError, match=NO_FLOAT64):
            refused()
    with pytest.raises(RuntimeError, match="cpu and device"):
        there + here
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    assert isinstance(here.to("mps"), OnDevice)


def test_it_is_taken_where_it_is(mps):
    assert resolve_device("auto").type == "mps"


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_and_predicts(mps, tmp_path, head, monkeypatch):
    image, marks = bright_square(48)
    recipe = shortened(head, monkeypatch)
    probe = segmenter(head, "mps", tmp_path, recipe).fit(image, marks)
    mask = probe.predict(image)
    assert mps.calls > 50
    assert mask.shape == image.shape
    path = probe.save(tmp_path / "p.segdino")
    assert Segmenter.load(path, device="cpu").n_classes_ == 2


SIDE = 44
"""No level of features has as many cells."""


def whole(device):
    """Types of what left the device in full resolution; cells are 2 pixels wide."""
    return {kind for shape, kind in device.downloads if shape[-2:] == (SIDE, SIDE)}


@pytest.mark.parametrize("kind", ["mps", "cuda"])
@pytest.mark.parametrize("head", HEADS)
def test_of_full_resolution_labels_alone_leave(kind, tmp_path, head, monkeypatch):
    monkeypatch.setattr(grid, "GRID_CELLS", 600)
    image, marks = bright_square(SIDE)
    recipe = shortened(head, monkeypatch) if head != "probe" else None
    with device_of(kind, monkeypatch) as device:
        one = segmenter(head, kind, tmp_path, recipe).fit(image, marks)
        mask = one.predict(image)
        assert whole(device) == {torch.uint8}
        sure = one.predict_proba(image)
        assert whole(device) == {torch.uint8, torch.float32}
    assert mask.shape == image.shape
    np.testing.assert_array_equal(sure.argmax(0), mask)


@pytest.mark.parametrize(
    ("masks", "predicting", "slices"),
    [
        (False, PredictSettings(), "Z"),
        (True, PredictSettings(z_sigma=1.0), "Z"),
        (False, PredictSettings(regularise=False, fusion="mean"), "ZY"),
    ],
)
@pytest.mark.parametrize("kind", ["mps", "cuda"])
def test_volumes_stay_there_too(kind, tmp_path, monkeypatch, masks, predicting, slices):
    """Probes from strokes and perceptrons; flow and smoothing along z; two cuts."""
    monkeypatch.setattr(grid, "GRID_CELLS", 600)
    image, marks = bright_square(SIDE)
    mask = marks.copy()
    mask[16:32, 16:32] = 2
    mask[mask == 0] = 1
    depth = 5 if masks else 3  # from five slices on, perceptrons
    volume = np.stack([np.roll(image, i, 1) for i in range(depth)])
    given = np.stack([mask] * depth if masks else [marks, 0 * marks, 0 * marks])
    found = {}
    for name in ("cpu", kind):
        with device_of(kind, monkeypatch) as device:
            one = segmenter("probe", name, tmp_path / name)
            one.predicting = predicting
            one.features = FeatureSettings(slices=slices)
            one.fit(volume, given, axes="ZYX")
            found[name] = one.predict(volume, axes="ZYX")
        assert device.downloads == [] if name == "cpu" else device.calls > 100
    assert whole(device) <= {torch.uint8}
    assert (found["cpu"] == found[kind]).mean() > 0.995


def results(steps):
    return [one for one in steps if isinstance(one, PlaneResult)]


def test_first_masks_and_volumes(mps, tmp_path):
    image, marks = bright_square(48)
    volume = np.stack([image, image, image])
    on = {name: segmenter("probe", name, tmp_path / name) for name in ("mps", "cpu")}
    found = {}
    for name, one in on.items():
        first = [r.labels for r in results(one.iter_cluster(volume, axes="ZYX"))]
        one.fit(volume, np.stack([marks, 0 * marks, 0 * marks]), axes="ZYX")
        found[name] = np.stack(first), one.predict(volume, axes="ZYX")
    for one, other in zip(*found.values(), strict=True):
        assert (one == other).mean() > 0.99


def test_memory_is_given_back_to_the_device_that_ran_out(monkeypatch):
    called = []
    for name in ("cuda", "mps"):
        monkeypatch.setattr(
            getattr(torch, name), "empty_cache", lambda name=name: called.append(name)
        )
    for name in ("cpu", "mps", "cuda"):
        free_memory(torch.device(name))
    assert called == ["mps", "cuda"]


def test_autocast_is_not_asked_for_where_it_is_off(mps, tmp_path, monkeypatch):
    """Before torch 2.5 it knows no MPS, even to be off; later it warns each time."""

    def refuse(*args, **kwargs):
        raise RuntimeError("User specified an unsupported autocast device_type 'mps'")

    monkeypatch.setattr(torch, "autocast", refuse)
    image, marks = bright_square(48)
    segmenter("probe", "mps", tmp_path).fit(image, marks)


@pytest.mark.parametrize(
    ("system", "before", "after"),
    [("darwin", None, "1"), ("darwin", "0", "0"), ("linux", None, None)],
)
def test_what_mps_lacks_goes_to_the_cpu_on_a_mac(system, before, after):
    name = "PYTORCH_ENABLE_MPS_FALLBACK"
    code = f"import sys, os; sys.platform = {system!r}; import napari_segdino; "
    code += f"print(os.environ.get({name!r}), 'torch' in sys.modules)"
    known = {k: v for k, v in os.environ.items() if k != name}
    known |= {name: before} if before else {}
    done = subprocess.run(
        [sys.executable, "-c", code], env=known, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(after), "False"], done.stderr
