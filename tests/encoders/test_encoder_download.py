"""Fetching from a loopback hub: whole or not at all, and never a long wait."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
import time
from collections import namedtuple
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dinov3_reference import random_meta_state
from hub_server import HubServer
from safetensors.torch import save

from napari_segdino.encoders import download, load_encoder, weights_folder
from napari_segdino.encoders.consent import RECORD, asker
from napari_segdino.encoders.download import iter_fetch, token_for
from napari_segdino.encoders.layouts import convert
from napari_segdino.encoders.weights import Source, find_source
from napari_segdino.errors import InputError, WeightsError
from napari_segdino.progress import Progress, drive

SOURCE = Source(
    "Test weights", "timm/test", ("model.safetensors",), "test", "MIT", "https://x.org"
)
FILE = "timm/test/resolve/main/model.safetensors"
BODY = bytes(range(256)) * 12_000  # 3 MB: many chunks
OFFERS = "built-in encoder efficientnet_lite0, give a local file, or try again"
SOON = 10  # seconds on a loaded machine; what hangs here hangs for minutes


def kept() -> list[str]:
    folder = weights_folder()
    names = (path.name for path in folder.iterdir()) if folder.exists() else ()
    return sorted(name for name in names if name != RECORD)


def refused(match: str) -> str:
    with pytest.raises(WeightsError, match=match) as caught:
        drive(iter_fetch(SOURCE))
    assert "test.safetensors" not in kept()
    assert find_source(SOURCE) is None
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    assert download._SILENCE_S <= 5
    monkeypatch.setattr(download, "_SILENCE_S", 0.5)


def test_a_whole_download(hub: HubServer, capfd: pytest.CaptureFixture[str]) -> None:
    hub.files[FILE] = BODY
    steps: list[Progress] = []
    path = drive(iter_fetch(SOURCE), steps.append)
    assert path == weights_folder() / "test.safetensors"
    assert path.read_bytes() == BODY
    assert kept() == ["test.safetensors"]
    down = [s for s in steps if s.text.startswith("Downloading Test weights")]
    counts = [s.done for s in down]
    assert counts == sorted(counts) and counts[-1] == len(BODY)
    assert {s.total for s in down} == {len(BODY)}
    assert capfd.readouterr().err == "", "the library's own bar and messages"


def test_a_cut_download_is_gone_on_with(hub: HubServer) -> None:
    """Within the same call where the hub's library does so, else with the next."""
    hub.files[FILE], hub.cut_after = BODY, 2_000_000
    with suppress(WeightsError):
        drive(iter_fetch(SOURCE))
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY
    begin = hub.ranges()[0]
    assert 1_900_000 < int(begin[6:-1]) <= 2_000_000


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_what_has_come_is_gone_on_with_later(
    hub: HubServer, knows_ranges: bool, impatient: None
) -> None:
    hub.files[FILE], hub.cut_after = BODY, 0
    weights_folder().mkdir()
    digest = hashlib.sha256(BODY).hexdigest()
    part = weights_folder() / f".test.safetensors.{digest[:16]}.part"
    part.write_bytes(BODY[:1_000_000])
    other = weights_folder() / f".test.safetensors.{'0' * 16}.part"
    mine = weights_folder() / ".test.safetensors.mine.part"
    other.touch(), mine.touch()
    assert OFFERS in refused("sends next to nothing|cut off")
    assert part.stat().st_size == 1_000_000
    hub.cut_after, hub.knows_ranges = -1, knows_ranges
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY
    assert hub.ranges()[-1] == "bytes=1000000-"
    assert kept() == [mine.name, "test.safetensors"], "other parts are swept"


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
    part.write_bytes(bytes(len(BODY) + 1))
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY


def test_wrong_bytes_are_refused(hub: HubServer) -> None:
    hub.files[FILE], hub.stated_sha256 = BODY, "0" * 64
    refused("not what the server promised")
    assert kept() == []


@pytest.mark.parametrize("more", [1, -1])
def test_another_size_than_was_stated(
    hub: HubServer, more: int, impatient: None
) -> None:
    hub.files[FILE], hub.stated_size = BODY, len(BODY) + more
    if more > 0:
        refused(f"cut off after {len(BODY)} of {len(BODY) + 1} bytes")
    else:
        refused("not what the server promised")
        assert kept() == []


def test_a_login_page_is_no_weights(hub: HubServer) -> None:
    hub.files[FILE], hub.page = BODY, b"<html>Log in to the guest network</html>"
    assert OFFERS in refused("login page")
    assert kept() == []


def test_a_login_page_instead_of_the_store(hub: HubServer) -> None:
    with HubServer() as store:
        hub.files[FILE], hub.store = BODY, store.url
        store.page = b"<html>Log in to the guest network</html>"
        refused("cut off after")
        store.page, store.files[FILE] = b"", BODY
        refused("not what the server promised")
        assert kept() == []
        assert drive(iter_fetch(SOURCE)).read_bytes() == BODY


def test_weights_of_quite_another_size(hub: HubServer) -> None:
    hub.files[FILE] = BODY
    source = replace(SOURCE, size=10 * len(BODY))
    with pytest.raises(WeightsError, match="should be of about .* not downloaded"):
        drive(iter_fetch(source))
    assert all(not path.startswith("/store/") for path, _ in hub.requests)


def test_cancel(hub: HubServer) -> None:
    hub.files[FILE], hub.drips = BODY, True
    steps = iter_fetch(SOURCE)
    while not next(steps).text.startswith("Downloading"):
        pass
    started = time.monotonic()
    steps.close()
    assert time.monotonic() - started < SOON
    assert "test.safetensors" not in kept()
    hub.drips = False
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY


def test_nobody_listens() -> None:
    started = time.monotonic()
    text = refused("127.0.0.1 does not answer")
    assert time.monotonic() - started < SOON
    assert OFFERS in text


def test_look_up_hangs(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    over = threading.Event()

    def hang(*_: Any, **__: Any) -> None:
        over.wait(60)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    started = time.monotonic()
    refused("hub.invalid does not answer")
    assert time.monotonic() - started < SOON
    over.set()


def test_a_silent_hub(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert "127.0.0.1" in refused("does not answer")
    assert kept() == []


@pytest.mark.parametrize("fault", ["silent", "drips"])
def test_a_silent_or_dripping_store(
    hub: HubServer, fault: str, impatient: None
) -> None:
    hub.files[FILE] = BODY
    setattr(hub, fault, True)
    started = time.monotonic()
    assert OFFERS in refused("does not answer|sends next to nothing")
    assert time.monotonic() - started < SOON
    setattr(hub, fault, False)
    assert drive(iter_fetch(SOURCE)).read_bytes() == BODY


def test_the_whole_has_a_limit(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files[FILE], hub.drips = BODY, True
    monkeypatch.setattr(download, "_LEAST", 0)  # every drip counts
    monkeypatch.setattr(download, "_GRACE_S", 0.5)
    monkeypatch.setattr(download, "_SLOWEST", 1 << 40)
    started = time.monotonic()
    assert OFFERS in refused("does not answer|sends next to nothing")
    assert 0.5 <= time.monotonic() - started < SOON


def test_the_token_goes_to_the_hub_alone(hub: HubServer) -> None:
    """Neither to a mirror, nor where a file lies, nor over a line that is read."""
    assert token_for("https://huggingface.co/timm/test") == "hf_test"
    for url in (
        hub.url,
        "http://huggingface.co/timm",
        "https://huggingface.co.evil.org/timm",
        "https://huggingface.co:8443/timm",
        "https://user@huggingface.co/timm",
        "https://cdn-lfs.huggingface.co/x",
    ):
        assert token_for(url) is False, url
    with HubServer() as store:
        hub.files[FILE] = store.files[FILE] = BODY
        hub.store = store.store
        assert drive(iter_fetch(SOURCE)).read_bytes() == BODY
        assert len(store.requests) == 1
        for _, headers in hub.requests + store.requests:
            assert "authorization" not in headers


def test_terms_are_shown_once_and_recorded(
    hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    hub.files[FILE] = BODY
    path = drive(iter_fetch(SOURCE))
    path.unlink()
    drive(iter_fetch(SOURCE))
    shown = [r.message for r in caplog.records if "MIT: https://x.org" in r.message]
    assert len(shown) == 1
    record = json.loads((weights_folder() / RECORD).read_text())["timm/test"]
    assert record["licence_url"] == "https://x.org" and record["shown"]


@pytest.mark.parametrize("answer", [True, False])
def test_who_can_be_asked_is_asked_first(hub: HubServer, answer: bool) -> None:
    hub.files[FILE] = BODY
    asked: list[Source] = []
    given: Future[bool] = Future()

    def ask(source: Source) -> Future[bool]:
        asked.append(source)
        return given

    token = asker.set(ask)
    try:
        steps = iter_fetch(SOURCE)
        for _ in range(3):
            assert next(steps).total == 0
        assert asked == [SOURCE] and hub.requests == []
        assert not (weights_folder() / RECORD).exists()
        given.set_result(answer)
        if answer:
            assert drive(steps).read_bytes() == BODY
        else:
            with pytest.raises(WeightsError, match="needed and was not downloaded"):
                drive(steps)
            assert hub.requests == []
    finally:
        asker.reset(token)


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
        (503, "127.0.0.1 answers 503"),
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
