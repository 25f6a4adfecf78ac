"""Questions to the user about files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_segdino.encoders.checkpoint import CHECKPOINT_SUFFIXES
from napari_segdino.files import safe_name, split_suffix
from napari_segdino.io.formats import FORMATS

PROBES = "Probes (*.segdino)"
CHECKPOINTS = " ".join(f"*{suffix}" for suffix in CHECKPOINT_SUFFIXES)
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
    kinds = f"{PROBES};;SegDINO checkpoints ({CHECKPOINTS})"
    chosen, _ = QFileDialog.getOpenFileName(parent, "Load probe", "", kinds)
    return Path(chosen) if chosen else None


def mask_filters(suffix: str) -> dict[str, str]:
    """List the formats of masks, that of a suffix first.

    Returns
    -------
    dict of str to str
        What the dialog shows of each, and the suffix of a name that has none.
    """
    found = {}
    for one in sorted(FORMATS, key=lambda one: suffix not in one.mask_suffixes):
        if one.mask_suffixes:
            patterns = " ".join(f"*{each}" for each in one.mask_suffixes)
            own = suffix in one.mask_suffixes
            found[f"{one.name} ({patterns})"] = suffix if own else one.mask_suffixes[0]
    return found


def ask_export_mask(parent: QWidget, name: str, suffix: str) -> Path | None:
    """Ask where to save a mask.

    Parameters
    ----------
    parent : QWidget
        Asks.
    name, suffix : str
        Proposed file name.

    Returns
    -------
    pathlib.Path or None
        A name without a suffix gets that of the format chosen.
    """
    filters = mask_filters(suffix)
    chosen, shown = QFileDialog.getSaveFileName(
        parent, "Export mask", f"{safe_name(name)}{suffix}", ";;".join(filters)
    )
    if not chosen:
        return None
    return Path(chosen if split_suffix(chosen)[1] else f"{chosen}{filters[shown]}")


def ask_export_table(parent: QWidget, name: str) -> Path | None:
    """Ask where to save a table; `name` is the proposed file name."""
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Export table", f"{safe_name(name)}.csv", "Tables (*.csv)"
    )
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else path.with_suffix(".csv")
