"""The tour: five steps beside the dock, in which everything can be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from docks import rest
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu, QScrollArea

from napari_segdino._qt.controllers.tour import TourPanel
from napari_segdino._qt.mouse import click
from napari_segdino._qt.widget import open_dock


@pytest.fixture
def dock(make_napari_viewer: Any) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    dock = open_dock(viewer)
    dock.session.change(encoder="efficientnet_lite0")
    QTest.qWait(100)
    return dock


def framed(dock: Any, target: Any) -> bool:
    """Whether the frame is around a control that is in view."""
    frame = dock.tour.highlight
    place = frame.geometry().adjusted(4, 4, -4, -4)
    corner = target.mapTo(frame.parentWidget(), QPoint(0, 0))
    shown = dock.findChild(QScrollArea).viewport()
    top = target.mapTo(shown, QPoint(0, 0)).y()
    return (
        frame.isVisible()
        and place == QRect(corner, target.size())
        and 0 <= top < shown.height() - 10
    )


def test_from_an_image_to_its_mask(dock: Any) -> None:
    click(dock.tour.button)
    panel, tour = dock.tour.panel, dock.tour
    assert panel.isVisible()
    assert not panel.isModal()
    assert panel.frameGeometry().right() < dock.mapToGlobal(QPoint(0, 0)).x()
    assert panel.title.text().startswith("1 of 5")
    assert not panel.back.isEnabled()
    assert framed(dock, dock.inputs)
    click(panel.try_it)
    rest(dock)
    assert dock.image.name == "coins"
    for target in (dock.classes, dock.actions.segment, dock.actions.retrain):
        click(panel.next)
        assert not panel.try_it.isVisible()
        assert framed(dock, target), panel.title.text()
    # The button is pressed through its frame.
    click(dock.actions.retrain)
    rest(dock)
    mask = dock.controller.annotations.get(dock.image).mask.data
    assert 0.2 < np.mean(mask == 1) < 0.5
    click(panel.next)
    assert framed(dock, dock.exports)
    assert not panel.next.isVisible()
    click(panel.back)
    assert framed(dock, dock.actions.retrain)
    frame = tour.highlight
    click(panel.close_button)
    assert tour.panel is None
    assert not frame.isVisible()


def test_it_ends_with_escape_and_with_the_dock(dock: Any) -> None:
    dock.tour.start()
    QTest.keyClick(dock.tour.panel, Qt.Key.Key_Escape)
    assert (dock.tour.panel, dock.tour.highlight) == (None, None)
    dock.tour.start()
    holder = dock.parentWidget().parentWidget()
    click(holder.title.close_button)
    QTest.qWait(50)
    assert dock.tour.panel is None
    assert not any(isinstance(w, TourPanel) for w in QApplication.topLevelWidgets())


def test_it_is_in_the_menu(dock: Any) -> None:
    window = dock.window()
    (entry,) = (
        action
        for menu in window.findChildren(QMenu)
        for action in menu.actions()
        if action.text().startswith("Tour of SegDINO")
    )
    entry.trigger()
    assert dock.tour.panel.isVisible()
