"""What is to be done with many files, and what came of it."""

from __future__ import annotations

import glob
import itertools
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from napari_segdino.batch.record import (
    RECORD,
    Made,
    Record,
    Wanted,
    measure_image,
    seen_from,
)
from napari_segdino.errors import InputError, unknown_name
from napari_segdino.files import new_token, write_csv

Status = Literal["done", "redone", "skipped", "left alone", "failed"]

ZARR_SUFFIX = ".ome.zarr"


@dataclass(frozen=True, slots=True)
class Job:
    """One file to segment.

    Parameters
    ----------
    path : pathlib.Path
        The scan.
    folder : pathlib.Path
        Where its mask goes.
    suffix : str
        Of the mask; empty is the scan's own format.
    resume : bool
        Leave a mask that is up to date, and go on with one that is half written.
    series : str
        Which one of several in the scan, as for
        :func:`~napari_segdino.io.read_scan`; the mask is named after it. Empty
        is the largest or first one.
    name : str
        The mask is named after this; empty is the scan's own name.
    made : tuple of Made
        What the folder's record says of masks of this name.
    run : str
        Names the run: what it made itself, it does not make again.
    mask_of : str
        Name of the image whose mask this scan is; it is left alone then.
    """

    path: Path
    folder: Path
    suffix: str = ""
    resume: bool = False
    series: str = ""
    name: str = ""
    made: tuple[Made, ...] = ()
    run: str = ""
    mask_of: str = ""

    def target(self, suffix: str) -> Path:
        """Return where the mask goes, in a format.

        Parameters
        ----------
        suffix : str
            Of the mask; empty is the scan's own.
        """
        from napari_segdino.io.pairs import mask_name

        named = Path(self.name or self.path.name)
        return self.folder / mask_name(named, suffix, self.series)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one file; a line of the report.

    Parameters
    ----------
    file, output : str
        The scan, and its mask if there is one.
    seconds : float
        From reading to writing.
    status : {"done", "redone", "skipped", "left alone", "failed"}
        Skipped is what is up to date; redone replaced an older mask; left alone is
        what the program cannot show that it made.
    reason : str
        Why it failed, was redone or left alone, one sentence.
    note : str
        What to know of the scan: missing slices, which of several series it is.
    """

    file: str
    output: str
    seconds: float
    status: Status
    reason: str = ""
    note: str = ""


def plan_jobs(
    inputs: Iterable[Path | str],
    folder: Path | str,
    *,
    suffix: str = "",
    resume: bool = False,
    series: str = "",
) -> list[Job]:
    """Find the files to segment.

    Parameters
    ----------
    inputs : iterable of path
        Files, folders, or patterns such as ``"scans/*.nii.gz"``.
    folder : path
        Where masks go.
    suffix : str
        Format of the masks; empty is each scan's own.
    resume, series
        See :class:`Job`.

    Returns
    -------
    list of Job
        In the order given; none twice.

    Raises
    ------
    InputError
        If nothing is found, or the suffix is not known.

    Notes
    -----
    Masks among the images are left out if they were made here, and left alone if
    they are named after an image beside them. Of images of one name, the first
    gives its name to its mask, others their folder's name as well.
    """
    from napari_segdino.io.formats import MASK_SUFFIXES
    from napari_segdino.io.pairs import stem_of

    if suffix and suffix not in MASK_SUFFIXES:
        raise InputError(unknown_name("format of masks", suffix, MASK_SUFFIXES))
    records = _Records()
    given = [path for one in inputs for path in _expand(one)]
    paths = list(dict.fromkeys(p for path in given for p in _images(path, records)))
    if not paths:
        raise InputError("There are only masks that were made here, and no image.")
    masks, run = Path(folder).absolute(), new_token()
    others, record = _masks_among(paths), records.of(masks)
    names = _name_images([p for p in paths if p not in others], masks, series, record)
    made: dict[str, list[Made]] = {}
    for line in record.lines:
        made.setdefault(stem_of(Path(line.mask)), []).append(line)
    jobs = []
    for path in paths:
        job = Job(path, masks, suffix, resume, series, names.get(path, ""), run=run)
        # The stem is the same in any format; that of the scan's own is known once it is
        # read.
        own = tuple(made.get(stem_of(job.target(".tif")), ()))
        jobs.append(replace(job, made=own, mask_of=others.get(path, "")))
    return jobs


class _Records:
    """Records of folders, each read once."""

    def __init__(self) -> None:
        self._read: dict[Path, Record] = {}

    def of(self, folder: Path) -> Record:
        """Return the record of a folder."""
        if folder not in self._read:
            self._read[folder] = Record.read(folder)
        return self._read[folder]


def _images(path: Path, records: _Records) -> list[Path]:
    """List the images at a path; none of the masks that were made there."""
    from napari_segdino.io.pairs import list_images

    path = path.absolute()
    if path.name in {RECORD, *records.of(path.parent).masks}:
        return []
    leave_out = records.of(path).masks if path.is_dir() else ()
    return list_images(path, leave_out)


def _expand(given: Path | str) -> Sequence[Path]:
    """Return the paths that a pattern stands for, or the path itself."""
    if Path(given).exists() or not glob.has_magic(str(given)):
        return [Path(given)]
    found = sorted(glob.glob(str(given), recursive=True))
    if not found:
        raise InputError(f"There is no file like {given}.")
    return [Path(path) for path in found]


def write_report(path: Path | str, rows: Iterable[Row]) -> None:
    """Write a line for each file as CSV, whole or not at all.

    Parameters
    ----------
    path : path
        ``.csv`` file; an older one is replaced.
    rows : iterable of Row
        What came of the files.

    Raises
    ------
    ScanError
        If it cannot be written.
    """
    names = [field.name for field in fields(Row)]
    lines = ({**asdict(row), "seconds": f"{row.seconds:.2f}"} for row in rows)
    write_csv(path, names, (line.values() for line in lines))


def _masks_among(paths: Iterable[Path]) -> dict[Path, str]:
    """Find masks that are named after an image beside them.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Images, and masks perhaps.

    Returns
    -------
    dict of pathlib.Path to str
        By mask, the name of its image.
    """
    from napari_segdino.io.pairs import is_mask_name, key_of, stem_of

    paths = list(paths)
    # Reversed, so that of several suffixes the first given counts.
    images = {(path.parent, stem_of(path)): path.name for path in reversed(paths)}
    found = ((p, images.get((p.parent, key_of(p)))) for p in paths if is_mask_name(p))
    return {path: image for path, image in found if image is not None}


def _name_images(
    paths: Sequence[Path], folder: Path, series: str, record: Record
) -> dict[Path, str]:
    """Find a name for each image, so that no two masks have the same.

    An image whose mask the record knows keeps that name.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The images.
    folder : pathlib.Path
        Where masks go.
    series : str
        Which one of several in each image.
    record : Record
        Of the folder.

    Returns
    -------
    dict of pathlib.Path to str
        Names of files, as :attr:`~napari_segdino.batch.Job.name`.
    """
    owners = {_stem(Path(made.mask)): made for made in record.lines}
    sources = {made.image for made in record.lines}
    # Images whose masks are there choose first, so that they keep their names.
    before = sorted(paths, key=lambda path: seen_from(folder, path) not in sources)
    ambiguous = _same_stem(paths)
    taken: set[str] = set()
    names: dict[Path, str] = {}
    for path in before:
        for name in _candidates(path, path in ambiguous):
            stem = _mask_stem(name, series)
            owner = owners.get(stem)
            if stem in taken or (owner and not _owns(path, folder, owner)):
                continue
            taken.add(stem)
            names[path] = name
            break
    return names


def _owns(path: Path, folder: Path, made: Made) -> bool:
    """Whether a mask was made from the image at `path`."""
    seen = seen_from(folder, path)
    plain = os.path.normcase
    if plain(seen) == plain(made.image):
        return True
    if plain(path.name) != plain(Path(made.image).name):
        return False
    return Wanted(seen, *measure_image(path), "", "", "").is_image_of(made)


def _same_stem(paths: Iterable[Path]) -> set[Path]:
    """Images beside which there is one that differs in its suffix alone."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        groups.setdefault((path.parent, _stem(path)), []).append(path)
    return {path for group in groups.values() if len(group) > 1 for path in group}


def _candidates(path: Path, ambiguous: bool) -> Iterator[str]:
    """Names for an image: its own, with its suffix, its folders, a number."""
    from napari_segdino.files import split_suffix

    stem, suffix = split_suffix(path)
    yield path.name
    if ambiguous and suffix:
        yield f"{stem}_{suffix[1:]}{suffix}"
    name = path.name
    for parent in path.parents:
        if parent.name:
            name = f"{parent.name}_{name}"
            yield name
    for number in itertools.count(2):
        yield f"{stem}_{number}{suffix}"


def _mask_stem(name: str, series: str) -> str:
    from napari_segdino.io.pairs import mask_name

    return _stem(Path(mask_name(Path(name), ".tif", series)))


def _stem(path: Path) -> str:
    """Stem as a file system sees it that tells neither capitals nor accents apart.

    That of macOS takes an accent in one character for one in two.
    """
    from napari_segdino.io.pairs import stem_of

    return unicodedata.normalize("NFC", stem_of(path).casefold())
