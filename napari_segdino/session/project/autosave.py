"""Where unsaved work is kept, and what was left of it by earlier windows."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout
from platformdirs import user_data_path

from napari_segdino.session.project.about import PROJECT_FILE

if TYPE_CHECKING:
    from napari_segdino.session.project.write import ImageState, State

_log = logging.getLogger(__name__)

OURS = re.compile(r"[0-9a-f]{12}(\.lock)?")
"""Names that this program gives in the folder of all autosaves."""


def autosave_root() -> Path:
    """Folder of the user's autosaves, one folder a window."""
    return user_data_path("napari-segdino") / "autosave"


class AutosaveFolder:
    """A folder under a lock that the system lets go when its process dies.

    Parameters
    ----------
    folder : pathlib.Path
        The folder; its lock lies beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Not of one thread: a worker takes it and the window lets it go.
        self._lock = FileLock(folder.with_suffix(".lock"), thread_local=False)

    def take(self) -> bool:
        """Lock it; False if another process or window has it, or it cannot be."""
        try:
            self._lock.acquire(timeout=0)
        except (OSError, Timeout):
            return False
        return True

    def let_go(self) -> None:
        """Leave it to be offered again."""
        self._lock.release()

    def discard(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        try:
            Path(self._lock.lock_file).unlink(missing_ok=True)
        except OSError:
            _log.info("%s could not be removed", self._lock.lock_file, exc_info=True)


class Autosave(AutosaveFolder):
    """Keeps the work of one window while it is alive.

    Nothing is made on disk before the first :meth:`write`.

    Parameters
    ----------
    root : pathlib.Path
        Folder of all autosaves.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root / secrets.token_hex(6))
        # Only who saves needs it, and this module is imported when the dock opens.
        from napari_segdino.session.project.write import ProjectWriter

        self._writer = ProjectWriter(self.folder)

    def write(self, state: State) -> None:
        """Write what changed; nothing before something is marked or learned.

        Parameters
        ----------
        state : State
            The session.

        Raises
        ------
        ProjectError, OSError
            If the system refuses.
        """
        if not self._lock.is_locked:
            learned = state.probes or state.keep_probes
            if not learned and not any(map(_is_marked, state.images)):
                return
            # Locked first: a folder without a project is swept unless it has an owner.
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.take()
        self._writer.write(state)


def _is_marked(image: ImageState) -> bool:
    """Whether the user has marked anything; a mask alone is soon found again."""
    marks = image.marks
    return any(np.asarray(marks[at]).any() for at in np.ndindex(*marks.shape[:-2]))


def find_left(root: Path) -> list[AutosaveFolder]:
    """Find work that processes left, whether they crashed or ended.

    Parameters
    ----------
    root : pathlib.Path
        Folder of all autosaves.

    Returns
    -------
    list of AutosaveFolder
        Newest first; each is locked, so that no other window offers it.
    """
    try:
        files = [(f.stat().st_mtime, f) for f in root.glob(f"*/{PROJECT_FILE}")]
    except OSError:
        _log.warning("looking for autosaves in %s failed", root, exc_info=True)
        return []
    kept = [AutosaveFolder(file.parent) for _, file in sorted(files, reverse=True)]
    _sweep(root)
    return [one for one in kept if one.take()]


def _sweep(root: Path) -> None:
    """Remove what processes left that ended before anything was whole."""
    for name in {file.stem for file in root.glob("*") if OURS.fullmatch(file.name)}:
        left = AutosaveFolder(root / name)
        if left.take():
            if (left.folder / PROJECT_FILE).exists():
                left.let_go()
            else:
                left.discard()
