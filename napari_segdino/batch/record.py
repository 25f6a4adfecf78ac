"""The record of a folder of masks: what was made, from what, and by which probe.

A line is added before a mask takes its name, so that after a kill every mask that
is there and fits a line was made by this program, and whatever fits none was not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from napari_segdino.errors import ScanError
from napari_segdino.files import LEFT_BY_SYSTEMS, reason, split_suffix

_log = logging.getLogger(__name__)

RECORD = "segmented.jsonl"
LOCK = f".{RECORD}.lock"
REPORT = "report.csv"

_CHUNK = 1 << 22
_PNG_END = b"IEND\xaeB`\x82"
_WITH_ANOTHER_FILE = (".mhd", ".nhdr", ".hdr", ".img")
"""Formats whose voxels are in a file beside the header."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a mask is to be made from, and how.

    Parameters
    ----------
    image : str
        Path of the image, seen from the folder of the masks.
    image_size, image_time : int
        Its bytes, and when it was last changed, in nanoseconds.
    series, suffix : str
        As asked for; see :class:`~napari_segdino.batch.Job`.
    probe : str
        Digest of the probe with its settings.
    """

    image: str
    image_size: int
    image_time: int
    series: str
    suffix: str
    probe: str

    def is_image_of(self, made: Made) -> bool:
        """Whether a mask was made from this image, changed or moved since or not.

        Parameters
        ----------
        made : Made
            A line of the record.
        """
        # Capitals do not count on Windows.
        mine, theirs = map(os.path.normcase, (self.image, made.image))
        same_name = os.path.basename(mine) == os.path.basename(theirs)
        seen = self.image_size, self.image_time
        moved = same_name and seen == (made.image_size, made.image_time)
        return moved or mine == theirs

    def differs(self, made: Made) -> str:
        """Say in what a mask that was made does not fit; empty if it does.

        Parameters
        ----------
        made : Made
            A mask of the same image.

        Returns
        -------
        str
            A sentence.
        """
        seen = self.image_size, self.image_time
        if seen != (made.image_size, made.image_time):
            return "The image has changed."
        if self.probe != made.probe:
            return "The model or its settings have changed."
        if self.series != made.series:
            return "Another series was asked for."
        if self.suffix not in (made.suffix, split_suffix(made.mask)[1]):
            return "Another format was asked for."
        return ""


@dataclass(frozen=True, slots=True)
class Made(Wanted):
    """A mask that was made; a line of the record.

    Parameters
    ----------
    mask : str
        Its name in the folder.
    size, time : int
        Its bytes, and when it was written, in nanoseconds.
    digest : str
        Of its content.
    run : str
        Names the run that made it.
    """

    mask: str
    size: int
    time: int
    digest: str
    run: str = ""

    def _is_at(self, path: Path) -> bool:
        """Whether what lies at `path` is this mask, untouched."""
        size, time = measure(path)
        if size != self.size:
            return False
        # A copy has another time and the same content; reading it all is the dear way.
        return time == self.time or digest_of(path) == self.digest

    def _was_cut_off(self, path: Path) -> bool:
        """Whether what lies at `path` is what is left of this mask."""
        from napari_segdino.io.read import read_mask

        size, time = measure(path)
        if size >= self.size:
            return False
        if path.is_dir() and time <= self.time:
            return True
        if path.suffix == ".png" and not path.read_bytes().endswith(_PNG_END):
            return True  # readers forgive it
        try:
            read_mask(path)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file raises
            _log.info("%s is damaged", path, exc_info=error)
            return True
        return False


@dataclass
class Record:
    """The record of one folder.

    Parameters
    ----------
    lines : list of Made
        In the order in which they were written.
    damaged : bool
        Whether some lines cannot be read.
    """

    lines: list[Made] = field(default_factory=list)
    damaged: bool = False

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read what stands in a folder; nothing if there is no record.

        Parameters
        ----------
        folder : pathlib.Path
            Of the masks.
        """
        record = cls()
        try:
            text = (folder / RECORD).read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return record
        except OSError as error:
            _log.error("reading the record of %s failed", folder, exc_info=error)
            return cls(damaged=True)
        *lines, rest = text.split("\n")
        # What a kill cut off names a mask that never took its place.
        for line in filter(None, lines):
            try:
                record.lines.append(Made(**json.loads(line)))
            except (ValueError, TypeError):
                record.damaged = True
        if rest and not record.lines:
            record.damaged = True
        return record

    @property
    def masks(self) -> set[str]:
        """Names of all masks that were made here."""
        return {made.mask for made in self.lines}


def add(folder: Path, made: Made) -> None:
    """Add a line to the record of a folder, safe on the disk when this returns.

    Parameters
    ----------
    folder : pathlib.Path
        Of the masks.
    made : Made
        The line.

    Raises
    ------
    ScanError
        If the system refuses.
    """
    line = json.dumps(asdict(made)).encode() + b"\n"
    path = folder / RECORD
    lock = FileLock(folder / LOCK)
    try:
        with suppress(NotImplementedError):  # file systems that know no locks
            lock.acquire()
        with open(path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                # What a kill left of a line is ended, or it would take this one along.
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        _log.error("writing %s failed", path, exc_info=error)
        raise ScanError(f"{RECORD} cannot be written: {reason(error)}.") from error
    finally:
        lock.release()


# -- what lies on the disk -------------------------------------------------


def measure(path: Path) -> tuple[int, int]:
    """Return the size of a file or folder, and when it was last changed.

    Of a folder, masks that were made there do not count.

    Parameters
    ----------
    path : pathlib.Path
        A file or folder.

    Returns
    -------
    size, time : int
        Bytes, and nanoseconds.

    Raises
    ------
    OSError
        If there is nothing.
    """
    stats = [os.stat(file) for file in _files_of(path)] or [path.stat()]
    return sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)


def digest_of(path: Path) -> str:
    """Return a digest of the content of a file, or of all files of a folder.

    Parameters
    ----------
    path : pathlib.Path
        A file or folder.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(_files_of(path)):
        if path.is_dir():
            digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        with open(file, "rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _files_of(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for at, folders, files in os.walk(path):
        here = Path(at)
        ours = _ours(here) if RECORD in files else set()
        folders[:] = [f for f in folders if f not in ours and not _is_litter(f)]
        yield from (here / f for f in files if f not in ours and not _is_litter(f))


def _ours(folder: Path) -> set[str]:
    reports = {REPORT, f"segmented_{REPORT}"}
    return {RECORD, LOCK, *reports, *Record.read(folder).masks}


def _is_litter(name: str) -> bool:
    begun = name.endswith(".unfinished") or ".part" in name or name.startswith("._")
    return name in LEFT_BY_SYSTEMS or (name.startswith(".") and begun)


def measure_image(path: Path) -> tuple[int, int]:
    """Return size and time of an image, with the file of voxels beside a header.

    Parameters
    ----------
    path : pathlib.Path
        A file or folder.

    Returns
    -------
    size, time : int
        See :func:`measure`.
    """
    stem, suffix = split_suffix(path)
    if path.is_dir() or suffix not in _WITH_ANOTHER_FILE:
        return measure(path)
    parts = [p for p in path.parent.iterdir() if p.is_file() and p.stem == stem]
    sizes, times = zip(*(measure(part) for part in parts), strict=True)
    return sum(sizes), max(times)


def seen_from(folder: Path, image: Path) -> str:
    """Return the path of an image, seen from a folder, with ``/``.

    Parameters
    ----------
    folder : pathlib.Path
        Of the masks.
    image : pathlib.Path
        Absolute, or seen from the working folder.
    """
    try:
        return Path(os.path.relpath(image, folder)).as_posix()
    except ValueError:  # on another drive
        return image.as_posix()


# -- what may be done with a mask that is there ----------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a mask that may be there.

    Parameters
    ----------
    action : {"make", "skip", "redo", "leave"}
        Leave alone is what the program cannot show that it made.
    why : str
        One sentence.
    run : str
        Of what is there, the run that made it.
    """

    action: str
    why: str = ""
    run: str = ""


def judge(
    path: Path, lines: Iterable[Made], wanted: Wanted, damaged: bool = False
) -> Verdict:
    """Say what to do with the mask at `path`.

    Parameters
    ----------
    path : pathlib.Path
        Where a mask is to be.
    lines : iterable of Made
        Of the record; those of other masks do not count.
    wanted : Wanted
        What is to be there.
    damaged : bool
        Whether lines of the record cannot be read.

    Returns
    -------
    Verdict
    """
    if not os.path.lexists(path):
        return Verdict("make")
    if path.is_file() and path.stat().st_size == 0:
        return Verdict("redo", "The mask was empty.")
    own = [made for made in lines if made.mask == path.name]
    # The last line first: a mask that was redone has several.
    for made in reversed(own):
        if made._is_at(path):
            why = wanted.differs(made)
            return Verdict("redo" if why else "skip", why, made.run)
    if any(made._was_cut_off(path) for made in own):
        return Verdict("redo", "The mask was cut off.")
    return Verdict("leave", _why_left(path.name, own, damaged))


def _why_left(name: str, own: Sequence[Made], damaged: bool) -> str:
    if own:
        return f"{name} was changed after it was made: it was left alone."
    if damaged:
        return (
            f"{name} was left alone: {RECORD} is damaged, and nothing else shows "
            "that this program made it."
        )
    return f"{name} was not made by this program: it was left alone."
