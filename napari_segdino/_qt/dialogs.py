"""Questions to the user about files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

PROBES = "Probes (*.segdino)"
MASKS = (
    "TIFF (*.tif *.tiff);;NIfTI (*.nii.gz *.nii);;NRRD (*.nrrd);;MetaImage (*.mha);;"
    "PNG (*.png)"
)
_PROBE_ENDING = ".segdino"


def ask_save_probe(parent: QWidget) -> Path | None:
    """Ask where to save the probe."""
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save probe", f"probe{_PROBE_ENDING}", PROBES
    )
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else path.with_suffix(_PROBE_ENDING)


def ask_load_probe(parent: QWidget) -> Path | None:
    """Ask which probe to load."""
    chosen, _ = QFileDialog.getOpenFileName(parent, "Load probe", "", PROBES)
    return Path(chosen) if chosen else None


def ask_export_mask(parent: QWidget, name: str, ending: str) -> Path | None:
    """Ask where to save a mask.

    Parameters
    ----------
    parent : QWidget
        Asks.
    name, ending : str
        Proposed file name.
    """
    kinds = MASKS.split(";;")
    kinds.sort(key=lambda kind: f"*{ending}" not in kind)
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Export mask", f"{name}{ending}", ";;".join(kinds)
    )
    return Path(chosen) if chosen else None


def ask_export_table(parent: QWidget, name: str) -> Path | None:
    """Ask where to save a table; `name` is the proposed file name."""
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Export table", f"{name}.csv", "Tables (*.csv)"
    )
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else path.with_suffix(".csv")
