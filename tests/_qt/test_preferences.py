"""napari's own Preferences dialog: it opens, and what is changed there is heeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from napari.layers import Labels
from napari.settings import NapariSettings
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QPushButton

from napari_segdino._qt import keys, preferences
from napari_segdino._qt.dock import SegmentDock
from napari_segdino._qt.mouse import click, find_canvas, press_key

ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def installed(
    plugin_settings: Any, npe2pm: Any, manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """napari knows the plugin, whose settings are in a folder of the test."""
    monkeypatch.setenv("NAPARI_SEGDINO_WEIGHTS", "")
    npe2pm.register(manifest)


@pytest.fixture
def window(
    installed: None, make_napari_viewer: Callable[..., Any], plane: Any
) -> Iterator[tuple[Any, SegmentDock]]:
    """A window on screen with an image, and a dock that heeds the Preferences."""
    viewer = make_napari_viewer(show=True)
    viewer.add_image(plane, name="scan")
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="SegDINO")
    yield viewer, dock
    dock.release()


class Dialog:
    """The dialog, opened, and what a user does in it."""

    def __init__(self, viewer: Any) -> None:
        viewer.window._open_preferences_dialog()
        self.dialog = viewer.window._pref_dialog
        pages = self.dialog._list
        (row,) = pages.findItems("napari-segdino", Qt.MatchFlag.MatchExactly)
        middle = pages.visualItemRect(row).center()
        QTest.mouseClick(pages.viewport(), Qt.MouseButton.LeftButton, pos=middle)
        self.page = self.dialog._stack.currentWidget()

    def find(self, label: str, kind: type) -> Any:
        """Return the widget beside a label."""
        (found,) = (w for w in self.page.findChildren(QLabel) if w.text() == label)
        form = found.parentWidget().layout()
        beside = form.labelForField
        (widget,) = (
            w
            for w in found.parentWidget().findChildren(kind)
            if beside(w) is found or beside(w.parentWidget()) is found
        )
        return widget

    def type(self, label: str, kind: type, text: str) -> None:
        """Replace what stands there, letter by letter."""
        widget = self.find(label, kind)
        widget.setFocus()
        QTest.keyClick(widget, Qt.Key.Key_A, CTRL)
        QTest.keyClicks(widget, text)
        QTest.keyClick(widget, Qt.Key.Key_Tab)

    def press(self, text: str) -> None:
        buttons = self.dialog.findChildren(QPushButton)
        click(next(b for b in buttons if b.text() == text))


def wait(until: Callable[[], bool]) -> None:
    for _ in range(1000):
        if until():
            return
        QTest.qWait(10)
    raise AssertionError("waited in vain")


def test_no_group_is_named_as_one_of_napari(manifest: Any) -> None:
    """Such a group is taken for napari's own, and the dialog does not open."""
    ours = set(manifest.contributions.configurations)
    assert ours == {"compute", "weights", "keybindings", "cache"}
    assert not ours & set(NapariSettings.model_fields)


def test_what_is_changed_in_the_dialog_takes_effect(
    window: tuple[Any, SegmentDock], tmp_path: Path
) -> None:
    viewer, dock = window
    weights = tmp_path / "mine"
    weights.mkdir()
    (weights / "dinov3_vits16.pth").touch()
    combo = dock.inputs.encoder
    row = combo.findData("dinov3_vits16")
    assert "download" in combo.itemText(row)
    assert dock.session.segmenter.device == "auto"
    dialog = Dialog(viewer)
    device = dialog.find("Device", QComboBox)
    device.setFocus()
    QTest.keyClick(device, Qt.Key.Key_Down)
    dialog.type("Weights folder", QLineEdit, str(weights))
    dialog.type("Segment", QLineEdit, "Ctrl-Alt-G")
    dialog.type("In memory (GB)", QDoubleSpinBox, "0.5")
    dialog.press("OK")
    assert dock.inputs.device.currentText() == "cpu"
    assert dock.session.segmenter.device == "cpu"
    assert dock.session.segmenter.cache.ram_bytes == 2**29
    combo.showPopup()
    combo.hidePopup()
    assert combo.itemText(row) == "dinov3_vits16"
    wait(lambda: "Ctrl-Alt-G" in dock.actions.segment.toolTip())
    labels = {label.text() for label in dock.keys_list.content().findChildren(QLabel)}
    assert "Ctrl-Alt-G" in labels
    assert "Shift-S" not in labels
    find_canvas().setFocus()
    press_key(Qt.Key.Key_S, SHIFT)
    assert not dock.controller.busy
    press_key(Qt.Key.Key_G, CTRL | ALT)
    wait(lambda: any(isinstance(layer, Labels) for layer in viewer.layers))
    wait(lambda: not dock.controller.busy)
    assert "G" in preferences.read_preferences().config_path.read_text()


def test_cancel_takes_back_what_was_changed(window: tuple[Any, SegmentDock]) -> None:
    viewer, dock = window
    dialog = Dialog(viewer)
    dialog.type("Segment", QLineEdit, "Ctrl-Alt-G")
    wait(lambda: "Ctrl-Alt-G" in dock.actions.segment.toolTip())
    dialog.press("Cancel")
    wait(lambda: "Shift-S" in dock.actions.segment.toolTip())
    assert "Ctrl-Alt-G" not in dock.actions.segment.toolTip()
    assert keys.key_of(keys.SEGMENT) == "Shift-S"


def test_a_loaded_probe_is_cached_as_the_user_prefers(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = preferences.read_preferences()
    assert found is not None
    found.cache.memory_gb = 0.5
    session = preferences.new_session()
    loaded = type(session.segmenter)("efficientnet_lite0")
    monkeypatch.setattr(type(loaded), "load", lambda path, device: loaded)
    assert session.load(tmp_path).cache.ram_bytes == 2**29


def test_keys_of_the_former_name_are_kept(installed: None, tmp_path: Path) -> None:
    file = tmp_path / "napari-segdino.yaml"
    file.write_text(
        "shortcuts:\n  segment: Ctrl-Alt-G\n  retrain: Ctrl-Alt-H\n  gone: X\n"
        "keybindings:\n  retrain: Ctrl-Alt-J\n"
    )
    assert keys.key_of(keys.SEGMENT) == "Ctrl-Alt-G"
    assert keys.key_of(keys.RETRAIN) == "Ctrl-Alt-J", "what was said last holds"
    text = file.read_text()
    assert "shortcuts" not in text
    assert "segment: Ctrl-Alt-G" in text
    assert "retrain: Ctrl-Alt-J" in text
