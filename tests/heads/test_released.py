"""SegDINO's own checkpoints give what the released code would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from dinov3_reference import Tensors, random_meta_state, reference_vit
from PIL import Image
from torch.nn import functional

from napari_segdino import Segmenter
from napari_segdino.batch.work import loaded_segmenter, read_probe
from napari_segdino.config import CacheSettings
from napari_segdino.encoders.base import IMAGENET_MEAN, IMAGENET_STD
from napari_segdino.errors import ModelFileError
from napari_segdino.heads.dense.released import read_released

LEVELS = (2, 5, 8, 11)
WIDTHS = (96, 192, 384, 768)


def noise(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * 0.05


def first_version(depth: int, upsampled: bool) -> Tensors:
    """Tensors of the first version's head in the names of its code."""
    head = {}
    for i, width in enumerate(WIDTHS):
        head[f"head.projects.{i}.weight"] = noise(width, depth, 1, 1, seed=i)
        head[f"head.projects.{i}.bias"] = noise(width, seed=10 + i)
        name = f"head.scratch.layer{i + 1}_rn.weight"
        head[name] = noise(128, width, 3, 3, seed=20 + i)
    head["head.scratch.output_conv.weight"] = noise(1, 512, 1, 1, seed=30)
    head["head.scratch.output_conv.bias"] = noise(1, seed=31)
    if upsampled:
        head["head.proj.weight"] = noise(128, 128, 4, 4, seed=32)
    return head


def run_first(head: Tensors, levels: list[torch.Tensor]) -> torch.Tensor:
    maps = []
    for i, level in enumerate(levels):
        x = functional.conv2d(
            level, head[f"head.projects.{i}.weight"], head[f"head.projects.{i}.bias"]
        )
        weight = head[f"head.scratch.layer{i + 1}_rn.weight"]
        maps.append(functional.conv2d(x, weight, padding=1))
    if "head.proj.weight" in head:
        maps[0] = functional.conv_transpose2d(
            maps[0], head["head.proj.weight"], stride=4
        )
    size = maps[0].shape[-2:]
    joined = torch.cat([enlarged(m, size, True) for m in maps], 1)
    weight = head["head.scratch.output_conv.weight"]
    scores = functional.conv2d(joined, weight, head["head.scratch.output_conv.bias"])
    return enlarged(scores, (256, 256), True)


def second_version(depth: int, width: int) -> Tensors:
    """Tensors of the second version's decoder in the names of its code."""
    head = {}
    for i in range(4):
        name = f"decoder.token_projections.{i}.weight"
        head[name] = noise(width, depth, 1, 1, seed=i)
        name = f"decoder.tpa_branch_{i + 1}.conv.weight"
        head[name] = noise(width, width, 3, 3, seed=10 + i)
        for kind, seed in (("intra", 20), ("inter", 40)):
            block = f"decoder.sad_{kind}_{i + 1}."
            head[f"{block}depthwise.weight"] = noise(width, 1, 3, 3, seed=seed + i)
            head[f"{block}pointwise.weight"] = noise(width, width, 1, 1, seed=seed + i)
            head[f"{block}norm.weight"] = 1 + noise(width, seed=seed + i)
            head[f"{block}norm.bias"] = noise(width, seed=seed + i)
            head[f"{block}gamma"] = torch.tensor([0.1 * (i + 1)])
    head["decoder.out_conv.weight"] = noise(1, width, 1, 1, seed=60)
    head["decoder.out_conv.bias"] = noise(1, seed=61)
    return head


def run_second(head: Tensors, levels: list[torch.Tensor]) -> torch.Tensor:
    def block(name: str, x: torch.Tensor) -> torch.Tensor:
        own = {n.removeprefix(name): t for n, t in head.items() if n.startswith(name)}
        y = functional.conv2d(x, own["depthwise.weight"], padding=1, groups=x.shape[1])
        y = functional.conv2d(y, own["pointwise.weight"])
        y = functional.group_norm(y, 32, own["norm.weight"], own["norm.bias"])
        return x + own["gamma"] * functional.gelu(y)

    total = None
    for i in (3, 2, 1, 0):
        x = functional.conv2d(levels[i], head[f"decoder.token_projections.{i}.weight"])
        h, w = x.shape[-2:]
        x = enlarged(x, (h * 2 ** (3 - i), w * 2 ** (3 - i)), False)
        weight = head[f"decoder.tpa_branch_{i + 1}.conv.weight"]
        x = functional.conv2d(x, weight, padding=1)
        x = block(f"decoder.sad_intra_{i + 1}.", x)
        if total is not None:
            x = x + enlarged(total, x.shape[-2:], False)
        total = block(f"decoder.sad_inter_{i + 1}.", x)
    weight, bias = head["decoder.out_conv.weight"], head["decoder.out_conv.bias"]
    return enlarged(functional.conv2d(total, weight, bias), (256, 256), False)


def enlarged(x: torch.Tensor, size: tuple[int, int], corners: bool) -> torch.Tensor:
    if x.shape[-2:] == size:
        return x
    return functional.interpolate(x, size, mode="bilinear", align_corners=corners)


@pytest.fixture(scope="module")
def backbone() -> Tensors:
    return random_meta_state()


RELEASED = {
    "paper": (lambda: first_version(192, False), run_first),
    "released": (lambda: first_version(192, True), run_first),
    "second": (lambda: second_version(192, 64), run_second),
}


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("version", RELEASED)
def test_a_checkpoint_of_segdino_is_encoder_and_head(
    version: str, prefix: str, backbone: Tensors, tmp_path: Path
) -> None:
    make, run = RELEASED[version]
    head = make()
    both = {f"backbone.{n}": t for n, t in backbone.items()} | head
    path = tmp_path / "best.pth"
    torch.save({prefix + n: t for n, t in both.items()}, path)
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)

    x = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        levels = reference_vit(backbone, (x - mean) / std, LEVELS)
        wanted = run(head, levels)[0, 0].sigmoid().numpy()

    probe = Segmenter.load(path).set_params(cache=CacheSettings(0, 0, tmp_path))
    found = probe.predict_proba(picture)
    assert wanted.std() > 0.01, "the test tells something"
    np.testing.assert_allclose(found[1], wanted, atol=2e-3)
    again = Segmenter.load(probe.save(tmp_path / "probe.segdino"))
    again.set_params(cache=CacheSettings(0, 0, tmp_path))
    assert np.array_equal(again.predict_proba(picture), found)
    if prefix:
        worker = loaded_segmenter(read_probe(path))
        worker.set_params(cache=CacheSettings(0, 0, tmp_path))
        assert np.array_equal(worker.predict_proba(picture), found)


def test_pictures_of_any_shape_are_squashed(backbone: Tensors, tmp_path: Path) -> None:
    both = {f"backbone.{n}": t for n, t in backbone.items()} | first_version(192, False)
    torch.save(both, tmp_path / "best.pth")
    probe = Segmenter.load(tmp_path / "best.pth")
    probe.set_params(cache=CacheSettings(0, 0, tmp_path))
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3)).astype(np.uint8)
    square = Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC)
    wide = probe.predict_proba(picture)[1]
    wanted = Image.fromarray(probe.predict_proba(np.asarray(square))[1])
    near = np.asarray(wanted.resize((160, 90), Image.Resampling.BILINEAR))
    assert np.abs(wide - near).mean() < 0.02


def test_what_is_read_is_what_a_probe_file_holds(
    backbone: Tensors, tmp_path: Path
) -> None:
    head = second_version(192, 64)
    path = tmp_path / "best.pth"
    torch.save({f"backbone.{n}": t for n, t in backbone.items()} | head, path)
    meta, tensors = read_released(path)
    assert (meta["encoder"], meta["n_classes"]) == (str(path.resolve()), 2)
    assert (meta["head"], meta["recipe"]) == (
        "segdino_v2",
        "segdino_v2_published:width=64",
    )
    assert meta["features"]["squash"] == "bilinear"
    assert meta["learned"]["channels"] == [192] * 4
    assert meta["learned"]["memory"] == []
    kept = tensors["head.intra.2.body.0.weight"]
    assert torch.equal(kept, head["decoder.sad_intra_3.depthwise.weight"])
    assert tensors["head.inter.0.body.4.gamma"].shape == ()
    assert torch.equal(tensors["head.scale_0"], torch.ones(192)), "nothing is scaled"
    assert all(t.dtype == torch.float32 for t in tensors.values())


@pytest.mark.parametrize("fault", ["none", "refined", "two logits", "part"])
def test_other_checkpoints_are_no_probes(
    fault: str, backbone: Tensors, tmp_path: Path
) -> None:
    content = {f"backbone.{n}": t for n, t in backbone.items()}
    if fault != "none":
        content |= first_version(192, False)
    if fault == "refined":
        content["head.scratch.refinenet1.weight"] = torch.zeros(3)
    if fault == "two logits":
        content["head.scratch.output_conv.weight"] = torch.zeros(2, 512, 1, 1)
        content["head.scratch.output_conv.bias"] = torch.zeros(2)
    if fault == "part":
        del content["head.projects.3.weight"]
    torch.save(content, tmp_path / "other.pth")
    words = "as the encoder" if fault == "none" else "another variant"
    with pytest.raises(ModelFileError, match=words):
        Segmenter.load(tmp_path / "other.pth")
