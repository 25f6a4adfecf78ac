"""Small data sets on disk, a runner, and an encoder that needs no network."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from fake_encoder import FakeEncoder
from PIL import Image


def picture(seed: int, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A bright square in dark noise, and where it is."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 40, (side, side, 3)).astype(np.uint8)
    mask = np.zeros((side, side), bool)
    y, x = rng.integers(4, side - 24, 2)
    mask[y : y + 20, x : x + 20] = True
    image[mask] += 180
    return image, mask


@pytest.fixture
def folders(tmp_path):
    """Give a function that writes n pictures and masks of 0 and 255."""

    def make(n=6, root="set", images="images", masks="masks", first=0, values=(0, 255)):
        base = tmp_path / root
        for name in (images, masks):
            (base / name).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + n):
            image, mask = picture(i)
            Image.fromarray(image).save(base / images / f"p{i // 2}_{i}.png")
            shown = np.where(mask, values[1], values[0]).astype(np.uint8)
            Image.fromarray(shown).save(base / masks / f"p{i // 2}_{i}.png")
        return base

    return make


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Let any encoder's name give block means, and count what is encoded."""
    encoder = FakeEncoder()
    encoder.installed(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return encoder


@pytest.fixture
def run():
    """Give a function that runs a command and checks its status."""
    from napari_segdino.cli import main

    def invoke(*args, status=0):
        result = CliRunner().invoke(main, [str(a) for a in args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    return invoke
