"""Files opened by the program: nobody is asked which reader to take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from napari.errors import MultipleReaderError

from napari_segdino._qt.preferences import PLUGIN
from napari_segdino.io.formats import read_format
from napari_segdino.io.read import can_read

if TYPE_CHECKING:
    from napari.viewer import Viewer

BUILTIN = "napari"
"""The reader that comes with napari."""


def open_files(viewer: Viewer, paths: Iterable[Path]) -> None:
    """Open files: scans with this plugin, photos and the rest as napari does."""
    for path in paths:
        kind = read_format(path) if can_read(path) else None
        open_path(viewer, path, PLUGIN if kind is not None and kind.napari else "")


def open_path(viewer: Viewer, path: Path | str, reader: str = "") -> None:
    """Open a file with a reader, or with the user's choice, or with some other.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    path : path
        The file or folder.
    reader : str
        Name of the plugin; empty is what the user prefers. Where there is no
        preference and several could read it, napari's own comes first.
    """
    try:
        viewer.open(str(path), plugin=reader or None)
    except MultipleReaderError as error:
        others = [name for name in error.available_plugins if name != PLUGIN]
        chosen = BUILTIN if BUILTIN in others else others[0]
        viewer.open(str(path), plugin=chosen)
