"""What cannot be done is said in one sentence beside the button, and that is all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QStyle, QStyleOptionButton

from napari_segdino._qt import keys
from napari_segdino._qt.layers.annotations import NO_MASK, NOT_TRAINED
from napari_segdino._qt.messages import NO_IMAGE
from napari_segdino._qt.mouse import find_canvas
from napari_segdino._qt.widgets.pages import Collapsible
from napari_segdino.errors import WeightsError

OWN_WAY = {
    "Try it",
    "? Tour",
    "Load model...",
    "Copy report",
    "Open project...",
    "+ Add class",
    "Slice",
    "Volume",
    "Follow me",
    "Split touching objects",
    "also where the model is uncertain",
    "Score while I rest",
    "Skip masks that are up to date",
    "mirrored as well",
    "follow edges",
    "...",
    "",
}
"""Work, or are settings, with no image as well; the last are colours."""

DISABLED = {"Go back", "Go forward", "×"}
"""No way back, no class to spare."""


@pytest.fixture
def dialogs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the dialogs that were opened; each is left by Cancel."""
    opened: list[str] = []

    def note(parent: Any, title: str, *_: Any, **__: Any) -> tuple[str, str]:
        opened.append(title)
        return "", ""

    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, note)
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *a, **k: note(*a, **k)[0]
    )
    return opened


def press(button: QAbstractButton) -> None:
    """Click where a user would: on a box, not beside its text."""
    option = QStyleOptionButton()
    option.initFrom(button)
    element = QStyle.SubElement.SE_CheckBoxIndicator
    at = (
        button.style().subElementRect(element, option, button).center()
        if button.isCheckable() and button.inherits("QCheckBox")
        else QPoint(button.width() // 2, button.height() // 2)
    )
    QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)


def buttons(user: Any) -> list[tuple[Any, QAbstractButton]]:
    """Every button of the dock with a text of its own, and the tab it is in."""
    dock, found = user.dock, []
    for button in dock.findChildren(QAbstractButton):
        if isinstance(button.parent(), Collapsible):
            continue
        pages = [dock.tabs.widget(i) for i in range(dock.tabs.count())]
        page = next((p for p in pages if p.isAncestorOf(button)), None)
        found.append((page, button))
    return found


def walk(user: Any, skip: set[str]) -> dict[str, str]:
    """Press every button that can be pressed; return what was said to each."""
    marked = {}
    for page, button in buttons(user):
        name = button.text()
        if page is not None:
            user.dock.tabs.setCurrentWidget(page)
            QTest.qWait(1)
        if name in skip or not button.isVisible():
            continue
        assert button.isEnabled() == (name not in DISABLED), name
        if name in DISABLED:
            continue
        user.dock.status.say("nothing yet")
        press(button)
        user.rest()
        marked[name] = user.status
        assert not button.isChecked() or name in OWN_WAY, f"{name} stays ticked"
    return marked


@pytest.fixture
def alone(make_user: Callable[..., Any]) -> Any:
    """A user of a window on screen, with no image."""
    user = make_user(show=True)
    user.wait(lambda: user.dock.isVisible())
    for section in user.dock.findChildren(Collapsible):
        section.set_open(True)
    return user


def logs_nothing(caplog: pytest.LogCaptureFixture) -> bool:
    return not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_no_image_and_every_button(
    alone: Any, dialogs: list[str], no_popups: list[str], caplog: Any
) -> None:
    marked = walk(alone, OWN_WAY)
    assert marked.pop("Segment the folder").startswith("Choose the folder")
    assert set(marked) >= {
        "Segment",
        "Retrain",
        "Live: retrain while I paint",
        "Slice is right",
        "Copy to next",
        "Click to start",
        "Outline",
        "Save model...",
        "Export mask...",
        "New model",
        "Save project...",
        "Next place",
        "Next slice",
        "Show uncertainty",
        "Show changes",
        "Export...",
        "Find objects",
        "Export table...",
        "Show only the selected one",
    }
    assert {name: text for name, text in marked.items() if text != NO_IMAGE} == {}
    assert dialogs == []
    assert no_popups == []
    assert logs_nothing(caplog)
    assert not alone.dock.session.settings.live


def test_no_image_and_every_key(
    alone: Any, no_popups: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, key in keys.DEFAULTS.items():
        alone.dock.status.say("nothing yet")
        code = getattr(Qt.Key, f"Key_{key.rpartition('-')[2]}")
        QTest.keyClick(find_canvas(), code, Qt.KeyboardModifier.ShiftModifier)
        alone.rest()
        assert alone.status == NO_IMAGE, name
    assert not alone.dock.tools.from_clicks.isChecked()
    assert not alone.dock.tools.outline.isChecked()
    assert not alone.dock.actions.live.isChecked()
    assert no_popups == []
    assert logs_nothing(caplog)


def test_no_image_and_what_is_moved_or_picked(alone: Any) -> None:
    slider = alone.dock.tools.opacity
    before = slider.value()
    QTest.keyClick(slider, Qt.Key.Key_PageUp)
    assert alone.status == NO_IMAGE
    assert slider.value() == before
    alone.dock.status.say("nothing yet")
    panel = alone.dock.review.suggest.panel
    panel.kind.textActivated.emit("Images")
    assert alone.status == NO_IMAGE


def test_nothing_drawn_and_every_button(
    alone: Any, plane: np.ndarray, dialogs: list[str], no_popups: list[str], caplog: Any
) -> None:
    alone.open(plane)
    alone.wait(lambda: alone.annotation is not None)
    annotations = {
        "Segment",
        "Live: retrain while I paint",
        "Outline",
        "Click to start",
        "Box to start",
    }
    marked = walk(alone, OWN_WAY | annotations | {"New model", "Segment the folder"})
    needs_model = {"Save model...", "Next place", "Next slice", "Show uncertainty"}
    assert {marked.pop(name) for name in needs_model} == {NOT_TRAINED}
    masks = {
        "Slice is right",
        "Copy to next",
        "Export mask...",
        "Save project...",
        "Find objects",
    }
    assert {marked.pop(name) for name in masks} == {NO_MASK}
    assert "mark" in marked.pop("Retrain")
    assert marked.pop("Use as mask").startswith("Pick a Labels layer first")
    for name, text in marked.items():
        assert "yet" in text, name
    assert dialogs == []
    assert no_popups == []
    assert logs_nothing(caplog)


def test_a_refusal_of_a_job_opens_nothing(
    user: Any, plane: np.ndarray, no_popups: list[str], caplog: Any
) -> None:
    user.open(plane)
    user.segment()
    user.retrain()
    assert "Nothing is marked yet" in user.status
    assert no_popups == []
    assert logs_nothing(caplog)


def test_a_failure_of_a_job_is_shown_without_a_traceback(
    user: Any, plane: np.ndarray, no_popups: list[str], caplog: Any
) -> None:
    user.open(plane)
    user.segment()
    user.segmenter.failure = WeightsError("No network: choose the built-in one.")
    user.segment()
    assert no_popups == ["No network: choose the built-in one."]
    assert [r.exc_info for r in caplog.records if r.levelno >= logging.WARNING] == [
        None
    ]


def test_a_project_with_named_classes_is_worth_saving(
    alone: Any, plane: np.ndarray, dialogs: list[str]
) -> None:
    alone.open(plane)
    alone.wait(lambda: alone.annotation is not None)
    alone.dock.session.add_class("cell")
    alone.dock.tabs.setCurrentIndex(0)
    press(alone.dock.projects.panel.save)
    assert dialogs == ["Save project"]


def test_an_autosave_that_fails_is_shown(
    user: Any, plane: np.ndarray, no_popups: list[str], monkeypatch: Any
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(user.dock.projects.autosaver.stored, "write", full)
    user.open(plane)
    user.segment()
    user.wait(lambda: bool(no_popups))
    assert "could not be kept" in no_popups[0]
    assert "No space left" in no_popups[0]
