"""Put a report of what went wrong on the clipboard."""

from __future__ import annotations

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication

from napari_segdino.session.report import report


def copy_report() -> None:
    """Copy versions, device and log: no pixels, no names of files."""
    QApplication.clipboard().setText(report())
    show_info("The report is on the clipboard.")
