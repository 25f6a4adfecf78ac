"""Every layout gives the same encoder; what does not fit is refused in a sentence."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import zipfile
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from dinov3_reference import Tensors, random_meta_state, to_hugging_face
from safetensors.torch import save_file

from napari_segdino.encoders import (
    FrozenEncoder,
    checkpoint,
    load_encoder,
    read_checkpoint,
    spec_for_state,
)
from napari_segdino.encoders.dinov3 import fingerprint
from napari_segdino.encoders.layouts import convert
from napari_segdino.errors import WeightsError


@pytest.fixture(scope="module")
def meta() -> Tensors:
    """A tiny DINOv3 ViT: width 192, 12 blocks."""
    return random_meta_state()


@pytest.fixture(scope="module")
def meta_encoder(meta: Tensors, tmp_path_factory: Any) -> FrozenEncoder:
    path = tmp_path_factory.mktemp("meta") / "meta.pth"
    torch.save(meta, path)
    encoder = load_encoder(path, "cpu")
    assert isinstance(encoder, FrozenEncoder)
    return encoder


def write_hf_folder(state: Tensors, folder: Path) -> Path:
    save_file(to_hugging_face(state, "model."), folder / "model.safetensors")
    return folder


def write_hf_parts(state: Tensors, folder: Path) -> Path:
    tensors = to_hugging_face(state)
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    where: dict[str, str] = {}
    for part, mine in parts.items():
        save_file({name: tensors[name] for name in mine}, folder / part)
        where |= dict.fromkeys(mine, part)
    index = {"metadata": {}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_hf_file(state: Tensors, folder: Path) -> Path:
    save_file(to_hugging_face(state), folder / "any name.safetensors")
    return folder / "any name.safetensors"


def write_timm(state: Tensors, folder: Path) -> Path:
    save_file(convert(state).tensors, folder / "timm.safetensors")
    return folder / "timm.safetensors"


def write_timm_pth(state: Tensors, folder: Path) -> Path:
    torch.save({"state_dict": convert(state).tensors}, folder / "timm.pth")
    return folder / "timm.pth"


def write_old_pth(state: Tensors, folder: Path) -> Path:
    path = folder / "old.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


def write_teacher(state: Tensors, folder: Path) -> Path:
    teacher = {f"backbone.{name}": value for name, value in state.items()}
    teacher["dino_head.mlp.0.weight"] = torch.zeros(3)
    torch.save({"teacher": teacher}, folder / "teacher.pth")
    return folder / "teacher.pth"


def behind(prefix: str) -> Callable[[Tensors, Path], Path]:
    def write_behind(state: Tensors, folder: Path) -> Path:
        named = {prefix + name: value for name, value in state.items()}
        torch.save({"epoch": 3, **named}, folder / "prefixed.pth")
        return folder / "prefixed.pth"

    return write_behind


def write_hf_behind(state: Tensors, folder: Path) -> Path:
    named = {f"backbone.{n}": t for n, t in to_hugging_face(state).items()}
    save_file(named, folder / "hf.safetensors")
    return folder / "hf.safetensors"


def write_with_student(state: Tensors, folder: Path) -> Path:
    other = {name: torch.zeros_like(value) for name, value in state.items()}
    content = {
        "student": {f"module.backbone.{n}": t for n, t in other.items()},
        "teacher": {f"module.backbone.{n}": t for n, t in state.items()},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
    }
    torch.save(content, folder / "training.pth")
    return folder / "training.pth"


def write_with_numbers(state: Tensors, folder: Path) -> Path:
    content = {
        "network_weights": {f"_orig_mod.{n}": t for n, t in state.items()},
        "best": np.float64(3.2),
        "count": np.int64(7),
        "args": argparse.Namespace(lr=0.1, name="x"),
    }
    torch.save(content, folder / "numbers.pth")
    return folder / "numbers.pth"


def beside(**more: Any) -> Callable[[Tensors, Path], Path]:
    """Write a table of tensors beside what training programs leave."""

    def write_beside(state: Tensors, folder: Path) -> Path:
        torch.save({"model": state, **more}, folder / "more.pth")
        return folder / "more.pth"

    return write_beside


def write_list(state: Tensors, folder: Path) -> Path:
    torch.save([{"epoch": 1}, state], folder / "list.pth")
    return folder / "list.pth"


def in_folder(name: str) -> Callable[[Tensors, Path], Path]:
    """Write the one checkpoint of a folder, and give the folder."""

    def write_in_folder(state: Tensors, folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, folder / name)
        (folder / "config.json").write_text("{}")
        return folder

    return write_in_folder


def write_pickle_of_another_suffix(state: Tensors, folder: Path) -> Path:
    torch.save(state, folder / "pickle.safetensors")
    return folder / "pickle.safetensors"


def write_bin_parts(state: Tensors, folder: Path) -> Path:
    tensors = to_hugging_face(state)
    names = sorted(tensors)
    where: dict[str, str] = {}
    for part, mine in (("a.bin", names[::2]), ("b.bin", names[1::2])):
        torch.save({name: tensors[name] for name in mine}, folder / part)
        where |= dict.fromkeys(mine, part)
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    return index


def write_with_a_head(state: Tensors, folder: Path) -> Path:
    """As SegDINO saves: backbone and head in one table."""
    named = {f"backbone.{n}": t for n, t in state.items()}
    torch.save({**named, "head.scratch.weight": torch.zeros(4)}, folder / "seg.pth")
    return folder / "seg.pth"


def write_hf_index(state: Tensors, folder: Path) -> Path:
    return write_hf_parts(state, folder) / "model.safetensors.index.json"


def write_unwrapped_teacher(state: Tensors, folder: Path) -> Path:
    teacher = {f"backbone.{name}": value for name, value in state.items()}
    save_file(teacher, folder / "teacher.safetensors")
    return folder / "teacher.safetensors"


@pytest.mark.parametrize(
    "write",
    [
        write_unwrapped_teacher,
        write_hf_folder,
        write_hf_parts,
        write_hf_file,
        write_timm,
        write_timm_pth,
        write_old_pth,
        write_teacher,
        behind("module."),
        behind("model.backbone."),
        behind("teacher.backbone."),
        behind("_orig_mod."),
        behind("any.thing.at.all."),
        write_hf_behind,
        write_hf_index,
        write_with_student,
        write_with_numbers,
        write_with_a_head,
        write_list,
        beside(kinds=[kind(1) for kind in (np.uint8, np.int16, np.bool_, np.str_)]),
        beside(history=np.arange(5.0), rng=np.random.get_state(), names=np.array("a")),
        beside(more=defaultdict(list, {"a": [1]}), where=Path("x")),
        beside(args=SimpleNamespace(a=1), when=datetime(2026, 1, 1)),
        in_folder("pytorch_model.bin"),
        in_folder("my weights.pth"),
        in_folder("snapshots/0a1b/model.pt"),
        write_pickle_of_another_suffix,
        write_bin_parts,
        lambda state, folder: write_bin_parts(state, folder).parent,
    ],
)
def test_layouts_agree(
    write: Callable[[Tensors, Path], Path],
    meta: Tensors,
    meta_encoder: FrozenEncoder,
    tmp_path: Path,
) -> None:
    encoder = load_encoder(str(write(meta, tmp_path)), "cpu")
    assert encoder.key == meta_encoder.key
    batch = torch.rand(1, 3, 40, 56)
    for got, wanted in zip(
        encoder.encode(batch, [0, 11]), meta_encoder.encode(batch, [0, 11]), strict=True
    ):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("told", ["hugging face", "timm", "checksum"])
def test_satellite_statistics_do_not_hang_on_the_name_alone(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, path = convert(outline(1024, 24, True)), tmp_path / "my weights.pth"
    path.write_bytes(b"weights")
    assert spec_for_state(state, path).name == "dinov3_vitl16"
    mean = [0.430, 0.411, 0.296]
    if told == "hugging face":
        about = json.dumps({"image_mean": mean})
        (tmp_path / "preprocessor_config.json").write_text(about)
    elif told == "timm":
        about = json.dumps({"pretrained_cfg": {"mean": mean}})
        (tmp_path / "config.json").write_text(about)
    else:
        # Meta's names end in how the SHA-256 of the file begins.
        first = hashlib.sha256(b"weights").hexdigest()[:8]
        monkeypatch.setattr(checkpoint, "_SATELLITE_FILES", (first,))
    for where in (path, tmp_path)[: 1 if told == "checksum" else 2]:
        spec = spec_for_state(state, where)
        assert (spec.name, spec.mean[0]) == ("dinov3_vitl16_sat", 0.430)
    small = convert(outline(384, 12, True))
    assert spec_for_state(small, path).name == "dinov3_vits16", "there is none so small"


def test_timm_s_own_model_gives_the_layout(meta: Tensors) -> None:
    """Our names are those that timm's strict loading asks for."""
    import timm

    model = timm.create_model("vit_tiny_patch16_dinov3_qkvb", num_classes=0)
    found = model.load_state_dict(convert(meta).tensors, strict=False)
    assert (found.missing_keys, found.unexpected_keys) == ([], [])


def test_periods_of_the_file_are_used(meta: Tensors, tmp_path: Path) -> None:
    other = meta | {"rope_embed.periods": meta["rope_embed.periods"] * 1.5}
    torch.save(other, tmp_path / "other.pth")
    encoder = load_encoder(tmp_path / "other.pth", "cpu")
    assert isinstance(encoder, FrozenEncoder)
    wanted = other["rope_embed.periods"].float()
    assert torch.equal(encoder.model.rope.periods, wanted)


def test_periods_are_rounded_where_the_file_has_none(
    meta: Tensors, tmp_path: Path
) -> None:
    encoder = load_encoder(write_hf_file(meta, tmp_path), "cpu")
    assert isinstance(encoder, FrozenEncoder)
    wanted = meta["rope_embed.periods"].float()
    assert torch.equal(encoder.model.rope.periods, wanted)


def test_key_tells_weights_apart(
    meta: Tensors, meta_encoder: FrozenEncoder, tmp_path: Path
) -> None:
    weight = meta["blocks.7.mlp.fc1.weight"].clone()
    weight[3, 5] += 1e-3  # one element of 5.5 million
    torch.save(meta | {"blocks.7.mlp.fc1.weight": weight}, tmp_path / "other.pth")
    other = load_encoder(tmp_path / "other.pth", "cpu")
    architecture, digest = other.key.split(":")
    assert architecture == meta_encoder.key.split(":")[0]
    assert digest != meta_encoder.key.split(":")[1]


def test_fingerprint_knows_names_shapes_and_order() -> None:
    values = torch.arange(6.0)
    checksums = {
        fingerprint(tensors)
        for tensors in (
            {"a": values},
            {"b": values},
            {"a": values.reshape(2, 3)},
            {"a": values.flip(0)},
            {"a": values, "b": values},
        )
    }
    assert len(checksums) == 5


def outline(width: int, depth: int, bias: bool, gated: int = 0) -> Tensors:
    """Make a checkpoint of any size whose tensors take no memory."""
    tiny = random_meta_state(64, depth=1, bias=bias, gated=gated and 64)
    names = {
        name.replace("blocks.0.", f"blocks.{i}.") for name in tiny for i in range(depth)
    }
    shapes = {"cls_token": (1, 1, width), "storage_tokens": (1, 4, width)}
    names = {name for name in names if not name.endswith("bias_mask")}
    return {name: torch.zeros(1).expand(shapes.get(name, (3,))) for name in names}


@pytest.mark.parametrize(
    ("size", "file", "name", "mean"),
    [
        ((384, 12, True), "a.pth", "dinov3_vits16", 0.485),
        ((384, 12, True, 1), "a.pth", "dinov3_vits16plus", 0.485),
        ((768, 12, True), "a.pth", "dinov3_vitb16", 0.485),
        ((768, 12, False), "a.pth", "dinov3_vitb16", 0.485),
        ((768, 12, False), "MedDINOv3.pth", "meddinov3_vitb16", 0.5325542106628418),
        ((1024, 24, True), "a.pth", "dinov3_vitl16", 0.485),
        ((1024, 24, True), "vitl16_sat493m-1.pth", "dinov3_vitl16_sat", 0.430),
        ((1280, 32, True, 1), "a.pth", "dinov3_vith16plus", 0.485),
        ((4096, 40, False, 1), "a.pth", "dinov3_vit7b16", 0.485),
        ((4096, 40, False, 1), "x/vit7b_SAT493M.pth", "dinov3_vit7b16_sat", 0.430),
        ((4096, 40, False, 1), "sat493m/vit7b.pth", "dinov3_vit7b16", 0.485),
        ((384, 12, True), "lingbot.pth", "lingbot_vits16", 0.485),
    ],
)
def test_architecture_is_recognised(
    size: tuple[Any, ...], file: str, name: str, mean: float
) -> None:
    spec = spec_for_state(convert(outline(*size)), file)
    assert (spec.name, spec.mean[0]) == (name, mean)
    biased = bool(size[2]) and "lingbot" not in file
    assert spec.timm_name.endswith("_qkvb") == biased


def test_meddino_s_training_file_is_recognised(tmp_path: Path) -> None:
    """As its authors save it: ``teacher``, ``backbone.``, heads beside it."""
    teacher = {f"backbone.{n}": t for n, t in outline(768, 12, False).items()}
    teacher["ibot_head.last_layer.weight"] = torch.zeros(4)
    torch.save({"teacher": teacher}, tmp_path / "model.pth")
    state = read_checkpoint(tmp_path / "model.pth")
    assert spec_for_state(state, "model.pth").name == "meddinov3_vitb16"
    assert not any("ibot" in name for name in state.tensors)


class Trap:
    """Runs code when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["zip", "pickle"])
def test_code_is_not_run(kind: str, tmp_path: Path) -> None:
    path, mark = tmp_path / "trap.pth", tmp_path / "it ran"
    if kind == "zip":
        torch.save({"a": torch.zeros(1), "b": Trap(mark)}, path)
    else:
        path.write_bytes(pickle.dumps({"b": Trap(mark)}))
    with pytest.raises(WeightsError, match="may run code|not read safely"):
        load_encoder(path, "cpu")
    assert not mark.exists()
    if kind == "zip":
        torch.load(path, weights_only=False)
        assert mark.exists(), "the trap is none"


def changed(**tensors: Any) -> Callable[[Tensors], Tensors]:
    names = {
        "gamma": "blocks.3.ls1.gamma",
        "head": "head.weight",
        "mask": "blocks.2.attn.qkv.bias_mask",
        "periods": "rope_embed.periods",
        "registers": "storage_tokens",
        "weight": "norm.weight",
    }

    def change(state: Tensors) -> Tensors:
        state = dict(state)
        for short, value in tensors.items():
            if value is None:
                del state[names[short]]
            else:
                state[names[short]] = value
        return state

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed(gamma=None), r"1 missing \(blocks.3.gamma_1\)"),
        (changed(head=torch.zeros(5)), r"1 not known \(head.weight\)"),
        (changed(gamma=torch.zeros(7)), r"blocks.3.gamma_1 is \(7,\), not \(192,\)"),
        (changed(weight=torch.full((192,), torch.nan)), "norm.weight holds NaN"),
        (changed(registers=None), "no register tokens"),
        (changed(mask=None), "bias on the attention keys"),
        (changed(mask=torch.zeros(576)), "masks biases"),
        (changed(periods=torch.ones(8)), r"periods are \(8,\)"),
        (lambda s: {n: t for n, t in s.items() if "s.11." not in n}, "11 blocks"),
        (lambda s: {"conv1.weight": torch.zeros(2)}, "any layout known"),
        (lambda s: {"layers": [1, 2]}, "no table of tensors"),
        (lambda s: [torch.zeros(2)], "any layout known"),
        (lambda s: torch.zeros(2), "no table of tensors"),
        (lambda s: {}, "no table of tensors"),
    ],
)
def test_misfits_are_refused(
    change: Callable[[Tensors], Any], reason: str, meta: Tensors, tmp_path: Path
) -> None:
    torch.save(change(meta), tmp_path / "misfit.pth")
    with pytest.raises(WeightsError, match=reason) as caught:
        load_encoder(tmp_path / "misfit.pth", "cpu")
    text = str(caught.value)
    assert "misfit.pth" in text and "\n" not in text and text.endswith(".")


def test_unmasked_zero_key_bias_is_taken(meta: Tensors, tmp_path: Path) -> None:
    state = {n: t.clone() for n, t in meta.items() if not n.endswith("bias_mask")}
    for name in state:
        if name.endswith("qkv.bias"):
            state[name][192:384] = 0
    torch.save(state, tmp_path / "a.pth")
    assert load_encoder(tmp_path / "a.pth", "cpu")


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize("write", [write_timm, write_timm_pth, write_old_pth])
def test_cut_short_is_refused(
    write: Callable[[Tensors, Path], Path], meta: Tensors, tmp_path: Path
) -> None:
    path = cut(write(meta, tmp_path))
    with pytest.raises(WeightsError, match=r"damaged|cut short"):
        load_encoder(path, "cpu")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html>please log in</html>", "is a web page.*download the file anew"),
        (b"\n<!DOCTYPE html><p>404", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "is not a checkpoint"),
        (b"\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b'{"error":"Access is restricted"}', "is text, not weights.*restricted"),
        (b"Entry not found\n", "is text, not weights: 'Entry not found'"),
        (b"PK\x03\x04" + bytes(64), "damaged or cut short"),
        (b"\x80", "damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        load_encoder(path, "cpu")


def test_in_a_folder_they_are_told_as_well(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid"
    (tmp_path / "model.safetensors").write_bytes(pointer)
    with pytest.raises(WeightsError, match="Git LFS pointer"):
        load_encoder(tmp_path, "cpu")


def test_what_is_not_read_is_told_as_what_it_is(meta: Tensors, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    torch.save({"model": meta, "layer": torch.nn.Identity()}, path)
    with pytest.raises(
        WeightsError, match=r"holds more than .*Identity.* may run code"
    ):
        load_encoder(path, "cpu")
    torch.save(meta, path, pickle_protocol=4)
    with pytest.raises(WeightsError, match="protocol that is not read safely"):
        load_encoder(path, "cpu")
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(path, "file.pth")
    with pytest.raises(WeightsError, match="archive of other files"):
        load_encoder(inner, "cpu")


def test_several_checkpoints_or_encoders_are_told(
    meta: Tensors, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = {name: torch.zeros_like(value) for name, value in meta.items()}
    torch.save({"first": meta, "second": others}, tmp_path / "a.pth")
    read_checkpoint(tmp_path / "a.pth")
    assert "'first/' is used, not 'second/'" in caplog.text
    torch.save(meta, tmp_path / "b.pth")
    with pytest.raises(WeightsError, match=r"holds several, name one.*a.pth, b.pth"):
        load_encoder(tmp_path, "cpu")


def test_tables_that_hold_each_other_are_read_once(tmp_path: Path) -> None:
    table: dict[str, Any] = {"weight": torch.zeros(1)}
    for _ in range(60):
        table = {"a": table, "b": table}
    table["itself"] = table
    torch.save(table, tmp_path / "many.pth")
    with pytest.raises(WeightsError, match="any layout known"):
        load_encoder(tmp_path / "many.pth", "cpu")


def test_what_unpacks_to_much_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    with pytest.raises(WeightsError, match=r"would unpack to 0\.1 GB"):
        load_encoder(path, "cpu")


def test_missing_places_are_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no file"):
        load_encoder(tmp_path / "gone.pth", "cpu")
    with pytest.raises(WeightsError, match=r"holds no checkpoint"):
        load_encoder(tmp_path, "cpu")


def test_parts_must_be_whole(meta: Tensors, tmp_path: Path) -> None:
    write_hf_parts(meta, tmp_path)
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(WeightsError, match="b.safetensors"):
        load_encoder(tmp_path, "cpu")


def test_index_cannot_point_outside(meta: Tensors, tmp_path: Path) -> None:
    index = {"weight_map": {"cls_token": "../secret.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match="outside its folder"):
        load_encoder(tmp_path, "cpu")


def test_an_architecture_that_timm_lacks_is_refused(tmp_path: Path) -> None:
    """Tiny and without biases: recognised, and no such model."""
    torch.save(random_meta_state(192, bias=False), tmp_path / "tiny.pth")
    with pytest.raises(WeightsError, match="timm does not have"):
        load_encoder(tmp_path / "tiny.pth", "cpu")
