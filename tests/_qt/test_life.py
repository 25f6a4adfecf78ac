"""The dock's life in a real window: opened, closed in every way, opened again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_segdino._qt import mouse, widget
from napari_segdino._qt.widget import SegDINOWidget
from napari_segdino._qt.window_state import state_of
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings

NAME = "napari-segdino"


class Window:
    """A window whose dock was opened from the plugin's menu entry."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.holder, self.widget = self.open()

    def open(self) -> tuple[Any, SegDINOWidget]:
        self.holder, self.widget = self.viewer.window.add_plugin_dock_widget(
            NAME, "SegDINO"
        )
        return self.holder, self.widget

    @property
    def dock(self) -> Any:
        assert self.widget.dock is not None
        return self.widget.dock

    @property
    def annotation(self) -> Any:
        return self.dock.controller.annotations.get(self.dock.image)

    def wait(self, until: Callable[[], bool], seconds: float = 30) -> None:
        for _ in range(int(seconds * 100)):
            if until():
                return
            QTest.qWait(10)
        raise AssertionError("waited in vain")

    def rest(self) -> None:
        QTest.qWait(30)
        status = self.dock.status.label
        # What was drawn last is written after the worker has ended.
        self.wait(
            lambda: (
                not self.dock.controller.busy
                and not status.text().endswith("working...")
            )
        )
        QTest.qWait(30)

    def press(self, button: Any) -> None:
        mouse.click(button)
        self.rest()

    # -- four ways to close ------------------------------------------------

    def click_x(self) -> None:
        mouse.click(self.holder.title.close_button)

    def remove(self) -> None:
        self.viewer.window.remove_dock_widget(self.holder)

    def untick_in_the_menu(self) -> None:
        menu = self.viewer.window.plugins_menu
        (action,) = [a for a in menu.actions() if "SegDINO" in a.text()]
        action.trigger()

    def close_window(self) -> None:
        self.viewer.window.close()


CLOSINGS = (Window.click_x, Window.remove, Window.untick_in_the_menu)


@pytest.fixture
def window(make_napari_viewer: Any, fake_segmenter: type, plane: np.ndarray) -> Any:
    """A window with an image, a first mask, one correction and a trained probe."""
    viewer = make_napari_viewer(show=True)
    state_of(viewer, Session(fake_segmenter, Settings("efficientnet_lite0")))
    viewer.add_image(plane, name="scan")
    window = Window(viewer)
    window.wait(lambda: window.dock.isVisible() and window.annotation is not None)
    window.press(window.dock.actions.segment)
    window.annotation.mask.brush_size = 3
    window.dock.classes.pick(1)
    mouse.stroke(viewer, window.annotation.mask, [(50, 55), (50, 65)])
    window.dock.classes.pick(0)
    mouse.stroke(viewer, window.annotation.mask, [(25, 15), (25, 20)])
    window.press(window.dock.actions.retrain)
    yield window
    if window.widget.dock is not None:
        window.widget.shut()


@pytest.mark.parametrize("close", [*CLOSINGS, Window.close_window])
def test_closing_lets_go_of_keys_timers_and_layers(window: Any, close: Any) -> None:
    viewer, dock, annotation = window.viewer, window.dock, window.annotation
    mask, calls = annotation.mask, dock.session.segmenter.calls
    before = len(calls)
    gone: list[int] = []
    dock.destroyed.connect(lambda: gone.append(1))
    assert {"Shift+S", "Shift+R", "Alt+1"} <= {str(key) for key in viewer.keymap}
    on_drag = annotation.mask_sync.tracker._on_drag
    assert on_drag in mask.mouse_drag_callbacks
    close(window)
    window.wait(lambda: window.widget.dock is None)
    assert not {"Shift+S", "Shift+R", "Alt+1"} & {str(key) for key in viewer.keymap}
    assert on_drag not in mask.mouse_drag_callbacks
    assert "paint_polygon" not in vars(mask)
    viewer.layers.selection.active = mask
    if close is not Window.close_window:
        mouse.press_key(Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
        mask.paint((5, 5), 1)
        viewer.add_image(np.zeros((8, 8)), name="later")
        viewer.layers.remove("later")
        QTest.qWait(400)
    assert len(calls) == before, "nothing is drawn or learned any more"
    window.wait(lambda: bool(gone))


@pytest.mark.parametrize("close", CLOSINGS)
def test_reopening_shows_it_as_it_was(window: Any, close: Any) -> None:
    session = window.dock.session
    session.add_class("vessel")
    probe, place = session.segmenter, window.dock.controller.history.place
    learned, marks = dict(session.learned), window.annotation.marks.data.copy()
    mask = window.annotation.mask.data.copy()
    assert session.is_fitted and place[1] >= 2
    close(window)
    window.wait(lambda: window.widget.dock is None)
    if close is Window.untick_in_the_menu:
        window.untick_in_the_menu()
        window.wait(lambda: window.widget.dock is not None)
    else:
        window.open()
    window.rest()
    assert window.dock.session is session
    assert session.segmenter is probe
    assert [row.name.text() for row in window.dock.classes.rows] == [
        "Background",
        "Class 1",
        "vessel",
    ]
    assert window.dock.controller.history.place == place
    assert session.learned == learned
    assert "Go on where you stopped" in window.dock.status.label.text()
    assert window.dock.classes.value() == 0, "as in napari's own controls"
    assert len(window.viewer.layers) == 3, "no second mask"
    window.press(window.dock.actions.retrain)
    np.testing.assert_array_equal(window.annotation.marks.data, marks)
    np.testing.assert_array_equal(window.annotation.mask.data, mask)


def test_what_is_painted_while_it_is_closed_counts(window: Any) -> None:
    window.click_x()
    window.wait(lambda: window.widget.dock is None)
    mask = window.viewer.layers["scan mask"]
    label = 1 - int(mask.data[5, 60])
    mask.paint((5, 60), label)
    window.open()
    assert window.annotation.mask.data[5, 60] == label
    window.wait(lambda: window.annotation.marks.data[5, 60] == label + 1)
    assert window.annotation.marks.data[5, 60] == label + 1


def test_undo_reaches_behind_a_closed_dock(window: Any) -> None:
    before = window.annotation.marks.data.copy()
    mouse.stroke(window.viewer, window.annotation.mask, [(5, 60), (5, 70)])
    assert (window.annotation.marks.data != before).any()
    window.click_x()
    window.wait(lambda: window.widget.dock is None)
    window.open()
    window.viewer.layers.selection.active = window.annotation.mask
    ctrl = Qt.KeyboardModifier.ControlModifier
    mouse.press_key(Qt.Key.Key_Z, ctrl)
    np.testing.assert_array_equal(window.annotation.marks.data, before)


def test_it_has_the_height_of_the_window(window: Any) -> None:
    QTest.qWait(100)
    assert window.dock.height() > 0.9 * window.holder.height()


def test_floating_does_not_interrupt(window: Any) -> None:
    dock = window.dock
    window.holder.setFloating(True)
    QTest.qWait(100)
    window.holder.setFloating(False)
    QTest.qWait(100)
    assert window.widget.dock is dock


def test_lying_behind_another_dock_is_not_closed(window: Any) -> None:
    dock = window.dock
    other = window.viewer.window.add_dock_widget(QPushButton("other"), tabify=True)
    other.raise_()
    QTest.qWait(100)
    assert window.widget.dock is dock
    assert widget.open_dock(window.viewer) is dock
    QTest.qWait(50)
    assert not dock.visibleRegion().isEmpty()


def test_a_second_dock_shows_where_the_first_is(window: Any) -> None:
    first = window.dock
    second = SegDINOWidget(window.viewer)
    window.viewer.window.add_dock_widget(second, name="again", tabify=True)
    QTest.qWait(50)
    assert second.dock is None
    assert state_of(window.viewer).session is first.session
    (show,) = second.findChildren(QPushButton)
    mouse.click(show)
    QTest.qWait(50)
    assert not first.visibleRegion().isEmpty()
    window.click_x()
    window.wait(lambda: window.widget.dock is None)
    second.parentWidget().raise_()
    mouse.click(show)
    assert second.dock is not None and second.dock.session is first.session
    second.shut()


def test_work_is_kept_when_the_window_is_closed(window: Any, autosaves: Any) -> None:
    mouse.stroke(window.viewer, window.annotation.mask, [(5, 60), (5, 70)])
    window.close_window()
    assert list(autosaves.glob("*/project.json"))


def test_commands_open_the_dock_or_take_the_one_there_is(
    make_napari_viewer: Any, fake_segmenter: type, plane: np.ndarray
) -> None:
    viewer = make_napari_viewer()
    state_of(viewer, Session(fake_segmenter, Settings("efficientnet_lite0")))
    widget.segment(viewer)
    dock = widget.open_dock(viewer)
    assert "Open an image first" in dock.status.label.text()
    viewer.add_image(plane, name="scan")
    widget.segment(viewer)
    for _ in range(1000):
        if not dock.controller.busy:
            break
        QTest.qWait(10)
    QTest.qWait(50)
    assert widget.open_dock(viewer) is dock
    widget.accept_slice(viewer)
    assert viewer.layers["scan marks"].data.all()
    dock.release()


def test_the_palette_offers_what_people_do(manifest: Any) -> None:
    titles = {c.title: c.enablement for c in manifest.contributions.commands}
    assert {"SegDINO", "Segment", "Retrain", "Accept slice", "Export mask"} <= set(
        titles
    )
    assert titles["Read scans"] == titles["Write masks"] == "False"
