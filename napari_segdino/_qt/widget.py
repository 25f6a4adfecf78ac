"""What napari docks, which holds the dock while it is on screen, and the commands.

napari closes a plugin's widget in four ways, and none of them is a close event
of that widget: the x and ``remove_dock_widget`` take its parent away, the Window
menu hides it, and closing the window hides the window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QDockWidget,
    QLabel,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.dock import SegmentDock
from napari_segdino._qt.preferences import PLUGIN
from napari_segdino._qt.window_state import window_of
from napari_segdino.session.report import keep_log

if TYPE_CHECKING:
    # napari resolves the annotations of commands, and knows its classes by this name.
    import napari.viewer

WIDGET = "SegDINO"
"""Name of the dock in the manifest."""

# Weak both ways: a widget holds its window, which a value of this would keep alive.
_widgets: WeakKeyDictionary[Any, ReferenceType[SegDINOWidget]] = WeakKeyDictionary()
"""The widget of each window that holds its dock, or held it last."""


def open_dock(viewer: napari.viewer.Viewer) -> SegmentDock:
    """Return the window's dock in front of others; make it if it is not there.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window, or a proxy of it.
    """
    widget = _first(window_of(viewer))
    if widget is None:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    widget.bring_to_front()
    widget.open()
    assert widget.dock is not None
    return widget.dock


def _command(
    what: str, act: Callable[[SegmentDock], object]
) -> Callable[[napari.viewer.Viewer], None]:
    """Make a command of the manifest, which does something with the window's dock."""

    # napari hands the window to whatever asks for a viewer by this annotation.
    def command(viewer: napari.viewer.Viewer) -> None:
        act(open_dock(viewer))

    command.__doc__ = what
    return command


segment = _command("Draw the mask of the image that is picked.", SegmentDock.segment)
retrain = _command(
    "Learn from the corrections and draw the mask again.", SegmentDock.retrain
)
accept_slice = _command(
    "Make the mask of the slice on screen marks.", lambda dock: dock.corrector.accept()
)
export_mask = _command(
    "Ask for a file and write the mask to it.", lambda dock: dock.exports.export()
)
copy_script = _command(
    "Put Python that makes the mask again on the clipboard, and into a file.",
    lambda dock: dock.exports.copy_script(),
)
tour = _command(
    "Show the way from an image to its mask in five steps.",
    lambda dock: dock.tour.start(),
)


def _first(window: Any) -> SegDINOWidget | None:
    known = _widgets.get(window)
    return None if known is None else known()


class SegDINOWidget(QWidget):  # type: ignore[misc]
    """The dock of a window, made anew whenever it is shown.

    What the window knows is kept while it is closed: see
    :mod:`napari_segdino._qt.window_state`. A second widget of one window shows
    where the first is.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The window.

    Attributes
    ----------
    dock : SegmentDock or None
        None while it is closed, and in a second widget of the window.
    """

    def __init__(
        self, napari_viewer: napari.viewer.Viewer, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        keep_log()
        self._viewer = napari_viewer
        self._window = window_of(napari_viewer)
        self.dock: SegmentDock | None = None
        self._notice: QWidget | None = None
        # Otherwise napari gives half of the height to an empty space below.
        policy = QSizePolicy.Policy
        self.setSizePolicy(policy.Preferred, policy.Expanding)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.open()

    def open(self) -> None:
        """Make the dock, unless the window has one already."""
        if self.dock is not None:
            return
        first = _first(self._window)
        if first is not None and first.dock is not None:
            first.bring_to_front()
            self._say_where()
            return
        self._forget_notice()
        _widgets[self._window] = ref(self)
        self.dock = SegmentDock(self._viewer)
        self._column.addWidget(self.dock)

    def shut(self) -> None:
        """Close the dock: it lets go of keys, timers and layers."""
        if self.dock is None:
            return
        dock, self.dock = self.dock, None
        dock.release()
        self._column.removeWidget(dock)
        dock.hide()
        dock.deleteLater()

    def bring_to_front(self) -> None:
        """Show the widget, before others of its place."""
        holder = self.parentWidget()
        if isinstance(holder, QDockWidget):
            holder.show()
            holder.raise_()

    # -- what napari does --------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        """Bring the dock back if it was closed."""
        super().showEvent(event)
        self.open()

    def hideEvent(self, event: QHideEvent) -> None:
        """Close with the window; a dock that only floats is shown again at once."""
        super().hideEvent(event)
        # The system hides windows too: minimised, or on another desktop.
        if event.spontaneous():
            return
        if _is_closing(self):
            self.shut()
        else:
            QTimer.singleShot(0, self._shut_if_hidden)

    def changeEvent(self, event: QEvent) -> None:
        """Close when napari takes the parent away."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self.shut()
            if _first(self._window) is self:
                del _widgets[self._window]

    def _shut_if_hidden(self) -> None:
        if not self.isVisible():
            self.shut()

    # -- a second one ------------------------------------------------------

    def _say_where(self) -> None:
        if self._notice is not None:
            return
        self._notice = QWidget()
        column = QVBoxLayout(self._notice)
        label = QLabel("SegDINO is open in this window already.")
        label.setWordWrap(True)
        show = QPushButton("Show it")
        show.clicked.connect(self.open)
        column.addWidget(label)
        column.addWidget(show)
        column.addStretch(1)
        self._column.addWidget(self._notice)

    def _forget_notice(self) -> None:
        if self._notice is not None:
            self._notice.deleteLater()
            self._notice = None


def _is_closing(widget: QWidget) -> bool:
    """Whether the main window goes: nothing will run after this."""
    window: Any = widget.parentWidget()
    while window is not None and not isinstance(window, QMainWindow):
        window = window.parentWidget()
    return window is not None and not window.isVisible()
