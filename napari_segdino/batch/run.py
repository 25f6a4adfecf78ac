"""Many files: in this process, on this machine's cores, or on a cluster."""

from __future__ import annotations

import csv
import queue
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_segdino.batch.jobs import Job, Row, plan_jobs, write_report
from napari_segdino.batch.record import LOCK, REPORT
from napari_segdino.batch.work import Cancelled, Probe, read_probe, run_job
from napari_segdino.errors import InputError
from napari_segdino.progress import Progress, Steps

AHEAD = 2
"""Files at once in a process: one is computed, one is read or written."""

TEXT = "Predicting files"

TICK = 0.2
"""Seconds between two chances to be stopped."""


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Where many files are computed.

    Parameters
    ----------
    workers : int
        Processes on this machine; 0 is this process.
    scheduler : str
        Address of a Dask scheduler, such as ``"tcp://host:8786"``; empty is
        this machine.
    """

    workers: int = 0
    scheduler: str = ""


def iter_run(
    jobs: Sequence[Job], probe: Probe, settings: BatchSettings | None = None
) -> Steps[list[Row]]:
    """Segment many files.

    A file that fails does not stop the others. Closing the generator stops
    the work; what is finished stays.

    Parameters
    ----------
    jobs : sequence of Job
        From :func:`plan_jobs`.
    probe : Probe
        From :func:`~napari_segdino.batch.work.read_probe`.
    settings : BatchSettings, optional
        None is this process.

    Yields
    ------
    Progress
        In files; in tiles where there is one file in this process.
    Row
        Exactly one for each job, as they are finished.

    Returns
    -------
    list of Row
        In the order of the jobs.

    Raises
    ------
    InputError
        If the packages for clusters are missing, or the scheduler does not
        answer.
    """
    settings = settings or BatchSettings()
    if settings.workers < 0:
        raise InputError(f"There cannot be {settings.workers} workers.")
    for folder in {job.folder for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    if settings.scheduler or settings.workers:
        from napari_segdino.batch.cluster import iter_run_cluster

        steps = iter_run_cluster(jobs, probe, settings.workers, settings.scheduler)
    else:
        steps = _iter_run_here(jobs, probe)
    return _iter_and_tidy(steps, {job.folder for job in jobs})


def _iter_and_tidy(steps: Steps[list[Row]], folders: set[Path]) -> Steps[list[Row]]:
    """Leave no lock behind."""
    try:
        return (yield from steps)
    finally:
        for folder in folders:
            with suppress(OSError):
                (folder / LOCK).unlink(missing_ok=True)


def _iter_run_here(jobs: Sequence[Job], probe: Probe) -> Steps[list[Row]]:
    """Compute in this process, reading and writing beside it."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop = threading.Event()

    def show(progress: Progress) -> None:
        if stop.is_set():
            raise Cancelled("Stopped.")
        # Tiles of two files at once would count to and fro.
        if len(jobs) == 1:
            events.put(progress)

    rows: dict[int, Row] = {}
    pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="segdino-batch")
    try:
        yield (last := Progress(0, len(jobs), TEXT))
        for number, job in enumerate(jobs):
            pool.submit(_run, number, job, probe, show, events)
        while len(rows) < len(jobs):
            try:
                event = events.get(timeout=TICK)
            except queue.Empty:
                # A chance to be stopped while a large file is computed.
                event = last
            if not isinstance(event, Progress):
                number, row = event
                rows[number] = row
                yield row
                if len(jobs) == 1:
                    continue
                event = Progress(len(rows), len(jobs), TEXT)
            yield (last := event)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return [rows[number] for number in range(len(jobs))]


def _run(
    number: int,
    job: Job,
    probe: Probe,
    show: Callable[[Progress], None],
    events: queue.SimpleQueue[Any],
) -> None:
    events.put((number, run_job(job, probe, show)))


# -- a whole run: find the files, segment them, write the report -------------


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

    def words(self) -> tuple[str, ...]:
        """Return what ``napari-segdino predict`` takes to do this."""
        named = {
            "-o": self.folder,
            "-m": self.probe,
            "--suffix": self.suffix,
            "--workers": str(self.workers or ""),
            "--scheduler": self.scheduler,
        }
        chosen = [word for pair in named.items() if pair[1] for word in pair]
        return (self.source, *chosen, *(["--resume"] if self.resume else []))

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
    """Return where the report of a folder goes: never over another table.

    Parameters
    ----------
    folder : pathlib.Path
        Of the masks.
    """
    path = folder / REPORT
    try:
        with open(path, newline="", encoding="utf-8") as file:
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
        raise InputError("There is no model yet: retrain first, or choose a saved one.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.segdino"
        save_probe(path)
        return read_probe(path, device)
