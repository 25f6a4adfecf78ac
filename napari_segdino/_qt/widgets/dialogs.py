"""Questions to the user: which file, and whether weights may be downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_segdino.files import safe_name, split_suffix

if TYPE_CHECKING:
    from napari_segdino._qt.worker.runner import DownloadQuestion

PROBES = "Models (*.segdino)"
_PROBE_ENDING = ".segdino"
YES, NO = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No


def ask_save_probe(parent: QWidget) -> Path | None:
    """Ask where to save the probe.

    Parameters
    ----------
    parent : QWidget
        Over which the dialog stands.

    Returns
    -------
    pathlib.Path or None
        With the suffix of a probe where none was typed; None if the user cancelled.
    """
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save model", f"model{_PROBE_ENDING}", PROBES
    )
    if not chosen:
        return None
    path = Path(chosen)
    # Not every system's dialog adds the suffix of its filter.
    return path if path.suffix else path.with_suffix(_PROBE_ENDING)


def checkpoint_patterns() -> str:
    """Return the names of checkpoint files as a file dialog filters them."""
    from napari_segdino.encoders.checkpoint import CHECKPOINT_SUFFIXES

    return " ".join(f"*{suffix}" for suffix in CHECKPOINT_SUFFIXES)


def ask_load_probe(parent: QWidget) -> Path | None:
    """Ask which probe to load.

    Parameters
    ----------
    parent : QWidget
        Over which the dialog stands.

    Returns
    -------
    pathlib.Path or None
        A probe, or a checkpoint of SegDINO; None if the user cancelled.
    """
    kinds = f"{PROBES};;SegDINO checkpoints ({checkpoint_patterns()})"
    chosen, _ = QFileDialog.getOpenFileName(parent, "Load model", "", kinds)
    return Path(chosen) if chosen else None


def _mask_filters(suffix: str) -> dict[str, str]:
    """List the formats of masks, that of a suffix first.

    Parameters
    ----------
    suffix : str
        Such as ``".nii.gz"``; the scan's own.

    Returns
    -------
    dict of str to str
        What the dialog shows of each, and the suffix of a name that has none.
    """
    from napari_segdino.io.formats import FORMATS

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
    filters = _mask_filters(suffix)
    chosen, shown = QFileDialog.getSaveFileName(
        parent, "Export mask", f"{safe_name(name)}{suffix}", ";;".join(filters)
    )
    if not chosen:
        return None
    return Path(chosen if split_suffix(chosen)[1] else f"{chosen}{filters[shown]}")


def ask_export_table(parent: QWidget, name: str) -> Path | None:
    """Ask where to save a table; `name` is the proposed file name.

    Parameters
    ----------
    parent : QWidget
        Over which the dialog stands.
    name : str
        Proposed file name, without its suffix.

    Returns
    -------
    pathlib.Path or None
        Ends in ``.csv`` where no suffix was typed; None if the user cancelled.
    """
    path = _ask_save(parent, "Export table", f"{safe_name(name)}.csv", "Tables (*.csv)")
    return path if path is None or path.suffix else path.with_suffix(".csv")


def ask_save_script(parent: QWidget, name: str) -> Path | None:
    """Ask where to save a script; `name` is the proposed file name.

    Parameters
    ----------
    parent : QWidget
        Over which the dialog stands.
    name : str
        Proposed file name, without its suffix.

    Returns
    -------
    pathlib.Path or None
        Ends in ``.py``; None if the user cancelled.
    """
    proposed = f"{safe_name(name)}.py"
    path = _ask_save(parent, "Copy as script", proposed, "Python (*.py)")
    return None if path is None else path.with_suffix(".py")


def _ask_save(parent: QWidget, title: str, name: str, kinds: str) -> Path | None:
    """Return the file that the user chose, if any."""
    chosen, _ = QFileDialog.getSaveFileName(parent, title, name, kinds)
    return Path(chosen) if chosen else None


def ask_download(parent: QWidget | None, done: Any, asked: DownloadQuestion) -> None:
    """Ask whether weights may be downloaded, and go on; the answer comes later.

    Parameters
    ----------
    parent : QWidget, optional
        Over which the question stands.
    done : signal
        Emitted when no job waits for the answer any more: it takes the box away.
    asked : DownloadQuestion
        What would be fetched, and where the answer goes.
    """
    from napari_segdino.encoders.consent import question

    box = QMessageBox(
        QMessageBox.Icon.Question,
        "Download weights",
        question(asked.source),
        YES | NO,
        parent,
    )
    box.setDefaultButton(NO)

    def answer(chosen: int) -> None:
        # A box that is rejected once more would answer twice.
        done.disconnect(box.reject)
        asked.answer.set_result(chosen == YES)
        box.deleteLater()

    done.connect(box.reject)
    box.finished.connect(answer)
    # Not exec(): its event loop would hold up the job, and Cancel with it.
    box.open()
