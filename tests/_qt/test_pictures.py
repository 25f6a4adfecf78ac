"""The pictures of the documentation can be made again, so that none is older."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_encoder import FakeEncoder
from PIL import Image

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SCRIPT = IMAGES / "make_pictures.py"


def test_every_picture_is_made_by_the_script_and_shown() -> None:
    there = {path.stem for path in IMAGES.glob("*.png")}
    assert there == set(re.findall(r'\.picture\("(\w+)"', SCRIPT.read_text()))
    pages = [p.read_text("utf-8") for p in IMAGES.parent.rglob("*.md")]
    shown = {name for page in pages for name in re.findall(r"images/(\w+)\.png", page)}
    assert shown == there


def test_a_window_is_used_and_its_pictures_are_kept(
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    FakeEncoder().installed(monkeypatch)
    script = runpy.run_path(str(SCRIPT))
    desk = script["Desk"](make_napari_viewer(show=True), tmp_path)
    script["channels"](desk)
    mask = desk.annotation.mask.data
    button = desk.part("find")
    desk.reveal(button)
    assert button.isVisible()
    desk.dock.release()

    assert 0.2 < mask.mean() < 0.8
    picture = np.asarray(Image.open(tmp_path / "channels.png"))
    assert picture.shape == script["WINDOW"][::-1]
    assert len(np.unique(picture)) > 50
