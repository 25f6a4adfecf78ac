"""Features kept in memory up to a number of bytes, then on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segdino.errors import DAMAGE
from napari_segdino.features.grid import FeatureGrid

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

SUFFIX = ".safetensors"

FORMAT = "3 "
"""Named in the file names: files of another format are not read, and go in time."""

PLAIN = "float32"
"""The precision that file names do not name, as it was the only one."""

_REST = ("local", "colour", "grey")


class FeatureCache:
    """Least recently used features go from memory to disk, then away.

    Safe to use from several threads. What cannot be read back from disk is
    computed anew; a full or read-only disk only means fewer features kept.

    Parameters
    ----------
    ram_bytes : int
        Bytes of features held in memory.
    disk_bytes : int
        Bytes of files held on disk; 0 keeps nothing there.
    folder : pathlib.Path, optional
        Where files go; must be given when `disk_bytes` is not 0.
    precision : str
        In which numbers the features were computed: files of others are not read.
    """

    def __init__(
        self,
        ram_bytes: int,
        disk_bytes: int = 0,
        folder: Path | None = None,
        precision: str = PLAIN,
    ) -> None:
        self.ram_bytes = ram_bytes
        self.disk_bytes = disk_bytes if folder is not None else 0
        self.folder = folder
        # Not in keys, which probe files hold: what is marked on a tile is found by its
        # key whatever computed its features.
        self._kind = FORMAT + ("" if precision == PLAIN else f"{precision} ")
        self._held: OrderedDict[str, FeatureGrid] = OrderedDict()
        self._bytes = 0
        self._lock = threading.RLock()

    def get(self, key: str) -> FeatureGrid | None:
        """Return the features stored under `key`, or None.

        Parameters
        ----------
        key : str
            See :meth:`Extractor.key`.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        grid = self._read(key)
        if grid is not None:
            self.put(grid)
        return grid

    def holds(self, key: str) -> bool:
        """Whether features are stored under `key`; they are not read.

        Parameters
        ----------
        key : str
            See :meth:`Extractor.key`.
        """
        with self._lock:
            if key in self._held:
                return True
        return bool(self.disk_bytes) and os.path.lexists(self._path(key))

    def drop(self, key: str) -> None:
        """Forget what is in memory under `key`, if anything.

        Parameters
        ----------
        key : str
            See :meth:`Extractor.key`.
        """
        with self._lock:
            if (grid := self._held.pop(key, None)) is not None:
                self._bytes -= grid.nbytes

    def levels(self, key: str) -> tuple[torch.Tensor, ...] | None:
        """Return the levels alone of stored features, or None; nothing is checked.

        Parameters
        ----------
        key : str
            See :meth:`Extractor.key`.
        """
        with self._lock:
            if key in self._held:
                return self._held[key].levels
        if not self.disk_bytes:
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path(key), framework="pt") as file:
                count = int(file.metadata()["n"])
                return tuple(file.get_tensor(f"level{i}") for i in range(count))
        except (OSError, SafetensorError, *DAMAGE):
            _log.warning("Levels could not be read: %s", self._path(key), exc_info=True)
            return None

    def put(self, grid: FeatureGrid) -> None:
        """Store features under their own key.

        Parameters
        ----------
        grid : FeatureGrid
            Not copied: it must not be changed afterwards.
        """
        evicted = []
        with self._lock:
            old = self._held.pop(grid.key, None)
            self._bytes += grid.nbytes - (old.nbytes if old else 0)
            self._held[grid.key] = grid
            while self._bytes > self.ram_bytes and self._held:
                _, lru = self._held.popitem(last=False)
                self._bytes -= lru.nbytes
                evicted.append(lru)
        # Out of the lock: writing takes long, and other threads only need memory.
        for lru in evicted:
            self._write(lru)

    def clear(self) -> None:
        """Forget what is in memory; files stay."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / (
            hashlib.sha256((self._kind + key).encode()).hexdigest() + SUFFIX
        )

    def _read(self, key: str) -> FeatureGrid | None:
        if not self.disk_bytes or not os.path.lexists(path := self._path(key)):
            return None
        from safetensors import SafetensorError, safe_open

        try:
            if not path.is_file():
                raise FileNotFoundError(path)
            with safe_open(path, framework="pt") as file:
                meta = file.metadata()
                levels = [file.get_tensor(f"level{i}") for i in range(int(meta["n"]))]
                rest = {name: file.get_tensor(name) for name in _REST}
            grid = FeatureGrid(tuple(levels), key=key, **rest)
            if meta["checksum"] != _checksum(grid):
                raise ValueError(f"the checksum is not {meta['checksum']}")
            # Trimming goes by the time of last use, which many disks do not record on
            # reading.
            os.utime(path)
        except (OSError, SafetensorError, *DAMAGE):
            _log.warning("Cached features could not be read: %s", path, exc_info=True)
            with suppress(OSError):  # else it would never be made anew
                path.unlink()
            return None
        return grid

    def _write(self, grid: FeatureGrid) -> None:
        if not self.disk_bytes or (path := self._path(grid.key)).exists():
            return
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {f"level{i}": t.contiguous() for i, t in enumerate(grid.levels)}
        tensors |= {name: getattr(grid, name).contiguous() for name in _REST}
        meta = {"n": str(len(grid.levels)), "checksum": _checksum(grid)}
        # Processes of a folder run share the cache: each writes under a name of its
        # own.
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, partial, meta)
            os.replace(partial, path)
            self._trim()
        except (OSError, SafetensorError):
            _log.warning("Features could not be cached: %s", path, exc_info=True)
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _trim(self) -> None:
        """Remove the files used longest ago until the rest fits."""
        total = 0
        for _, size, path in sorted(self._files(), reverse=True):
            total += size
            if total > self.disk_bytes:
                # Windows keeps what is mapped into memory: the next time, then.
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        assert self.folder is not None
        for path in self.folder.glob("*" + SUFFIX):
            try:
                stat = path.stat()
            except FileNotFoundError:
                # Another process has removed it.
                continue
            yield stat.st_mtime, stat.st_size, path


def _checksum(grid: FeatureGrid) -> str:
    """Return a number for all that a file holds, types and shapes with it."""
    total = zlib.crc32(grid.key.encode())
    for tensor in (*grid.levels, grid.local, grid.colour, grid.grey):
        total = zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.contiguous().numpy().data, total)
    return f"{total:08x}"


def cache_folder() -> Path:
    """Folder of the user's feature files."""
    from platformdirs import user_cache_path

    return user_cache_path("napari-segdino") / "features"
