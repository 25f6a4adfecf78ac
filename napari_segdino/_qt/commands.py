"""Commands of the menus and the command palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segdino._qt import widget

if TYPE_CHECKING:
    import napari.viewer

    from napari_segdino._qt.dock import SegmentDock

PLUGIN = "napari-segdino"
WIDGET = "SegDINO"


def open_dock(viewer: napari.viewer.Viewer) -> SegmentDock:
    """Return the window's dock in front of others; open it if it is not there."""
    found = widget.open_dock(viewer)
    if found is None:
        added: tuple[object, widget.SegDINOWidget]
        added = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        found = added[1].dock
    assert found is not None
    return found


def segment(viewer: napari.viewer.Viewer) -> None:
    """Draw the mask of the image that is picked in the dock."""
    open_dock(viewer).segment()


def retrain(viewer: napari.viewer.Viewer) -> None:
    """Learn from the corrections and draw the mask again."""
    open_dock(viewer).retrain()


def accept_slice(viewer: napari.viewer.Viewer) -> None:
    """Make the mask of the slice on screen marks."""
    open_dock(viewer).corrector.accept()


def export_mask(viewer: napari.viewer.Viewer) -> None:
    """Ask for a file and write the mask to it."""
    open_dock(viewer).export()
