"""The Folder tab: many files, progress, Cancel, failures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtTest import QTest

from napari_segdino import Segmenter
from napari_segdino._qt import mouse
from napari_segdino.batch import work
from napari_segdino.batch.run import TICK
from napari_segdino.config import CacheSettings
from napari_segdino.io import read_mask


@pytest.fixture(scope="module")
def probe(tmp_path_factory: Any) -> Path:
    """A probe of the built-in encoder that knows bright squares."""
    folder = tmp_path_factory.mktemp("probe")
    image = np.full((64, 64), 20, np.uint8)
    image[16:40, 16:40] = 200
    cache = CacheSettings(1 << 28, 0, folder)
    segmenter = Segmenter("efficientnet_lite0", device="cpu", cache=cache)
    return segmenter.fit(image, (image > 100) + 1).save(folder / "p.segdino")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three images with a bright square each; the second is damaged."""
    (tmp_path / "scans").mkdir()
    for number in range(3):
        image = np.full((64, 64), 20, np.uint8)
        image[20:44, 8 * number : 8 * number + 24] = 200
        tifffile.imwrite(tmp_path / "scans" / f"{number}.tif", image)
    (tmp_path / "scans" / "1.tif").write_bytes(b"II*\0 no image")
    return tmp_path / "scans"


def fill_in(user: Any, source: Path, out: Path, probe: Path) -> Any:
    panel = user.dock.folder
    user.dock.tabs.setCurrentWidget(panel)
    panel.source.setValue(str(source))
    panel.folder.setValue(str(out))
    panel.probe.setValue(str(probe))
    return panel


def test_a_folder_is_segmented_and_failures_are_listed(
    make_user: Any, scans: Path, probe: Path, tmp_path: Path
) -> None:
    user = make_user(show=True)
    panel = fill_in(user, scans, tmp_path / "out", probe)
    mouse.click(panel.start)
    user.wait(lambda: "report" in user.status, 60)
    assert user.status.startswith("2 files segmented; 1 failed")
    mask = read_mask(tmp_path / "out" / "2_mask.tif")
    assert mask[30, 25] == 1
    assert mask[5, 5] == 0
    assert panel.failures.topLevelItemCount() == 1
    assert panel.failures.topLevelItem(0).text(0) == "1.tif"
    assert "1.tif" in panel.failures.topLevelItem(0).text(1)
    user.wait(panel.start.isEnabled)
    mouse.click(panel.start)
    user.wait(lambda: "2 done before" in user.status, 60)
    assert panel.failures.topLevelItemCount() == 1, "the list starts anew"


def test_cancel_stops_between_tiles(
    make_user: Any,
    scans: Path,
    probe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = make_user(show=True)
    at_work, go_on = threading.Event(), threading.Event()
    real = work._load_small

    def hold(scan: Any) -> Any:
        at_work.set()
        go_on.wait(20)
        return real(scan)

    monkeypatch.setattr(work, "_load_small", hold)
    panel = fill_in(user, scans, tmp_path / "out", probe)
    mouse.click(panel.start)
    user.wait(at_work.is_set)
    assert not panel.start.isEnabled()
    mouse.click(user.dock.status.cancel)
    QTest.qWait(int(5000 * TICK))  # the next chance to be stopped
    go_on.set()
    user.wait(lambda: not user.dock.controller.busy)
    assert "Stopped" in user.status
    assert not list((tmp_path / "out").glob("*_mask.tif"))


def test_without_a_probe(user: Any, scans: Path, tmp_path: Path) -> None:
    panel = user.dock.folder
    panel.source.setValue(str(scans))
    panel.folder.setValue(str(tmp_path / "out"))
    user.dock.folders.start()
    user.rest()
    assert "no model yet" in user.status


def test_what_is_redone_and_left_alone_is_said(
    make_user: Any, scans: Path, probe: Path, tmp_path: Path
) -> None:
    user = make_user(show=True)
    out = tmp_path / "out"
    (scans / "1.tif").unlink()
    panel = fill_in(user, scans, out, probe)
    mouse.click(panel.start)
    user.wait(lambda: "report" in user.status, 60)
    user.wait(panel.start.isEnabled)
    corrected = np.full((64, 64), 1, np.uint8)
    tifffile.imwrite(out / "0_mask.tif", corrected)
    tifffile.imwrite(scans / "2.tif", np.full((64, 64), 20, np.uint8))
    mouse.click(panel.start)
    user.wait(lambda: "left alone" in user.status, 60)
    assert "1 done again (The image has changed)" in user.status
    assert "1 left alone, listed in the Folder tab" in user.status
    assert (read_mask(out / "0_mask.tif") == corrected).all()
    item = panel.failures.topLevelItem(0)
    assert item.text(0) == "0.tif"
    assert "0_mask.tif was changed after it was made" in item.text(1)
