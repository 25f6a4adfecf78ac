"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import csv
import errno
import logging
import os
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_segdino.errors import ScanError, SegDINOError

_log = logging.getLogger(__name__)

MOST_BYTES = 150
"""Of a name without its suffix, in UTF-8."""

ABANDONED_S = 600.0
"""Seconds without a write after which a file in the making has no writer any more."""

PATIENCE_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses before a file that another program has open is tried again, on Windows."""

IN_USE = (5, 32, 33, 1224)
"""Windows' numbers for that: access denied, shared, locked, mapped into memory."""

RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)
"""Devices of Windows, which a file cannot be called, whatever its suffix."""

LEFT_BY_SYSTEMS = {".DS_Store", "desktop.ini", "Thumbs.db"}
"""What macOS and Windows put into a folder that somebody has looked into."""

SUFFIXES_IN_TWO = (".nii.gz", ".ome.tif", ".ome.tiff", ".ome.zarr")
"""Suffixes that keep their two parts; libraries choose the format by them."""


def split_suffix(path: Path | str) -> tuple[str, str]:
    """Cut a file's name into stem and suffix.

    Parameters
    ----------
    path : path
        Any path; only its last part counts.

    Returns
    -------
    stem, suffix : str
        The suffix is in small letters, with its dot, and may have two parts:
        ``"scan.NII.GZ"`` gives ``("scan", ".nii.gz")``.
    """
    name = Path(path).name
    for suffix in SUFFIXES_IN_TWO:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], suffix
    return Path(name).stem, Path(name).suffix.lower()


def reason(error: OSError) -> str:
    """Say in a few words why the system refused a file.

    An error without a number is numpy's, for a file that took only a part.

    Parameters
    ----------
    error : OSError
        As the system or numpy raised it.

    Returns
    -------
    str
        A clause, without capital and full stop.
    """
    # Access denied is all that Windows says of a folder that is read-only, too.
    if getattr(error, "winerror", None) in IN_USE[1:]:
        return "another program has it open"
    if error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "the folder or file is read-only"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "there is no such folder"
    return error.strerror or "the system refused it"


def new_token() -> str:
    """Return a short name that no one else has."""
    return secrets.token_hex(4)


def shortened(name: str, most: int = MOST_BYTES) -> str:
    """Cut a name to what file systems take, so that it still tells from others.

    Parameters
    ----------
    name : str
        Without its suffix.
    most : int
        Bytes; systems take 255 with the suffix, and some of that is for parts.

    Returns
    -------
    str
        `name`, or its beginning and a checksum of the whole.
    """
    content = name.encode(errors="surrogateescape")
    if len(content) <= most:
        return name
    # The cut may go through a letter of several bytes, hence "ignore"; 9 bytes are the
    # dash and eight digits.
    begin = content[: most - 9].decode(errors="ignore")
    return f"{begin}-{zlib.crc32(content):08x}"


def safe_name(text: str) -> str:
    """Make a name of a file of what was read from one, such as a layer's name.

    What is neither letter, digit, ``_`` nor ``.`` becomes ``-``; never hidden, no
    device of Windows, and short enough.

    Parameters
    ----------
    text : str
        Any; may be empty.

    Returns
    -------
    str
        At most :data:`MOST_BYTES` bytes long, and empty if nothing of it can stay.
    """
    plain = re.sub(r"[^\w.]+", "-", text).strip("-.")
    return shortened(RESERVED.sub(r"\1_", plain, count=1))


def _temporary_name(path: Path) -> Path:
    """Name for a file in the making: hidden, same folder, same suffix."""
    stem, suffix = split_suffix(path)
    return path.with_name(f".{shortened(stem)}.{new_token()}.part{suffix}")


def parts_of(path: Path) -> re.Pattern[str]:
    """Return what :func:`_temporary_name` calls files in the making of a path.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder that was to be written.

    Returns
    -------
    re.Pattern
        Matches whole names in the same folder.
    """
    stem, suffix = split_suffix(path)
    begin, end = re.escape(shortened(stem)), re.escape(suffix)
    return re.compile(rf"\.{begin}\.[0-9a-f]{{8}}\.part{end}")


def _sweep_parts(path: Path) -> None:
    """Remove what writers of a file left that were killed.

    Only files that this program names so, and that nobody wrote to for
    :data:`ABANDONED_S`: another writer may be at work.
    """
    # By age and not by process, since the writer may be on another machine of a
    # cluster.
    ours, before = parts_of(path), time.time() - ABANDONED_S
    with suppress(OSError):
        for left in path.parent.iterdir():
            if ours.fullmatch(left.name) and not left.is_symlink() and left.is_file():
                with suppress(OSError):
                    if left.stat().st_mtime < before:
                        left.unlink()


def _claim(temporary: Path, mode: int | None) -> int:
    """Make the empty file, so that a refusal comes before any work is done.

    Returns who may read and write it: as told, or as the user's files are.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(os.open(temporary, flags, 0o666))
    if mode is not None:
        os.chmod(temporary, mode)
    return temporary.stat().st_mode & 0o777


def sync(path: Path) -> None:
    """Wait until a file's content is on the disk.

    Parameters
    ----------
    path : pathlib.Path
        An existing file that may be written to.
    """
    # For writing as well: Windows refuses fsync on what is open for reading only.
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Wait until new names in a folder are on the disk, where the system can."""
    with suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def move(source: Path, target: Path) -> None:
    """Give a file another name, in place of what has it, or a folder a free one.

    Windows refuses both while anything has the old or the new one open, which virus
    scanners and indexers do for a moment with each new file.

    Parameters
    ----------
    source, target : pathlib.Path
        On one file system.

    Raises
    ------
    OSError
        If the system refuses, and still does so after :data:`PATIENCE_S`.
    """
    for pause in PATIENCE_S:
        try:
            os.replace(source, target)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in IN_USE:
                raise
            _log.info("%s is in use: tried again in %g s", target, pause)
            time.sleep(pause)
    os.replace(source, target)


@contextmanager
def atomic_path(
    path: Path | str, error: type[SegDINOError] = ScanError
) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when it is whole.

    The temporary file lies in the same folder and has the same suffix. It is
    made, empty, before the block runs. When the block ends well it takes the
    place of `path` in one step; when it does not, it is removed and `path`
    stays as it was.

    Parameters
    ----------
    path : path
        The file to write. A link is followed.
    error : type
        What to raise when the system refuses, a kind of
        :class:`~napari_segdino.errors.SegDINOError`.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    SegDINOError
        Of the kind `error`: the folder is missing or read-only, the disk is
        full, `path` is a folder. Other errors of the block pass unchanged.
    """
    path = Path(path)
    # move would put the file in the place of a link instead of what it points to.
    target = Path(os.path.realpath(path))
    temporary = _temporary_name(target)
    try:
        if target.is_dir():
            raise error(f"{path.name} cannot be written: a folder has that name.")
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        # Now, since Windows would not remove the file in the making either.
        if mode is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "read-only")
        mode = _claim(temporary, mode)
        _sweep_parts(target)
        yield temporary
        sync(temporary)
        # Some libraries make the file anew, for its owner only.
        os.chmod(temporary, mode)
        move(temporary, target)
        _sync_folder(target.parent)
    except OSError as cause:
        _log.error("writing %s failed", path, exc_info=cause)
        raise error(f"{path.name} cannot be written: {reason(cause)}.") from cause
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_csv(
    path: Path | str, names: Iterable[str], rows: Iterable[Iterable[Any]]
) -> Path:
    """Write a table as CSV, whole or not at all.

    Parameters
    ----------
    path : path
        Where to; an older file is replaced.
    names : iterable of str
        Of the columns.
    rows : iterable of iterable
        The values, row by row.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ScanError
        If the system refuses.
    """
    path = Path(path)
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    return path


def settle_folder(target: Path) -> None:
    """Put back what a :func:`swap_folder` that was cut off had moved aside.

    Where `target` is there, what was moved aside is removed: it was replaced.

    Parameters
    ----------
    target : pathlib.Path
        A folder, or where one was; its parent is there.

    Raises
    ------
    OSError
        If the system refuses.
    """
    ours = parts_of(target)
    for old in target.parent.iterdir():
        if ours.fullmatch(old.name) and old.is_dir() and not old.is_symlink():
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                move(old, target)


def swap_folder(new: Path, target: Path) -> None:
    """Move the folder `new` to `target`, whatever lies there.

    Where it is cut off between its two steps, :func:`settle_folder` undoes the first.

    Parameters
    ----------
    new : pathlib.Path
        A whole folder, on the same file system.
    target : pathlib.Path
        Where it is to be.

    Raises
    ------
    OSError
        If the system refuses; what lay at `target` is then put back.
    """
    if not target.exists():
        move(new, target)
        return
    # No system replaces a folder that is not empty in one step, so there are two.
    old = _temporary_name(target)
    move(target, old)
    try:
        move(new, target)
    except OSError:
        move(old, target)
        raise
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink()
