"""Many files: in this process, on this machine's cores, or on a cluster."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_segdino.batch.jobs import Job, Row
from napari_segdino.batch.record import LOCK
from napari_segdino.batch.work import Cancelled, Probe, run_job
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
        if len(jobs) == 1:
            events.put(progress)

    rows: dict[int, Row] = {}
    pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="segdino-batch")
    try:
        yield (feature_settings := Progress(0, len(jobs), TEXT))
        for number, job in enumerate(jobs):
            pool.submit(_run, number, job, probe, show, events)
        while len(rows) < len(jobs):
            try:
                event = events.get(timeout=TICK)
            except queue.Empty:
                # A chance to be stopped while a large file is computed.
                event = feature_settings
            if not isinstance(event, Progress):
                number, row = event
                rows[number] = row
                yield row
                if len(jobs) == 1:
                    continue
                event = Progress(len(rows), len(jobs), TEXT)
            yield (feature_settings := event)
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
