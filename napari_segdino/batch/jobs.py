"""What is to be done with many files, and what came of it."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from napari_segdino.errors import InputError
from napari_segdino.files import write_csv

Status = Literal["done", "skipped", "failed"]

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
        Leave a mask that is there, and go on with one that is half written.
    series : str
        Which one of several in the scan, as for
        :func:`~napari_segdino.io.read_scan`; the mask is named after it. Empty
        is the largest or first one.
    """

    path: Path
    folder: Path
    suffix: str = ""
    resume: bool = False
    series: str = ""

    def target(self, suffix: str) -> Path:
        """Return where the mask goes, in a format."""
        from napari_segdino.io.pairs import mask_name

        return self.folder / mask_name(self.path, suffix, self.series)

    def finished(self) -> Path | None:
        """Return the mask if it is there: masks are written whole or not at all."""
        from napari_segdino.io.write import MASK_SUFFIXES

        suffixes = (self.suffix,) if self.suffix else (*MASK_SUFFIXES, ZARR_SUFFIX)
        targets = map(self.target, suffixes)
        return next((target for target in targets if target.exists()), None)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one file; a line of the report.

    Parameters
    ----------
    file, output : str
        The scan, and its mask if there is one.
    seconds : float
        From reading to writing.
    status : {"done", "skipped", "failed"}
        Skipped is what was finished before.
    reason : str
        Why it failed, one sentence.
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
        If nothing is found, the suffix is not known, or two files would be
        written to one mask.
    """
    from napari_segdino.io.pairs import stem_of
    from napari_segdino.io.write import MASK_SUFFIXES

    known = (*MASK_SUFFIXES, ZARR_SUFFIX)
    if suffix and suffix not in known:
        raise InputError(f"Masks are written as {', '.join(known)}, not {suffix!r}.")
    paths = [found for one in inputs for path in _expand(one) for found in _of(path)]
    paths = list(dict.fromkeys(paths))
    seen: dict[str, Path] = {}
    for path in paths:
        first = seen.setdefault(stem_of(path), path)
        if first is not path:
            raise InputError(
                f"{first} and {path} would be written to one mask: "
                "predict them into different folders."
            )
    masks = Path(folder).absolute()
    return [Job(path, masks, suffix, resume, series) for path in paths]


def _of(path: Path) -> list[Path]:
    from napari_segdino.io.pairs import list_images

    return [found.absolute() for found in list_images(path)]


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
    shown = ({**asdict(row), "seconds": f"{row.seconds:.2f}"} for row in rows)
    write_csv(path, names, (row.values() for row in shown))
