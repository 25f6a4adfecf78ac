"""A user who does anything in any order: nothing painted is lost, nothing goes wrong.

The dock stands in a real window and gets real mouse and key events (walk.py). A walk is
told by its seed; Hypothesis is not used, as it plays what failed again and wants the
same to happen, to the millisecond.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from walk import Walk

from napari_segdino._qt import mouse


class Faults(logging.Handler):
    """Collects tracebacks that were logged."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.found = found

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.found.append(self.format(record))


@pytest.fixture
def faults(
    monkeypatch: pytest.MonkeyPatch, no_popups: list[str]
) -> Iterator[list[str]]:
    """Whatever goes wrong in any thread, and every popup."""
    monkeypatch.setattr(sys, "excepthook", lambda *a: no_popups.append(repr(a[:2])))
    monkeypatch.setattr(
        threading, "excepthook", lambda a: no_popups.append(repr(a.exc_value))
    )
    handler = Faults(no_popups)
    logging.getLogger("napari_segdino").addHandler(handler)
    yield no_popups
    logging.getLogger("napari_segdino").removeHandler(handler)


@pytest.fixture
def make_walk(
    make_napari_viewer: Any,
    fake_segmenter: type,
    plane: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[str],
) -> Callable[[], Walk]:
    """Make walks, each in a window of its own."""
    # The same pauses, shorter: nothing is seen by then that would not be later.
    monkeypatch.setattr(mouse, "PAUSE", 11)
    for name, value in {
        "controllers.automatic.RETRAIN_DELAY_MS": 5,
        "layers.mask_sync.SCAN_DELAY": 5,
        "controllers.session_controller.EVENT_LOOP_PAUSE_MS": 1,
        "controllers.restore.EVENT_LOOP_PAUSE_MS": 1,
    }.items():
        monkeypatch.setattr(f"napari_segdino._qt.{name}", value)
    grey = np.stack([plane, plane[::-1], plane // 2])
    colour = np.stack([plane, plane[:, ::-1], plane // 2], -1)
    images = {"grey": grey, "colour": colour}

    def make() -> Walk:
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(900, 600)
        return Walk(viewer, fake_segmenter, images, tmp_path, monkeypatch, faults)

    return make


@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk(make_walk: Callable[[], Walk], seed: int) -> None:
    assert make_walk().go(seed, 60) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_long_random_walk(make_walk: Callable[[], Walk], seed: int) -> None:
    assert make_walk().go(seed, 100) == []
