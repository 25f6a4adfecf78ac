"""The column of the dock is never clipped."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_segdino._qt.widgets import pages
from napari_segdino._qt.widgets.pages import ColumnScroll, Pages


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


def test_on_a_narrow_screen_it_scrolls_sideways(
    make_user: Any, plane: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(pages, "SHARE", 0.15)  # 240 of the 1600 pixels of the suite
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.dock.isVisible())
    room = round(0.15 * user.dock.screen().availableGeometry().width())
    scroll, retrain = user.dock.findChild(ColumnScroll), user.dock.actions.retrain
    user.wait(lambda: scroll.minimumWidth() == room)
    holder = user.dock.parentWidget()
    user.viewer.window._qt_window.resizeDocks(
        [holder], [room], Qt.Orientation.Horizontal
    )
    bar = scroll.horizontalScrollBar()
    user.wait(lambda: bar.isVisible() and bar.maximum() > 50)
    view = scroll.viewport()

    def right() -> int:
        return retrain.mapTo(view, retrain.rect().topRight()).x()

    assert right() > view.width()
    end = bar.rect().center()
    end.setX(bar.width() - 25)
    while bar.value() < bar.maximum():
        QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=end)
    assert right() < view.width(), "all of it can be reached"


def test_a_short_page_does_not_scroll_because_another_is_long(qtbot: Any) -> None:
    short, long, column = QLabel("short"), QWidget(), QWidget()
    button = QPushButton("long")
    button.setMinimumHeight(900)
    QVBoxLayout(long).addWidget(button)
    tabs, layout = Pages(), QVBoxLayout(column)
    tabs.addTab(short, "Short")
    tabs.addTab(long, "Long")
    layout.addWidget(tabs)
    scroll = ColumnScroll(column)
    qtbot.addWidget(scroll)
    scroll.resize(300, 400)
    scroll.show()
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().maximum() == 0)
    QTest.mouseClick(
        tabs.tabBar(),
        Qt.MouseButton.LeftButton,
        pos=tabs.tabBar().tabRect(1).center(),
    )
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().maximum() > 400)
    assert long.height() >= 900
    tabs.setCurrentIndex(0)
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


def test_nothing_jumps_under_a_long_sentence(make_user: Any, plane: Any) -> None:
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.dock.isVisible())
    status = user.dock.status
    line, tops = status.label.fontMetrics().lineSpacing(), []
    for text in ("Short.", "One line\ntwo\nthree\nfour"):
        status.say(text)
        QTest.qWait(50)
        tops.append(user.dock.tabs.y())
    assert status.label.height() >= 4 * line
    assert tops[0] == tops[1]


def test_what_changed_is_one_line_a_class(make_user: Any, plane: Any) -> None:
    user = make_user(show=True)
    user.open(plane)
    user.dock.tabs.setCurrentWidget(user.dock.review)
    user.wait(lambda: user.dock.review.isVisible())
    panel = user.dock.review.change.panel
    panel.show_counts([("Class 1", "#0f0", "#f00", 119_450, 140_621)])
    QTest.qWait(50)
    lines = panel.counts.height() / panel.counts.fontMetrics().lineSpacing()
    assert lines < 2
