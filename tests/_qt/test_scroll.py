"""The column of the dock is never clipped."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_segdino._qt.pages import Pages
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


def test_a_short_page_does_not_scroll_because_another_is_long(qtbot: Any) -> None:
    short, long, column = QLabel("short"), QWidget(), QWidget()
    button = QPushButton("long")
    button.setMinimumHeight(900)
    QVBoxLayout(long).addWidget(button)
    pages, layout = Pages(), QVBoxLayout(column)
    pages.addTab(short, "Short")
    pages.addTab(long, "Long")
    layout.addWidget(pages)
    scroll = ColumnScroll(column)
    qtbot.addWidget(scroll)
    scroll.resize(300, 400)
    scroll.show()
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().maximum() == 0)
    QTest.mouseClick(
        pages.tabBar(),
        Qt.MouseButton.LeftButton,
        pos=pages.tabBar().tabRect(1).center(),
    )
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().maximum() > 400)
    assert long.height() >= 900
    pages.setCurrentIndex(0)
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().maximum() == 0)


def test_the_review_fits_a_window_of_1080_pixels(make_user: Any, plane: Any) -> None:
    user = make_user(show=True)
    user.open(plane)
    user.segment()
    user.dock.tabs.setCurrentWidget(user.dock.review)
    column = user.dock.findChild(ColumnScroll).widget()
    user.wait(lambda: user.dock.review.isVisible())
    QTest.qWait(50)
    # Title bars and the status line take the rest.
    assert column.layout().minimumHeightForWidth(330) < 970
