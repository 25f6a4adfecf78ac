"""What a newcomer sees: three steps, plain words, nothing cut off, keys beside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollBar,
    QTabBar,
    QTableWidget,
    QWidget,
)
from skimage.io import imsave

from napari_segdino._qt import keys
from napari_segdino._qt.mouse import click
from napari_segdino._qt.widgets.pages import Collapsible, Step
from napari_segdino._qt.widgets.panels import KeyButton

OWNERS = (QAbstractItemView, QAbstractSpinBox, QComboBox, QTabBar)
"""Have parts that Qt made for them."""

CONTROLS = (QAbstractButton, QAbstractSlider, QLineEdit, *OWNERS)
BANNED = re.compile(
    r"\b(probes?|heads?|mvr|entropy|logits?|sizes own|depth of a neck|"
    r"part those that touch|scheduler|regularis\w+|k-means|held.out)\b",
    re.IGNORECASE,
)
MEASURES = re.compile(r"\b(dice|hd95)\b", re.IGNORECASE)
PLAIN = re.compile(r"\b(overlap|distance)\b", re.IGNORECASE)
TECHNICAL = re.compile(
    r"\b(frozen|features?|tiles?|fused|planes|logits?|probabilities|channels?)\b",
    re.IGNORECASE,
)
"""Not in what Advanced tells, though its choices may be called after papers."""


@pytest.fixture
def newcomer(make_user: Any, volume: np.ndarray) -> Any:
    """A user with a volume and its first mask in a window of 1280 x 800."""
    user = make_user(show=True)
    user.viewer.window._qt_window.resize(1280, 800)
    user.open(volume)
    user.segment()
    return user


def texts(widget: QWidget) -> Iterator[str]:
    """Everything that a widget shows or tells."""
    yield widget.toolTip()
    if isinstance(widget, QComboBox):
        yield from map(widget.itemText, range(widget.count()))
    if isinstance(widget, QTabBar):
        yield from map(widget.tabText, range(widget.count()))
    for name in ("text", "title", "placeholderText", "specialValueText"):
        if callable(read := getattr(widget, name, None)):
            yield str(read())


def in_advanced(dock: QWidget, widget: QWidget) -> bool:
    """Whether a widget is seen only once Advanced was opened."""
    sections = [s for s in dock.findChildren(Collapsible) if "Advanced" in s.text()]
    return any(s.content().isAncestorOf(widget) for s in sections)


def is_part(widget: QWidget) -> bool:
    """Whether a widget belongs to another one that Qt made it for."""
    made = isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_")
    owner = widget.parent()
    while not made and owner is not None:
        made = isinstance(owner, OWNERS)
        owner = owner.parent()
    return made


def test_what_a_newcomer_reads(newcomer: Any) -> None:
    dock = newcomer.dock
    check_words(dock)
    check_steps(dock)
    shown = {button.key for button in dock.findChildren(KeyButton)}
    labels = {label.text() for label in dock.findChildren(QLabel)}
    assert set(keys.DEFAULTS.values()) <= shown | labels, "keys are seen"


def check_words(dock: QWidget) -> None:
    """Every control says in plain words what it does."""
    silent, odd = [], []
    for widget in (dock, *dock.findChildren(QWidget)):
        if is_part(widget) or in_advanced(dock, widget):
            continue
        if isinstance(widget, CONTROLS) and not widget.toolTip():
            silent.append((type(widget).__name__, *texts(widget)))
        odd += [text for text in texts(widget) if BANNED.search(text)]
        told = "".join(texts(widget))
        if isinstance(widget, QTableWidget):
            heads = map(widget.horizontalHeaderItem, range(widget.columnCount()))
            told += "".join(head.text() for head in heads if head is not None)
        if MEASURES.search(told) and not PLAIN.search(told):
            odd.append(told)
    assert odd == []
    assert silent == []
    inside = [w for w in dock.findChildren(QWidget) if in_advanced(dock, w)]
    told = [w.toolTip() for w in inside if not is_part(w)]
    assert [text for text in told if TECHNICAL.search(text)] == []
    for section in dock.findChildren(Collapsible):
        for widget in section.content().findChildren(QWidget):
            if isinstance(widget, CONTROLS) and not is_part(widget):
                assert widget.toolTip(), list(texts(widget))


def check_steps(dock: Any) -> None:
    """There are three of them, from top to bottom."""
    steps = dock.findChildren(Step)
    steps.sort(key=lambda step: step.mapTo(dock, QPoint()).y())
    assert [step.title.text() for step in steps] == [
        "Image and classes",
        "Segment and correct",
        "Check and export",
    ]
    image, correct, check = steps
    assert image.isAncestorOf(dock.classes)
    assert correct.isAncestorOf(dock.actions.retrain)
    assert check.isAncestorOf(dock.exports.mask)


def cut_off(dock: QWidget) -> list[str]:
    """Texts of labels and buttons that have less room than they need."""
    found = []
    for widget in dock.findChildren(QWidget):
        if not isinstance(widget, QLabel | QAbstractButton) or is_part(widget):
            continue
        if not widget.isVisible() or not widget.text():
            continue
        needed, wraps = widget.sizeHint(), isinstance(widget, QLabel)
        if wraps and widget.wordWrap():
            enough = widget.height() >= widget.heightForWidth(widget.width())
        else:
            enough = widget.width() >= needed.width()
            enough &= widget.height() >= widget.minimumSizeHint().height()
        inside = widget.mapTo(dock, QPoint(widget.width(), 0)).x() <= dock.width()
        if not (enough and inside):
            found.append(widget.text())
    return found


def test_nothing_is_cut_off_and_tab_goes_down(newcomer: Any) -> None:
    check_tab_key(newcomer)
    dock = newcomer.dock
    for section in dock.findChildren(Collapsible):
        section.set_open(True)
    themes = [("dark", p) for p in range(dock.tabs.count())] + [("light", 0)]
    for theme, page in themes:
        newcomer.viewer.theme = theme
        dock.tabs.setCurrentIndex(page)
        # The layout takes some turns of the event loop.
        with suppress(AssertionError):
            newcomer.wait(lambda: not cut_off(dock), 5)
        assert cut_off(dock) == [], dock.tabs.tabText(page)
    bar = dock.tabs.tabBar()
    assert bar.sizeHint().width() <= dock.tabs.width(), "no arrows to scroll the tabs"
    # Leaves the image as much room as the layer controls of napari take.
    assert dock.width() <= 400


def check_tab_key(newcomer: Any) -> None:
    """It goes through the controls as they are read."""
    dock = newcomer.dock
    click(dock.classes.add)
    newcomer.wait(lambda: dock.classes.sizeHint().height() == dock.classes.height())
    places, stop = [], dock.tour.button
    # Not on into napari's own widgets: PySide6 keeps a window alive of which Python
    # has seen them all.
    while dock.isAncestorOf(stop):
        wanted = stop.focusPolicy() & Qt.FocusPolicy.TabFocus and stop.isEnabled()
        wanted = wanted and stop.focusProxy() is None
        if wanted and stop.isVisible():
            at = stop.mapTo(dock, QPoint(0, stop.height() // 2))
            places.append((at.y(), at.x(), stop))
        stop = stop.nextInFocusChain()
    texts = [getattr(stop, "text", str)() for _, _, stop in places]
    assert {"Segment", "Retrain", "Click to start", "Save model..."} <= set(texts)
    assert len(texts) > 20
    for (y, x, _), (below, right, stop) in zip(places[:-1], places[1:], strict=True):
        same_row = abs(below - y) < 8
        assert (right > x) if same_row else (below > y), stop.text()


def drop(area: Any, path: Path) -> None:
    """Drop a file as a hand does."""
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(path))])
    buttons = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    what = Qt.DropAction.CopyAction, files, *buttons
    entered = QDragEnterEvent(area.rect().center(), *what)
    # Qt itself sends these only in the midst of a drag.
    area.dragEnterEvent(entered)
    assert entered.isAccepted()
    area.dropEvent(QDropEvent(QPointF(area.rect().center()), *what))


def test_what_comes_next_is_said_and_in_colour(
    make_user: Any, plane: np.ndarray, tmp_path: Path
) -> None:
    user = make_user(show=True)
    user.wait(lambda: user.dock.isVisible())
    actions, empty = user.dock.actions, user.dock.inputs.empty
    assert empty.isVisible() and not user.dock.inputs.image.isVisible()
    assert "Try it" in user.status
    imsave(tmp_path / "scan.png", plane)
    drop(empty, tmp_path / "scan.png")
    user.wait(lambda: user.annotation is not None)
    assert not empty.isVisible() and user.dock.inputs.image.isVisible()
    assert "paint a stroke" in user.status and "box" in user.status
    assert actions.segment.primary and not actions.retrain.primary
    click(actions.segment)
    user.rest()
    assert actions.retrain.primary and not actions.segment.primary
    user.open(plane[::-1], name="next")
    user.rest()
    assert actions.segment.primary
    user.annotation.marks.data[10:20, 10:20] = 2
    user.annotation.marks.refresh()
    user.dock.inputs.image.setValue(user.viewer.layers["scan"])
    user.dock.inputs.image.setValue(user.viewer.layers["next"])
    assert actions.retrain.primary, "there is something to learn from"


def test_try_it_opens_a_sample(make_user: Any) -> None:
    user = make_user(show=True)
    user.wait(lambda: user.dock.isVisible())
    click(user.dock.inputs.empty.try_it)
    user.wait(lambda: user.annotation is not None)
    assert user.dock.image.name == "coins"
