"""What napari sees of the plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import npe2
import numpy as np
import pytest
import tifffile
from napari.settings import get_settings
from PIL import Image
from qtpy import QT6
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QComboBox

from napari_segdino._qt import preferences
from napari_segdino._qt.layers.files import open_files, open_path
from napari_segdino._qt.widgets.model_panel import EncoderCombo, item_text
from napari_segdino.encoders import EncoderStatus, get_spec
from napari_segdino.io.formats import FORMATS
from napari_segdino.io.sample import SAMPLES
from napari_segdino.session import preload

NAME = "napari-segdino"


def test_every_command_can_be_imported(manifest: npe2.PluginManifest) -> None:
    manifest.validate_imports()
    assert manifest.contributions.commands


def test_menu_and_palette(manifest: npe2.PluginManifest) -> None:
    contributions = manifest.contributions
    items = contributions.menus["napari/layers/segment"]
    assert f"{NAME}.dock" in {item.command for item in items}
    assert {sample.key for sample in contributions.sample_data} == set(SAMPLES)
    assert {w.display_name for w in contributions.widgets} == {"SegDINO"}


def test_reader_leaves_photos_to_napari(manifest: npe2.PluginManifest) -> None:
    """Every pattern that others have too makes napari ask which reader to take.

    It asks for TIFF, since its own reader leaves out spacing and channels.
    """
    patterns = manifest.contributions.readers[0].filename_patterns
    assert {"*.nii.gz", "*.tif"} <= set(patterns)
    assert not {"*", "*.png", "*.jpg"} & set(patterns)
    assert manifest.contributions.readers[0].accepts_directories


def test_every_suffix_that_is_read_or_written_is_named(
    manifest: npe2.PluginManifest,
) -> None:
    patterns = set(manifest.contributions.readers[0].filename_patterns)
    for one in FORMATS:
        for suffix in one.suffixes:
            named = any(fnmatch(f"a{suffix}", pattern) for pattern in patterns)
            assert named == one.napari, suffix
    assert patterns <= {f"*{s}" for one in FORMATS for s in one.suffixes}
    written = set(manifest.contributions.writers[0].filename_extensions)
    assert written == {s for one in FORMATS if one.napari for s in one.mask_suffixes}


def test_files_that_napari_would_ask_about_are_opened_by_the_program(
    make_napari_viewer: Any, tmp_path: Path
) -> None:
    data = np.zeros((3, 20, 30), np.uint8)
    about = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    path, photo = tmp_path / "a.tif", tmp_path / "b.png"
    tifffile.imwrite(path, data, imagej=True, metadata=about, resolution=(2, 2))
    Image.fromarray(data[0]).save(photo)
    viewer = make_napari_viewer()
    open_files(viewer, (path, photo))
    assert [layer.name for layer in viewer.layers] == ["a", "b"]
    np.testing.assert_allclose(viewer.layers["a"].scale, (2, 0.5, 0.5))


def test_a_folder_that_is_no_scan_is_opened_without_a_question(
    make_napari_viewer: Any, tmp_path: Path
) -> None:
    """napari finds two readers for any folder, and ours refuses one of photos."""
    for name in "ab":
        Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / f"{name}.png")
    viewer = make_napari_viewer()
    open_files(viewer, (tmp_path,))
    assert [layer.data.shape for layer in viewer.layers] == [(2, 20, 30)]


def test_what_the_user_prefers_is_heeded(
    make_napari_viewer: Any, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30), np.uint8))
    viewer = make_napari_viewer()
    open_path(viewer, tmp_path / "a.tif")
    assert "segdino" not in viewer.layers[-1].metadata, "napari's own comes first"
    get_settings().plugins.extension2reader = {"*.tif": NAME}
    open_path(viewer, tmp_path / "a.tif")
    assert "segdino" in viewer.layers[-1].metadata


def drop(viewer: Any, path: Path) -> None:
    """Let a file fall on the window."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    place = viewer.window._qt_viewer.rect().center()
    if QT6:
        place = QPointF(place)
    held = Qt.KeyboardModifier.NoModifier
    event = QDropEvent(place, action, mime, button, held)
    viewer.window._qt_viewer.dropEvent(event)


def test_what_is_dropped_on_the_window(
    make_napari_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo opens at once; for a TIFF napari asks, once if told to remember."""
    asked: list[Any] = []
    question = "napari._qt.qt_viewer.handle_gui_reading"
    monkeypatch.setattr(question, lambda paths, *a, **k: asked.extend(paths))
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "b.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30), np.uint8))
    viewer = make_napari_viewer()
    drop(viewer, tmp_path / "b.png")
    assert [layer.name for layer in viewer.layers] == ["b"]
    assert not asked
    drop(viewer, tmp_path / "a.tif")
    assert asked == [str(tmp_path / "a.tif")]
    get_settings().plugins.extension2reader = {"*.tif": NAME}
    drop(viewer, tmp_path / "a.tif")
    assert len(asked) == 1
    assert viewer.layers[-1].metadata["segdino"]["path"] == asked[0]


def test_preferences_are_heeded(
    plugin_settings: Any, npe2pm: Any, manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NAPARI_SEGDINO_WEIGHTS", raising=False)
    npe2pm.register(manifest)
    found = preferences.read_preferences()
    assert found is not None
    found.compute.device = "cpu"
    found.cache.memory_gb = 0.5
    session = preferences.new_session()
    assert session.settings.device == "cpu"
    assert session.segmenter.device == "cpu"
    assert session.segmenter.cache.ram_bytes == 2**29


def test_without_the_plugin_there_are_defaults(
    plugin_settings: Any, npe2pm: Any
) -> None:
    assert preferences.read_preferences() is None
    assert preferences.new_session().settings.device == "auto"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (86_000_000, "dinov3_vits16 (download, 86 MB)"),
        (1_200_000_000, "dinov3_vits16 (download, 1.2 GB)"),
        (0, "dinov3_vits16 (needs a file)"),
    ],
)
def test_encoder_list_says_what_is_missing(size: int, text: str) -> None:
    status = EncoderStatus(get_spec("dinov3_vits16"), None, size, "licence")
    assert item_text(status) == text


def test_encoder_from_a_file(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    combo = EncoderCombo("efficientnet_lite0")
    qtbot.addWidget(combo)
    asked: list[Any] = []

    def answer(path: str) -> Callable[..., tuple[str, str]]:
        return lambda *args: (asked.append(args), (path, ""))[1]

    dialog = "napari_segdino._qt.widgets.model_panel.QFileDialog.getOpenFileName"
    monkeypatch.setattr(dialog, answer(""))
    told: list[str] = []
    combo.valueChanged.connect(told.append)
    combo.activated.emit(combo.count() - 1)
    assert (told, combo.value()) == ([], "efficientnet_lite0")
    monkeypatch.setattr(dialog, answer("/data/my.pth"))
    combo.activated.emit(combo.count() - 1)
    assert told == ["/data/my.pth"]
    assert QComboBox.currentText(combo) == "my.pth"
    assert len(asked) == 2


def test_preloading_brings_all() -> None:
    preload.preload()
    assert all(name in sys.modules for name in preload.MODULES)
    assert not preload._lock.locked()
