"""Copy as script: what it puts on the clipboard gives the mask of the window."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from docks import rest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_segdino._qt.mouse import click, press_key, stroke
from napari_segdino.io.read import read_mask


@pytest.fixture
def session(
    make_napari_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A window with the dock as napari opens it; scripts go to one file."""
    answer = str(tmp_path / "out" / "again.py"), ""
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: answer)
    viewer = make_napari_viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-segdino")
    dock = widget.dock
    dock.session.change(encoder="efficientnet_lite0", device="cpu")
    QApplication.clipboard().setText("")
    return viewer, dock


@pytest.fixture
def plane() -> Any:
    """A bright disc and a grey one on a dark field with noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:72, :96]
    image = rng.normal(30, 4, (72, 96))
    image[np.hypot(y - 26, x - 26) < 14] += 170
    image[np.hypot(y - 48, x - 66) < 12] += 80
    return image.clip(0, 255).astype(np.uint8)


def press(dock: Any, button: Any) -> None:
    click(button)
    rest(dock)


def copy(dock: Any) -> str:
    press(dock, dock.exports.script)
    assert "on the clipboard" in dock.status.label.text()
    assert "differs" not in dock.status.label.text()
    return str(QApplication.clipboard().text())


def run(text: str, folder: Path) -> Any:
    """Run what was copied in a process with a cache of its own; return the mask."""
    env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", text], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return read_mask(folder / "out" / "again-mask.tif")


def test_a_session_in_another_process(session: Any, plane: Any, tmp_path: Path) -> None:
    viewer, dock = session
    tifffile.imwrite(tmp_path / "scan.tif", plane)
    viewer.open(tmp_path / "scan.tif", plugin="napari-segdino")
    rest(dock)
    press(dock, dock.actions.segment)
    annotation = dock.controller.annotations.get(dock.image)
    mask = annotation.mask
    mask.brush_size = 3
    stroke(viewer, mask, [(48, 60), (48, 72)])
    dock.classes.pick(0)
    stroke(viewer, mask, [(8, 10), (8, 80)])
    press(dock, dock.actions.retrain)
    # A second lesson, one that is taken back, and a stroke that is not learned.
    stroke(viewer, mask, [(62, 20), (62, 80)])
    press(dock, dock.actions.retrain)
    learned = mask.data.copy()
    stroke(viewer, mask, [(34, 4), (34, 90)])
    press(dock, dock.actions.retrain)
    for _ in range(2):
        press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        rest(dock)
    np.testing.assert_array_equal(mask.data, learned)
    dock.classes.pick(1)
    stroke(viewer, mask, [(66, 4), (66, 12)])
    before = mask.data.copy()
    text = copy(dock)
    assert "scan.tif" in text
    np.testing.assert_array_equal(mask.data, before)
    np.testing.assert_array_equal(run(text, tmp_path), before)


def test_a_photo_that_napari_reads_and_a_first_mask(
    session: Any, plane: Any, tmp_path: Path
) -> None:
    viewer, dock = session
    Image.fromarray(np.stack([plane, plane // 2, plane // 3], -1)).save(
        tmp_path / "photo.png"
    )
    viewer.open(tmp_path / "photo.png", plugin="napari")
    rest(dock)
    press(dock, dock.actions.segment)
    text = copy(dock)
    assert "photo.png" in text
    left: dict[str, Any] = {}
    exec(text, left)
    mask = dock.controller.annotations.get(dock.image).mask
    np.testing.assert_array_equal(left["labels"], mask.data)


def test_slices_of_a_volume_without_a_file(session: Any, plane: Any) -> None:
    viewer, dock = session
    viewer.add_image(np.stack([plane, plane[::-1], plane[:, ::-1]]), name="made: 3")
    rest(dock)
    press(dock, dock.actions.segment)
    mask = dock.controller.annotations.get(dock.image).mask
    dock.classes.pick(0)
    stroke(viewer, mask, [(8, 10), (8, 80)])
    dock.classes.pick(1)
    stroke(viewer, mask, [(45, 20), (45, 30)])
    press(dock, dock.actions.retrain)
    viewer.dims.set_point(0, 2)
    press(dock, dock.actions.segment)
    left: dict[str, Any] = {}
    exec(copy(dock), left)
    np.testing.assert_array_equal(left["labels"], mask.data)
    assert mask.data[2].any()
    assert not mask.data[0].any()
    dock.session.change(whole_volume=True)
    press(dock, dock.actions.segment)
    exec(copy(dock), left)
    np.testing.assert_array_equal(left["labels"], mask.data)
    assert mask.data[0].any()


def test_without_a_mask_it_is_refused(session: Any, plane: Any, tmp_path: Path) -> None:
    viewer, dock = session
    press(dock, dock.exports.script)
    assert "Open an image first" in dock.status.label.text()
    viewer.add_image(plane)
    rest(dock)
    press(dock, dock.exports.script)
    assert "no mask yet" in dock.status.label.text()
    assert QApplication.clipboard().text() == ""
    assert not list((tmp_path / "out").iterdir())
