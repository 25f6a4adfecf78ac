"""Pages of a column, chosen by tabs, that take the height of the one shown."""

from __future__ import annotations

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy, QTabWidget, QWidget


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
