"""The rows say what timm builds, and nothing heavy is imported for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_segdino.encoders import (
    BUILTIN_ENCODER,
    DEFAULT_ENCODER,
    encoder_names,
    get_spec,
    list_encoders,
    resolve_device,
)
from napari_segdino.encoders.dinov3 import build_empty
from napari_segdino.encoders.weights import (
    find_weights,
    table_source,
    timm_source,
    weights_folder,
)
from napari_segdino.errors import InputError, WeightsError

PROMISED = {
    "dinov3_vits16",
    "dinov3_vits16plus",
    "dinov3_vitb16",
    "dinov3_vitl16",
    "dinov3_vith16plus",
    "dinov3_vit7b16",
    "dinov3_vitl16_sat",
    "dinov3_vit7b16_sat",
    "dinov3_convnext_tiny",
    "dinov3_convnext_small",
    "dinov3_convnext_base",
    "dinov3_convnext_large",
    "meddinov3_vitb16",
    "efficientnet_lite0",
    "lingbot_vits16",
    "flexict_2d",
}


def test_names_are_the_promised_ones() -> None:
    assert set(encoder_names()) == PROMISED
    assert encoder_names()[0] == DEFAULT_ENCODER == "dinov3_vits16"


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_row_is_what_timm_builds(name: str) -> None:
    spec = get_spec(name)
    model: Any = build_empty(spec)
    assert all(p.is_meta for p in model.parameters())
    assert sum(p.numel() for p in model.parameters()) == spec.parameters
    levels = model.feature_info
    assert tuple(level["num_chs"] for level in levels) == spec.channels
    assert tuple(level["reduction"] for level in levels) == spec.strides
    assert spec.licence and spec.licence_url.startswith("https://")


@pytest.mark.parametrize(
    "name", sorted(PROMISED - {"meddinov3_vitb16", "flexict_2d", BUILTIN_ENCODER})
)
def test_row_agrees_with_timm_s_published_weights(name: str) -> None:
    import timm

    spec = get_spec(name)
    config = timm.get_pretrained_cfg(f"{spec.timm_name}.{spec.timm_tag}")
    assert (spec.mean, spec.std) == (config.mean, config.std)
    ours, theirs = table_source(spec), timm_source(f"{spec.timm_name}.{spec.timm_tag}")
    assert (ours.repo, ours.stem) == (theirs.repo, theirs.stem)
    licence = {"dinov3-license": "DINOv3 License", "apache-2.0": "Apache-2.0"}
    assert licence[config.license] == spec.licence


@pytest.mark.parametrize(
    ("name", "eps"), [("meddinov3_vitb16", 1e-6), ("dinov3_vitb16", 1e-5)]
)
def test_epsilon_of_every_norm(name: str, eps: float) -> None:
    norms = [m for m in build_empty(get_spec(name)).modules() if hasattr(m, "eps")]
    assert len(norms) == 25 and {norm.eps for norm in norms} == {eps}


def test_unknown_names_are_told() -> None:
    with pytest.raises(InputError, match="did you mean 'dinov3_vits16'"):
        get_spec("dinov3_vits_16")
    with pytest.raises(InputError, match="there are dinov3_vits16, "):
        get_spec("???")
    with pytest.raises(InputError, match="no model named 'nonsense'"):
        timm_source("nonsense.tag")
    with pytest.raises(InputError, match="no weights named"):
        timm_source("resnet18.nonsense")


def test_a_fresh_machine_has_the_builtin_only() -> None:
    status = {entry.spec.name: entry for entry in list_encoders()}
    assert {name for name, entry in status.items() if entry.here} == {BUILTIN_ENCODER}
    assert status[BUILTIN_ENCODER].download_bytes == 0
    assert status["meddinov3_vitb16"].download_bytes == 0
    assert status["dinov3_vits16"].download_bytes == 4 * 21_596_160
    assert not weights_folder().exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("dinov3_vits16", "vit_small_patch16_dinov3_qkvb.lvd1689m.safetensors"),
        ("dinov3_vits16", "dinov3_vits16_pretrain_lvd1689m-08c60483.pth"),
        ("dinov3_vitl16_sat", "dinov3_vitl16_pretrain_sat493m-eadcf0ff.pth"),
        ("dinov3_convnext_tiny", "dinov3_convnext_tiny_pretrain_lvd1689m-21b7.pth"),
        ("meddinov3_vitb16", "meddinov3_vitb16.pth"),
    ],
)
def test_weights_are_found_in_the_folder(name: str, file: str) -> None:
    weights_folder().mkdir()
    path = weights_folder() / file
    path.with_name(f".{file}.part").touch()
    assert find_weights(get_spec(name)) is None
    path.touch()
    assert find_weights(get_spec(name)) == path
    found = {entry.spec.name for entry in list_encoders() if entry.here}
    assert found == {name, BUILTIN_ENCODER}


def test_weights_are_found_in_the_hub_cache(tmp_path: Path) -> None:
    repo = tmp_path / "hub" / "models--timm--convnext_tiny.dinov3_lvd1689m"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    path = repo / "snapshots" / "abc" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_weights(get_spec("dinov3_convnext_tiny")) == path


def test_meddino_is_asked_for_as_a_file() -> None:
    with pytest.raises(WeightsError, match=r"authors' file.*meddinov3_vitb16\.pth"):
        table_source(get_spec("meddinov3_vitb16"))


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "mps", "tpu", "cpu:3", "cuda:x"):
        with pytest.raises(InputError, match="^[^.\n]*\\.$"):
            resolve_device(name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("auto") == torch.device("cuda")
    with pytest.raises(InputError, match="no CUDA device 1"):
        resolve_device("cuda:1")


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, napari_segdino.encoders as e; e.encoder_names();"
        "print([m for m in ('torch', 'timm', 'requests') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert out.stdout.strip() == "[]", out.stderr
