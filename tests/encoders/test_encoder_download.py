"""Fetching from a loopback hub: whole or not at all, and never a long wait."""

from __future__ import annotations

import hashlib
import shutil
import socket
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from dinov3_reference import random_meta_state
from hub_server import HubServer
from safetensors.torch import save

from napari_segdino.encoders import download, load_encoder, weights_folder
from napari_segdino.encoders.download import iter_fetch
from napari_segdino.encoders.layouts import convert
from napari_segdino.encoders.weights import Source
from napari_segdino.errors import InputError, WeightsError
from napari_segdino.progress import Progress, drive

SOURCE = Source("Test weights", "timm/test", ("model.safetensors",), "test")
FILE = "timm/test/resolve/main/model.safetensors"
BODY = bytes(range(256)) * 12_000  # 3 MB: three chunks
OFFERS = "built-in encoder efficientnet_lite0, give a local file, or try again"


def kept() -> list[str]:
    folder = weights_folder()
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refused(match: str) -> str:
    with pytest.raises(WeightsError, match=match) as caught:
        drive(iter_fetch(SOURCE))
    assert "test.safetensors" not in kept()
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def test_a_whole_download(hub: HubServer) -> None:
    hub.files[FILE] = BODY
    steps: list[Progress] = []
    path = drive(iter_fetch(SOURCE), steps.append)
    assert path == weights_folder() / "test.safetensors"
    assert path.read_bytes() == BODY
    assert kept() == ["test.safetensors"]
    down = [s for s in steps if s.text.startswith("Downloading Test weights")]
    assert [s.done for s in down] == [1 << 20, 2 << 20, len(BODY)]
    assert {s.total for s in down} == {len(BODY)}
    assert hub.requests[0][1]["authorization"] == "Bearer hf_test"


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_cut_download_is_gone_on_with(hub: HubServer, knows_ranges: bool) -> None:
    hub.files[FILE], hub.cut_after = BODY, 2_000_000
    text = refused("was cut off")
    assert OFFERS in text
    (part,) = kept()
    assert part.startswith(".") and part.endswith(".part")
    size = (weights_folder() / part).stat().st_size
    assert 0 < size <= 2_000_000
    hub.cut_after, hub.knows_ranges = -1, knows_ranges
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY
    assert hub.ranges() == [f"bytes={size}-"]
    assert kept() == ["test.safetensors"]


def test_a_cut_download_of_no_known_hash_is_removed(hub: HubServer) -> None:
    hub.files[FILE], hub.cut_after, hub.names_hash = BODY, 2_000_000, False
    refused("was cut off")
    assert kept() == []
    hub.cut_after = -1
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY


def test_a_spoilt_part_is_not_trusted(hub: HubServer) -> None:
    """What was begun is checked with the rest: other bytes are thrown away."""
    hub.files[FILE] = BODY
    weights_folder().mkdir()
    digest = hashlib.sha256(BODY).hexdigest()
    part = weights_folder() / f".test.safetensors.{digest[:16]}.part"
    part.write_bytes(bytes(1_000_000))
    refused("not what the server promised")
    assert hub.ranges() == ["bytes=1000000-"]
    assert kept() == []
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY


def test_wrong_bytes_are_refused(hub: HubServer) -> None:
    hub.files[FILE], hub.stated_sha256 = BODY, "0" * 64
    refused("not what the server promised")
    assert kept() == []


def test_a_store_that_sends_less_than_was_stated(hub: HubServer) -> None:
    hub.files[FILE], hub.names_hash, hub.stated_size = BODY, False, len(BODY) + 1
    refused(f"cut off after {len(BODY)} of {len(BODY) + 1} bytes")
    assert kept() == []


def test_cancel(hub: HubServer) -> None:
    hub.files[FILE] = BODY
    steps = iter_fetch(SOURCE)
    while not next(steps).text.startswith("Downloading"):
        pass
    started = time.monotonic()
    steps.close()
    assert time.monotonic() - started < 1
    assert "test.safetensors" not in kept()
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY


def test_cancel_of_no_known_hash_leaves_nothing(hub: HubServer) -> None:
    hub.files[FILE], hub.names_hash = BODY, False
    steps = iter_fetch(SOURCE)
    while not next(steps).text.startswith("Downloading"):
        pass
    steps.close()
    assert kept() == []


def test_nobody_listens() -> None:
    started = time.monotonic()
    text = refused("127.0.0.1 does not answer")
    assert time.monotonic() - started < 5
    assert OFFERS in text


def test_look_up_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any) -> None:
        time.sleep(3)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(download, "_CONNECT_S", 0.2)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    started = time.monotonic()
    refused("hub.invalid does not answer")
    assert time.monotonic() - started < 2


def test_time_limits_are_short() -> None:
    assert download._CONNECT_S <= 5 and download._STALL_S <= 10


def test_a_stalled_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_STALL_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert "127.0.0.1" in refused("does not answer")
    assert kept() == []


def test_offline(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files[FILE] = BODY
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused("HF_HUB_OFFLINE forbids")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (401, "accept it at http.*timm/test and set HF_TOKEN"),
        (403, "accept it at http.*timm/test and set HF_TOKEN"),
        (404, "There is no model.safetensors in timm/test"),
        (503, "error 503"),
    ],
)
def test_the_server_says_no(hub: HubServer, status: int, match: str) -> None:
    hub.files[FILE], hub.status = BODY, status
    assert OFFERS in refused(match)
    assert kept() == []


def test_the_second_name_is_tried(hub: HubServer) -> None:
    hub.files["timm/test/resolve/main/pytorch_model.bin"] = BODY
    source = Source("T", "timm/test", ("model.safetensors", "pytorch_model.bin"), "t")
    assert drive(iter_fetch(source)).name == "t.bin"


def test_folder_that_cannot_be(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[FILE] = BODY
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_SEGDINO_WEIGHTS", str(tmp_path / "file" / "weights"))
    with pytest.raises(WeightsError, match="cannot be kept in .*SEGDINO_WEIGHTS"):
        drive(iter_fetch(SOURCE))


def test_folder_that_is_read_only(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the error a read-only folder gives; root may write into any."""
    hub.files[FILE] = BODY

    def deny(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    marked = refused(r"cannot be kept in .*\(Permission denied\)")
    assert str(weights_folder()) in marked


def test_full_disk(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files[FILE] = BODY
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 8, len(BODY) - 1))
    refused("is full: make room there")
    assert not (weights_folder() / "test.safetensors").exists()


def test_a_table_row_from_the_network_to_features(hub: HubServer) -> None:
    name = "vit_small_patch16_dinov3_qkvb.lvd1689m"
    state = convert(random_meta_state(384)).tensors
    small = {n: t.half() for n, t in state.items()}  # half the bytes to send
    hub.files[f"timm/{name}/resolve/main/model.safetensors"] = save(small)
    encoder = load_encoder("dinov3_vits16", "cpu")
    assert encoder.spec.name == "dinov3_vits16"
    (got,) = encoder.encode(torch.rand(1, 3, 20, 40), [11])
    assert got.shape == (1, 384, 2, 3)
    asked = len(hub.requests)
    assert load_encoder(f"timm:{name}", "cpu").key == encoder.key
    assert len(hub.requests) == asked  # found here the second time


def test_a_row_refuses_another_model_s_file() -> None:
    weights_folder().mkdir()
    torch.save(random_meta_state(), weights_folder() / "dinov3_vitb16.pth")
    with pytest.raises(WeightsError, match="holds vit_tiny.*not DINOv3 ViT-B/16"):
        load_encoder("dinov3_vitb16", "cpu")


@pytest.mark.parametrize(
    ("model", "strides"),
    [
        ("test_vit.r160_in1k", (16,) * 6),
        ("test_resnet.r160_in1k", (2, 4, 8, 16, 32)),
        ("test_convnext.r160_in1k", (4, 8, 16, 32)),
        ("vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m", (16,) * 12),
    ],
)
def test_any_timm_model(hub: HubServer, model: str, strides: tuple[int, ...]) -> None:
    import timm

    state = timm.create_model(model).state_dict()
    repo = f"timm/{model}/resolve/main/model.safetensors"
    hub.files[repo] = save({n: t.contiguous() for n, t in state.items()})
    encoder = load_encoder(f"timm:{model}", "cpu")
    assert encoder.spec.strides == strides
    levels = range(encoder.spec.depth)
    for got, stride, width in zip(
        encoder.encode(torch.rand(1, 3, 40, 70), levels),
        strides,
        encoder.spec.channels,
        strict=True,
    ):
        assert got.shape == (1, width, -(-40 // stride), -(-70 // stride))


def test_a_timm_model_s_misfit_is_refused(hub: HubServer) -> None:
    name = "timm/test_vit.r160_in1k/resolve/main/model.safetensors"
    hub.files[name] = save({"a": torch.zeros(2)})
    with pytest.raises(WeightsError, match="do not fit timm's test_vit"):
        load_encoder("timm:test_vit.r160_in1k", "cpu")


def test_biases_are_never_dropped_unseen(hub: HubServer) -> None:
    model = "vit_small_patch16_dinov3.tag"
    from napari_segdino.encoders.dinov3 import load_timm

    with pytest.raises(WeightsError, match="use vit_small_patch16_dinov3_qkvb"):
        load_timm(model.split(".")[0], random_meta_state(384), torch.device("cpu"))


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="There is no encoder named 'dino'"):
        load_encoder("dino", "cpu")
    with pytest.raises(InputError, match="no model named 'dino'"):
        load_encoder("timm:dino", "cpu")
