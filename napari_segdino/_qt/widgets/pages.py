"""A column that scrolls, and pages that take the height of the one shown."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QTabWidget, QWidget


class ColumnScroll(QScrollArea):  # type: ignore[misc]
    """Scrolls a column of widgets; its least width follows theirs.

    Parameters
    ----------
    column : QWidget
        What to scroll.
    """

    def __init__(self, column: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(column)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the column when its contents or their style change."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return bool(super().eventFilter(watched, event))

    def _fit(self) -> None:
        bar = self.verticalScrollBar().sizeHint().width()
        self.setMinimumWidth(self.widget().minimumSizeHint().width() + bar)


class Pages(QTabWidget):  # type: ignore[misc]
    """Tabs; a short page does not scroll because another one is long."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDocumentMode(True)
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
        """Return the height of the page that is shown, and of the tabs."""
        page = self.currentWidget()
        wraps = page.hasHeightForWidth()
        height = page.heightForWidth(width) if wraps else page.sizeHint().height()
        return int(height + self.tabBar().sizeHint().height())

    def _fit(self) -> None:
        """Let only the page that is shown say how high it must be."""
        shown = self.currentWidget()
        for page in map(self.widget, range(self.count())):
            policy = page.sizePolicy()
            kind = QSizePolicy.Policy
            policy.setVerticalPolicy(kind.Preferred if page is shown else kind.Ignored)
            page.setSizePolicy(policy)
        self.updateGeometry()
