"""Keys and letters as the system has them, where that is not Linux."""

from __future__ import annotations

from typing import Any

import pytest
from napari.settings import get_settings
from qtpy.QtWidgets import QLabel, QWidget

from napari_segdino._qt import keys
from napari_segdino._qt.widgets.classes_panel import ClassesPanel
from napari_segdino._qt.widgets.pages import Step
from napari_segdino._qt.widgets.panels import StatusPanel
from napari_segdino._qt.widgets.tools_panel import KeysPanel, ToolsPanel
from napari_segdino.session.session import Session


def texts(widget: QWidget) -> str:
    """All that labels and tooltips of a widget say."""
    parts = [widget, *widget.findChildren(QWidget)]
    shown = [part.text() for part in parts if isinstance(part, QLabel)]
    return "\n".join([*shown, *(part.toolTip() for part in parts)])


@pytest.mark.parametrize(
    ("system", "undo", "first_class"),
    [
        ("darwin", "Cmd-Z", "Option-1"),
        ("win32", "Ctrl-Z", "Alt-1"),
        ("linux", "Ctrl-Z", "Alt-1"),
    ],
)
def test_keys_are_called_as_on_the_keyboard(
    qtbot: Any, monkeypatch: Any, system: str, undo: str, first_class: str
) -> None:
    monkeypatch.setattr(keys, "SYSTEM", system)
    status = StatusPanel()
    status.say("Learned your corrections; Ctrl-Z undoes that.")
    panels = [ClassesPanel(Session()), KeysPanel(), ToolsPanel(), status]
    for panel in panels:
        qtbot.addWidget(panel)
    found = "\n".join(map(texts, panels))
    assert found.count(undo) >= 3
    assert first_class in found
    strange = ("Cmd", "Option") if system != "darwin" else ("Ctrl", "Alt-")
    assert not [word for word in strange if word in found]


def test_a_key_is_bound_by_its_name_of_all_systems(monkeypatch: Any) -> None:
    """napari knows Option by the name Alt."""
    monkeypatch.setattr(keys, "SYSTEM", "darwin")
    assert keys.CLASS.format(1) == "Alt-1"
    assert keys.key_of(keys.SEGMENT) == "Shift-S"


@pytest.mark.parametrize("size", [9, 12, 18])
def test_headings_are_larger_than_what_they_head(
    qtbot: Any, monkeypatch: Any, size: int
) -> None:
    """12 points are a Mac's own; others are what the user has chosen in napari."""
    monkeypatch.setattr(get_settings().appearance, "font_size", size)
    step = Step(1, "Image and classes", QWidget())
    qtbot.addWidget(step)
    step.show()
    assert step.title.fontInfo().pointSizeF() > size
