"""Commands of the menus and the command palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segdino._qt.dock import SegmentDock

if TYPE_CHECKING:
    import napari.viewer

PLUGIN = "napari-segdino"
WIDGET = "SegDINO"


def open_dock(viewer: napari.viewer.Viewer) -> SegmentDock:
    """Return the window's dock; open it if it is not there."""
    added: tuple[object, SegmentDock]
    added = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    return added[1]


def segment(viewer: napari.viewer.Viewer) -> None:
    """Draw the mask of the image that is picked in the dock."""
    open_dock(viewer).segment()


def retrain(viewer: napari.viewer.Viewer) -> None:
    """Learn from the corrections and draw the mask again."""
    open_dock(viewer).retrain()
