"""A long day at one window: what it needs levels off.

What it measures goes into docs/trust.md; ``pytest -m long -s`` shows it.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_encoder import FakeEncoder
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings

IMAGES = 20
ROUNDS = 500
LEVEL = 100
"""Rounds after which the cache is full and every image was worked on."""

BUDGET = 4 << 20
"""Bytes of features that are held: less than those of all images."""

MOST = 100 << 20
"""Bytes that the rest of the day may add."""


def needed() -> dict[str, int]:
    """Resident bytes, threads, widgets and open files of this process."""
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    status = Path("/proc/self/statm").read_text(encoding="utf-8").split()
    return {
        "bytes": int(status[1]) * os.sysconf("SC_PAGE_SIZE"),
        "threads": threading.active_count(),
        "widgets": len(QApplication.allWidgets()),
        "files": len(os.listdir("/proc/self/fd")),
    }


def worked(user: Any, number: int) -> None:
    """Paint one stroke of each side on the next image, retrain, now and then undo."""
    image = user.viewer.layers[f"scan {number % IMAGES}"]
    user.dock.inputs.image.setValue(image)
    user.segment() if user.annotation is None else user.rest()
    mask, row = user.annotation.mask, number % 50 + 5
    mask.brush_size = 3
    for label, column in ((1, 20), (0, 70)):
        mask.paint((row, column), label)
    user.retrain()
    if number % 7 == 0:
        mask.undo()
        user.rest()


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_long_day_levels_off(
    make_user: Any, plane: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = FakeEncoder().installed(monkeypatch)
    cache = CacheSettings(BUDGET, 0, tmp_path / "day")
    user = make_user(maker=lambda **_: Segmenter("fake", cache=cache))
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        noise = random.integers(0, 20, plane.shape).astype(np.uint8)
        user.viewer.add_image(plane + noise, name=f"scan {number}")
    seen = {}
    for number in range(ROUNDS):
        worked(user, number)
        if (number + 1) % LEVEL == 0:
            seen[number + 1] = needed()
            sys.stdout.write(f"{number + 1}: {seen[number + 1]}\n")
    assert encoder.planes_encoded > ROUNDS, "features are dropped and made again"
    first, last = seen[LEVEL], seen[ROUNDS]
    assert last["bytes"] - first["bytes"] < MOST
    for what in ("threads", "widgets", "files"):
        assert abs(last[what] - first[what]) <= 2, what
