"""The main story, from the menu to the last project, with mouse and keys.

Nothing is made by hand: the file is opened by napari, the dock by its menu entry,
and the encoder is the built-in one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QLineEdit, QMenu, QWidget

from napari_segdino._qt.mouse import click, press_key, stroke
from napari_segdino._qt.widget import SegDINOWidget
from napari_segdino.io.read import read_mask

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
MENU = ("Layers", "Segment", "SegDINO")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two noisy images of 96 x 96: a bright disc and a grey one on a dark field."""
    folder = tmp_path / "scans"
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    for number in range(2):
        image = rng.normal(30, 4, (96, 96))
        image[np.hypot(y - 30, x - 30 - 10 * number) < 18] += 170
        image[np.hypot(y - 72, x - 66) < 12] += 70
        tifffile.imwrite(folder / f"{number}.tif", image.clip(0, 255).astype(np.uint8))
    return folder


class Window:
    """A window on screen, and what a user does in it."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer

    def open_dock(self) -> None:
        """Choose the entry of the menu."""
        menu: QWidget = self.viewer.window._qt_window.menuBar()
        for text in MENU[:-1]:
            action = _entry(menu, text)
            menu = next(m for m in self._menus() if m.menuAction() == action)
            menu.aboutToShow.emit()
        _entry(menu, MENU[-1]).trigger()
        self.wait(lambda: self.dock is not None and self.dock.isVisible())
        self.rest()

    def _menus(self) -> list[QMenu]:
        return list(self.viewer.window._qt_window.findChildren(QMenu))

    @property
    def dock(self) -> Any:
        window = self.viewer.window._qt_window
        docks = [w.dock for w in window.findChildren(SegDINOWidget)]
        return docks[0] if docks else None

    @property
    def annotation(self) -> Any:
        return self.dock.controller.annotations.get(self.dock.image)

    @property
    def status(self) -> str:
        return str(self.dock.status.label.text())

    def wait(self, until: Callable[[], bool], seconds: float = 60) -> None:
        for _ in range(int(seconds * 100)):
            if until():
                return
            QTest.qWait(10)
        raise AssertionError("waited in vain")

    def rest(self) -> None:
        QTest.qWait(50)
        # What was drawn last is written after the worker has ended.
        self.wait(
            lambda: (
                not self.dock.controller.busy and not self.status.endswith("working...")
            )
        )
        QTest.qWait(50)

    def press(self, button: QWidget) -> None:
        click(button)
        self.rest()

    def show_tab(self, page: QWidget) -> None:
        tabs = self.dock.tabs
        place = tabs.tabBar().tabRect(tabs.indexOf(page)).center()
        QTest.mouseClick(tabs.tabBar(), Qt.MouseButton.LeftButton, pos=place)
        assert tabs.currentWidget() is page

    def type(self, edit: QLineEdit, text: str) -> None:
        edit.setFocus()
        QTest.keyClicks(edit, text)

    def close_dock(self) -> None:
        """Click the x of the dock's title."""
        holder = self.dock.parentWidget().parentWidget()
        click(holder.title.close_button)
        self.wait(lambda: self.dock is None)


def _entry(menu: Any, text: str) -> Any:
    texts = [action.text().replace("&", "") for action in menu.actions()]
    (found,) = (
        a
        for a, t in zip(menu.actions(), texts, strict=True)
        if t.split(" (")[0] == text
    )
    return found


def test_story(
    make_napari_viewer: Callable[..., Any],
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = Window(make_napari_viewer(show=True))
    window.viewer.open(scans / "0.tif", plugin="napari-segdino")
    window.open_dock()

    # A first mask; the bright disc is the object, the grey one was missed or not.
    window.press(window.dock.actions.segment)
    mask, marks = window.annotation.mask, window.annotation.marks
    assert set(np.unique(mask.data)) == {0, 1}
    assert window.viewer.layers.selection.active is mask

    # Strokes, and what is learned of them.
    mask.brush_size = 3
    stroke(window.viewer, mask, [(72, 60), (72, 72)])
    stroke(window.viewer, mask, [(28, 24), (28, 36)])
    press_key(Qt.Key.Key_E)
    stroke(window.viewer, mask, [(60, 10), (60, 40)])
    corrected, painted = mask.data.copy(), marks.data.copy()
    assert set(np.unique(painted)) == {0, 1, 2}
    window.press(window.dock.actions.retrain)
    redrawn = mask.data.copy()
    assert redrawn[72, 66] == redrawn[30, 30] == 1
    assert redrawn[85, 10] == 0
    np.testing.assert_array_equal(marks.data, painted)

    # Undo takes the mask update back, redo brings it again.
    assert (redrawn != corrected).any()
    press_key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, corrected)
    press_key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(mask.data, redrawn)

    # Where to look next.
    press_key(Qt.Key.Key_N, SHIFT)
    window.rest()
    assert "next place" in window.viewer.layers
    assert window.viewer.layers.selection.active is mask

    # Objects and their table.
    window.show_tab(window.dock.objects)
    window.press(window.dock.objects.find)
    rows = window.dock.objects.table.items.rowCount()
    assert rows == window.viewer.layers["0 objects"].data.max() >= 2

    # A folder, with this probe.
    panel = window.dock.folder
    window.show_tab(panel)
    window.type(panel.source.edit, str(scans))
    window.type(panel.folder.edit, str(tmp_path / "out"))
    window.press(panel.start)
    assert window.status.startswith("2 files segmented")
    assert read_mask(tmp_path / "out" / "1_mask.tif")[30, 40] == 1

    # Closed and opened again: nothing is lost.
    window.close_dock()
    window.open_dock()
    assert window.dock.session.is_fitted
    assert window.annotation.mask is mask
    np.testing.assert_array_equal(mask.data, redrawn)

    # A project, and another window that goes on with it.
    project = tmp_path / "p.segproject"
    answers = {
        "getSaveFileName": (str(project), ""),
        "getExistingDirectory": str(project),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(QFileDialog, name, lambda *_, answer=answer, **__: answer)
    window.show_tab(window.dock.tabs.widget(0))
    window.press(window.dock.projects.panel.save)
    assert "saved to" in window.status
    window.viewer.close()

    second = Window(make_napari_viewer(show=True))
    second.open_dock()
    second.press(second.dock.projects.panel.open)
    second.wait(lambda: second.dock.image is not None and second.annotation is not None)
    second.rest()
    np.testing.assert_array_equal(second.annotation.mask.data, redrawn)
    np.testing.assert_array_equal(second.annotation.marks.data, painted)
    stroke(second.viewer, second.annotation.mask, [(80, 20), (80, 40)])
    second.press(second.dock.actions.retrain)
    assert second.dock.session.is_fitted
