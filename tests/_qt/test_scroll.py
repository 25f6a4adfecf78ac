"""The column of the dock is never clipped."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_segdino._qt.scroll import ColumnScroll


def test_least_width_follows_the_contents(qtbot: Any) -> None:
    column = QWidget()
    button = QPushButton("short")
    QVBoxLayout(column).addWidget(button)
    scroll = ColumnScroll(column)
    qtbot.addWidget(scroll)
    scroll.show()
    narrow = scroll.minimumWidth()
    button.setMinimumWidth(400)
    qtbot.waitUntil(lambda: scroll.minimumWidth() > 400)
    button.setMinimumWidth(0)
    qtbot.waitUntil(lambda: scroll.minimumWidth() == narrow)
    assert narrow < 400
