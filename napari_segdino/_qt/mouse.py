"""Paint with the mouse and press keys as a user does: for the demo and the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget
from vispy.app.base import BaseCanvasBackend

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

LEFT = Qt.MouseButton.LeftButton
RIGHT = Qt.MouseButton.RightButton
NONE = Qt.MouseButton.NoButton
PAUSE = 15
"""Milliseconds between two moves; vispy drops those within 10 of each other."""


def find_canvas() -> QWidget:
    """Return the widget that shows the image.

    Raises
    ------
    LookupError
        If no window is shown.
    """
    for widget in QApplication.allWidgets():
        if isinstance(widget, BaseCanvasBackend) and widget.isVisible():
            return widget
    raise LookupError("No window is shown.")


def canvas_position(viewer: Viewer, layer: Layer, point: Sequence[float]) -> QPoint:
    """Return where a pixel of the slice shown is on the canvas.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window, in 2D.
    layer : napari.layers.Layer
        Whose pixels.
    point : sequence of float
        In pixels of the layer, along the two axes on screen: (y, x) at first.
    """
    canvas = find_canvas()
    axes = np.array(viewer.dims.displayed)
    here = np.round(layer.world_to_data(viewer.dims.point)).astype(float)
    here[axes - viewer.dims.ndim] = point
    world = np.asarray(layer.data_to_world(here))[axes - viewer.dims.ndim]
    # vispy's camera looks at the middle of the canvas; its zoom is pixels for a unit of
    # the world.
    offset = (
        world - np.asarray(viewer.scene.camera.center[-2:])
    ) * viewer.scene.camera.zoom
    y, x = offset + np.array([canvas.height(), canvas.width()]) / 2
    return QPoint(round(x), round(y))


def stroke(viewer: Viewer, layer: Layer, points: Sequence[Sequence[float]]) -> None:
    """Press the left button at the first point, move along, and let go.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    layer : napari.layers.Layer
        Whose pixels the points are.
    points : sequence of (y, x)
        At least one.
    """
    canvas = find_canvas()
    path = [canvas_position(viewer, layer, p) for p in points]
    _send(canvas, QEvent.Type.MouseMove, path[0], NONE, NONE)
    _send(canvas, QEvent.Type.MouseButtonPress, path[0], LEFT, LEFT)
    for place in (*path, path[-1]):
        QTest.qWait(PAUSE)
        _send(canvas, QEvent.Type.MouseMove, place, NONE, LEFT)
    _send(canvas, QEvent.Type.MouseButtonRelease, path[-1], LEFT, NONE)
    QTest.qWait(PAUSE)


def polygon(viewer: Viewer, layer: Layer, points: Sequence[Sequence[float]]) -> None:
    """Click each corner and close the polygon with a double click on the last.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    layer : napari.layers.Layer
        Whose pixels the points are.
    points : sequence of (y, x)
        Its corners.
    """
    canvas = find_canvas()
    path = [canvas_position(viewer, layer, p) for p in points]
    for place in path:
        _send(canvas, QEvent.Type.MouseMove, place, NONE, NONE)
        QTest.qWait(PAUSE)
        _send(canvas, QEvent.Type.MouseButtonPress, place, LEFT, LEFT)
        _send(canvas, QEvent.Type.MouseButtonRelease, place, LEFT, NONE)
        QTest.qWait(PAUSE)
    # Qt sends a double click in place of the second press.
    _send(canvas, QEvent.Type.MouseButtonDblClick, path[-1], LEFT, LEFT)
    _send(canvas, QEvent.Type.MouseButtonRelease, path[-1], LEFT, NONE)
    QTest.qWait(PAUSE)


def encircle(viewer: Viewer, layer: Layer, points: Sequence[Sequence[float]]) -> None:
    """Click the first point with the right button, then move along without one.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    layer : napari.layers.Layer
        Whose pixels the points are.
    points : sequence of (y, x)
        The way; back at the first point the circle closes.
    """
    canvas, first = find_canvas(), canvas_position(viewer, layer, points[0])
    _send(canvas, QEvent.Type.MouseMove, first, NONE, NONE)
    _send(canvas, QEvent.Type.MouseButtonPress, first, RIGHT, RIGHT)
    QTest.qWait(PAUSE)
    _send(canvas, QEvent.Type.MouseButtonRelease, first, RIGHT, NONE)
    QTest.qWait(PAUSE)
    for point in points:
        move(viewer, layer, point)


def move(viewer: Viewer, layer: Layer, point: Sequence[float]) -> None:
    """Move the mouse to a point with no button down.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window, in 2D.
    layer : napari.layers.Layer
        Whose pixels.
    point : sequence of float
        In pixels of the layer, along the axes on screen.
    """
    place = canvas_position(viewer, layer, point)
    QTest.qWait(PAUSE)
    _send(find_canvas(), QEvent.Type.MouseMove, place, NONE, NONE)
    QTest.qWait(PAUSE)


def press_key(key: Any, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
    """Press and release a key over the canvas.

    Parameters
    ----------
    key : Qt.Key
        Such as ``Qt.Key.Key_Z``.
    modifiers : Qt.KeyboardModifier
        Held down with it.
    """
    QTest.keyClick(find_canvas(), key, modifiers)
    QTest.qWait(PAUSE)


def click(button: QWidget) -> None:
    """Click a button with the mouse.

    Parameters
    ----------
    button : QWidget
        On screen; it is hit in the middle.
    """
    QTest.mouseClick(button, LEFT)


def select(
    viewer: Viewer, layer: Layer, modifiers: Any = Qt.KeyboardModifier.NoModifier
) -> None:
    """Click on a layer in the window's list of layers.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    layer : napari.layers.Layer
        Its row is scrolled to first.
    modifiers : Qt.KeyboardModifier
        Held down: Ctrl adds the layer to those that are selected.
    """
    lists = [x for x in QApplication.allWidgets() if type(x).__name__ == "QtLayerList"]
    view = next(x for x in lists if x.isVisible())
    rows = [view.model().index(r, 0) for r in range(view.model().rowCount())]
    index = next(x for x in rows if x.data(Qt.ItemDataRole.UserRole) is layer)
    view.scrollTo(index)
    place = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), LEFT, modifiers, place)
    QTest.qWait(PAUSE)


def _send(canvas: QWidget, kind: Any, place: QPoint, button: Any, buttons: Any) -> None:
    event = QMouseEvent(
        kind,
        QPointF(place),
        QPointF(canvas.mapToGlobal(place)),
        button,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, event)
