"""OpenVINO in place of PyTorch: used where it is there, and with the same features."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_segdino.encoders import load_encoder
from napari_segdino.encoders import openvino as compiled
from napari_segdino.encoders.frozen import FrozenEncoder


def loaded(precision: str = "float32") -> FrozenEncoder:
    encoder = load_encoder("efficientnet_lite0", "cpu", precision)
    assert isinstance(encoder, FrozenEncoder)
    return encoder


class Played:
    """Stands in for a compiled network: each level is full of its number."""

    made = 0

    def __init__(self, model: Any, depth: int, key: str, folder: Path) -> None:
        type(self).made += 1
        self.depth = depth

    def __call__(self, x: torch.Tensor, wanted: list[int]) -> list[torch.Tensor]:
        sides = [x.shape[-1] >> (level + 1) for level in wanted]
        return [
            torch.full((len(x), 2, side, side), float(level))
            for level, side in zip(wanted, sides, strict=True)
        ]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> type[Played]:
    monkeypatch.setattr(compiled, "installed", lambda: True)
    monkeypatch.setattr(compiled, "CompiledLevels", Played)
    monkeypatch.setattr(Played, "made", 0)
    return Played


def test_it_is_compiled_once_when_all_levels_are_wanted(played: type[Played]) -> None:
    encoder, batch = loaded(), torch.rand(1, 3, 64, 64)
    first, deepest = encoder.encode(batch, [1, 4])
    assert first.shape == (1, 2, 16, 16) and (first == 1).all()
    assert (deepest == 4).all()
    assert (encoder.encode(batch, [4])[0] == 4).all()
    assert played.made == 1


def test_shallow_levels_and_half_precision_are_left_to_torch(
    played: type[Played],
) -> None:
    batch = torch.rand(1, 3, 64, 64)
    assert loaded().encode(batch, [1])[0].shape[1] == 24, "torch stops early"
    assert loaded("bfloat16").encode(batch, [4])[0].shape[1] == 320
    assert played.made == 0


def test_torch_takes_over_where_it_cannot_compile(
    played: type[Played], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(compiled, "CompiledLevels", fail)
    (deepest,) = loaded().encode(torch.rand(1, 3, 64, 64), [4])
    assert deepest.shape[1] == 320
    assert "PyTorch runs it" in caplog.text


def test_without_it_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "installed", lambda: False)
    assert compiled.compile_levels(torch.nn.Identity(), 5, "any") is None


def test_features_are_those_of_torch_in_any_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Not importorskip, which would import it with what reports.
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("the extra openvino is not installed")
    monkeypatch.setattr(compiled, "installed", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plain, quick = loaded(), loaded()
    plain._compile_tried = True
    for shape in ((1, 3, 96, 64), (2, 3, 64, 160), (1, 3, 50, 33)):
        batch = torch.rand(*shape)
        each = (encoder.features(batch, range(5)) for encoder in (plain, quick))
        for wanted, found in zip(*each, strict=True):
            assert found.shape == wanted.shape
            assert float((found - wanted).norm() / wanted.norm()) < 1e-4
    assert quick._compiled is not None
    assert sys.modules["openvino_telemetry"] is None, "nothing is reported"
    again = loaded()
    assert again._compile([4]) is not None, "read from where it was kept"
    assert len(list((tmp_path / "napari-segdino" / "openvino").iterdir())) == 2
