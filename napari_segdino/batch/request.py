"""A whole run in one piece: find the files, segment them, write the report."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_segdino.batch.jobs import Row, plan_jobs, write_report
from napari_segdino.batch.record import REPORT
from napari_segdino.batch.run import BatchSettings, iter_run
from napari_segdino.batch.work import Probe, read_probe
from napari_segdino.errors import InputError
from napari_segdino.progress import Progress, Steps


@dataclass(frozen=True, slots=True)
class Request:
    """What a user wants done with a folder.

    Parameters
    ----------
    source : str
        A folder, a file, or a pattern such as ``"scans/*.nii.gz"``.
    folder : str
        Where masks go, and the report.
    probe : str
        A probe file; empty is the present probe.
    suffix : str
        Format of the masks; empty is each scan's own.
    resume : bool
        Skip masks that are up to date.
    workers, scheduler
        As for :class:`BatchSettings`.
    """

    source: str
    folder: str
    probe: str = ""
    suffix: str = ""
    resume: bool = True
    workers: int = 0
    scheduler: str = ""

    def missing(self) -> str:
        """Say what has to be filled in first; empty if nothing."""
        if not self.source.strip():
            return "Choose the folder with the images first."
        if not self.folder.strip():
            return "Choose a folder for the masks first."
        return ""


def iter_request(
    request: Request, save_probe: Callable[[Path], Any] | None, device: str = "auto"
) -> Steps[list[Row]]:
    """Do what is wanted; the report is also written when it is stopped.

    Parameters
    ----------
    request : Request
        What.
    save_probe : callable, optional
        Writes the present probe to a path; None where there is none.
    device : str
        Where encoders compute.

    Yields
    ------
    Progress, Row
        As :func:`iter_run`.

    Returns
    -------
    list of Row
        In the order of the files.

    Raises
    ------
    InputError
        If something is missing, or there are no such files.
    SegDINOError
        If the probe cannot be read, or the report not be written.
    """
    if reason := request.missing():
        raise InputError(reason)
    yield Progress(0, 0, "Looking for files")
    jobs = plan_jobs(
        [request.source], request.folder, suffix=request.suffix, resume=request.resume
    )
    probe = _probe(request, save_probe, device)
    settings = BatchSettings(request.workers, request.scheduler.strip())
    rows: list[Row] = []
    try:
        for step in (steps := iter_run(jobs, probe, settings)):
            if isinstance(step, Row):
                rows.append(step)
            yield step
    finally:
        steps.close()
        order = {str(job.path): number for number, job in enumerate(jobs)}
        rows.sort(key=lambda row: order[row.file])
        if rows:
            write_report(find_report(Path(request.folder)), rows)
    return rows


def find_report(folder: Path) -> Path:
    """Return where the report of a folder goes: never over another table."""
    path = folder / REPORT
    try:
        with open(path, newline="") as file:
            ours = next(csv.reader(file), []) == [f.name for f in fields(Row)]
    except FileNotFoundError:
        return path
    except (OSError, ValueError, csv.Error):
        ours = False
    return path if ours else folder / f"segmented_{REPORT}"


def _probe(
    request: Request, save_probe: Callable[[Path], Any] | None, device: str
) -> Probe:
    if request.probe.strip():
        return read_probe(request.probe.strip(), device)
    if save_probe is None:
        raise InputError(
            "There is no probe yet: retrain first, or choose a probe file."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.segdino"
        save_probe(path)
        return read_probe(path, device)
