"""A column that scrolls, pages as high as the one shown, steps, sections that fold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from napari.settings import get_settings
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

ACCENT = "#2f6fde"
QUIET = "#757e90"
"""Colour of headings and keys: legible on napari's dark theme and on its light one."""

STYLE = (
    "QPushButton { text-align: left; border: none; background: transparent; "
    f"padding: 2px 0; font-weight: bold; color: {QUIET}; }}"
    f"QPushButton:hover {{ color: {ACCENT}; }}"
)
OPEN, CLOSED = "\u25be", "\u25b8"


SHARE = 0.31
"""Of the width of a screen, what the dock asks for at most: napari takes the rest."""


class ColumnScroll(QScrollArea):  # type: ignore[misc]
    """Scrolls a column of widgets; its least width follows theirs.

    On a screen too narrow for that beside napari, such as 1280 pixels at 150 %, it
    scrolls sideways too: else the window would reach over the edge of the screen.

    Parameters
    ----------
    column : QWidget
        What to scroll.
    """

    def __init__(self, column: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(column)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the column when its contents or their style change."""
        # QScrollArea listens to its widget by itself: no filter has to be installed.
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return bool(super().eventFilter(watched, event))

    def _fit(self) -> None:
        bar = self.verticalScrollBar().sizeHint().width()
        wanted = self.widget().minimumSizeHint().width() + bar
        least = round(SHARE * self.screen().availableGeometry().width())
        self.setMinimumWidth(min(wanted, least))
        policy = Qt.ScrollBarPolicy
        narrow = (
            policy.ScrollBarAsNeeded if wanted > least else policy.ScrollBarAlwaysOff
        )
        self.setHorizontalScrollBarPolicy(narrow)


class Pages(QTabWidget):  # type: ignore[misc]
    """Tabs; a short page does not scroll because another one is long."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDocumentMode(True)
        self.tabBar().setToolTip("What else there is to do with the mask")
        self.tabBar().setDrawBase(False)
        self.currentChanged.connect(self._fit)

    def tabInserted(self, index: int) -> None:
        """Fit a page that was added."""
        super().tabInserted(index)
        self._fit()

    def hasHeightForWidth(self) -> bool:
        """Lines of a page wrap."""
        return True

    def sizeHint(self) -> QSize:
        """Return the width of the widest page and the height of the one shown."""
        width = super().sizeHint().width()
        return QSize(width, self.heightForWidth(width))

    def heightForWidth(self, width: int) -> int:
        """Return the height of the page that is shown, and of the tabs.

        Parameters
        ----------
        width : int
            In logical pixels, as Qt counts.
        """
        page = self.currentWidget()
        wraps = page.hasHeightForWidth()
        height = page.heightForWidth(width) if wraps else page.sizeHint().height()
        # Tabs and frame, which styles make as high as they like.
        rest = self.minimumSizeHint().height() - page.minimumSizeHint().height()
        return int(height + rest)

    def _fit(self) -> None:
        """Let only the page that is shown say how high it must be."""
        shown = self.currentWidget()
        for page in map(self.widget, range(self.count())):
            policy = page.sizePolicy()
            kind = QSizePolicy.Policy
            policy.setVerticalPolicy(kind.Preferred if page is shown else kind.Ignored)
            page.setSizePolicy(policy)
        self.updateGeometry()


class Collapsible(QCollapsible):  # type: ignore[misc]
    """Shows its widget only while it is open; folded at first.

    Parameters
    ----------
    title : str
        Its heading.
    tip : str
        What one finds there.
    """

    def __init__(self, title: str, tip: str, parent: QWidget | None = None) -> None:
        # Icons made of letters are black on any theme; the title holds the arrow.
        super().__init__("", parent, _no_icon(), _no_icon())
        self._title = title
        self.toggleButton().setIconSize(QSize(0, 0))
        self.toggleButton().setStyleSheet(STYLE)
        self.toggleButton().setToolTip(tip)
        self.setDuration(0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        self.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    def fill(self, widget: QWidget) -> None:
        """Show this widget when open.

        Parameters
        ----------
        widget : QWidget
            Takes the place of what was there; the section is folded.
        """
        self.setContent(widget)
        self.set_open(False)

    def set_open(self, on: bool) -> None:
        """Open it, or fold it.

        Parameters
        ----------
        on : bool
            Open.
        """
        (self.expand if on else self.collapse)(animate=False)
        self._on_toggled(on)

    def _on_toggled(self, on: bool) -> None:
        self.setText(f"{OPEN if on else CLOSED} {self._title}")
        # Folded, it has no height, but the Tab key would still go there.
        self.content().setEnabled(on)


class Step(QWidget):  # type: ignore[misc]
    """A numbered heading and what belongs to it.

    Parameters
    ----------
    number : int
        From 1.
    title : str
        What is done here.
    *parts : QWidget
        From top to bottom.
    """

    SIDE = 20
    """Diameter of the circle with the number, in pixels."""

    def __init__(self, number: int, title: str, *parts: QWidget) -> None:
        super().__init__()
        self.title = QLabel(title)
        # napari's letters are larger on a Mac, and where the user has chosen so.
        size = get_settings().appearance.font_size + 2
        self.title.setStyleSheet(f"font-size: {size}pt; font-weight: bold;")
        badge = QLabel(str(number))
        badge.setFixedSize(self.SIDE, self.SIDE)
        badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
        badge.setStyleSheet(
            f"background: {ACCENT}; color: white; font-weight: bold; "
            f"border-radius: {self.SIDE // 2}px;"
        )
        self.header = QHBoxLayout()
        self.header.setSpacing(8)
        self.header.addWidget(badge)
        self.header.addWidget(self.title, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 10)
        column.setSpacing(6)
        column.addLayout(self.header)
        for part in parts:
            column.addWidget(part)


def stacked(*widgets: QWidget) -> QWidget:
    """Return a page with widgets one below the other.

    Parameters
    ----------
    *widgets : QWidget
        From top to bottom; what height is left goes below them.
    """
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 6, 0, 0)
    column.setSpacing(4)
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch(1)
    return page


def in_reading_order(widget: QWidget) -> None:
    """Have the Tab key go through a widget as its layouts are filled.

    Parameters
    ----------
    widget : QWidget
        The widgets in it that take no focus are passed over.
    """
    stops = [w for w in _laid_out(widget) if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
    for before, after in pairwise(stops):
        QWidget.setTabOrder(before, after)


def _laid_out(thing: QWidget | QLayout) -> Iterator[QWidget]:
    """Yield widgets in the order of layouts, pages and what they hold."""
    if isinstance(thing, QLayout):
        for place in range(thing.count()):
            item = thing.itemAt(place)
            # An empty combo is false.
            inside = item.layout() if item.widget() is None else item.widget()
            if inside is not None:
                yield from _laid_out(inside)
        return
    yield thing
    if isinstance(thing, QScrollArea):
        yield from _laid_out(thing.widget())
    elif isinstance(thing, QTabWidget):
        yield thing.tabBar()
        for page in map(thing.widget, range(thing.count())):
            yield from _laid_out(page)
    elif (layout := thing.layout()) is not None:
        yield from _laid_out(layout)


def _no_icon() -> QIcon:
    """Return an icon of one clear pixel: a null one is false under PySide6."""
    pixmap = QPixmap(1, 1)
    pixmap.fill(Qt.GlobalColor.transparent)
    return QIcon(pixmap)
