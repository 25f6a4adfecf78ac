"""Export mask and Copy as script: what is written, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_segdino._qt.controllers.exports import Exports
from napari_segdino._qt.mouse import click
from napari_segdino.io.read import read_mask

WHERE = "napari_segdino._qt.controllers.exports"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Answer the dialog of Export mask, and note what it proposed."""
    proposed: list[Any] = []

    def answer(parent: Any, name: str, suffix: str) -> Path:
        proposed.append((name, suffix))
        return tmp_path / f"{name}.tif"

    monkeypatch.setattr(f"{WHERE}.ask_export_mask", answer)
    return proposed


def test_the_mask_on_screen_is_what_the_file_holds(
    shown: Any, asked: list[Any], tmp_path: Path
) -> None:
    exports: Exports = shown.dock.exports
    click(exports.mask)
    shown.rest()
    assert asked == [("scan-mask", ".tif")]
    path = tmp_path / "scan-mask.tif"
    shown.wait(lambda: str(path) in shown.status)
    mask = shown.annotation.mask.data
    assert mask.any()
    np.testing.assert_array_equal(read_mask(path), mask)


def test_nothing_is_asked_before_there_is_a_mask(
    make_user: Callable[..., Any], plane: np.ndarray, asked: list[Any]
) -> None:
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    for button in (user.dock.exports.mask, user.dock.exports.script):
        click(button)
        assert "Segment" in user.status
    assert asked == []


def test_a_cancelled_dialog_changes_nothing(
    shown: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(f"{WHERE}.ask_export_mask", lambda *_: None)
    monkeypatch.setattr(f"{WHERE}.ask_save_script", lambda *_: None)
    before = shown.status
    click(shown.dock.exports.mask)
    click(shown.dock.exports.script)
    shown.rest()
    assert shown.status == before
    assert not [*tmp_path.rglob("*.tif"), *tmp_path.rglob("*.py")]


def test_the_buttons_wait_while_a_job_is_at_work(shown: Any) -> None:
    seen = []
    shown.dock.controller.busy_changed.connect(
        lambda busy: seen.append((busy, shown.dock.exports.isEnabled()))
    )
    click(shown.dock.actions.segment)
    shown.rest()
    assert (True, False) in seen
    assert shown.dock.exports.isEnabled()
