"""Many files on Dask workers: each file is one task, and each has one row."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_segdino.batch.jobs import Job, Row
from napari_segdino.batch.run import TEXT
from napari_segdino.batch.work import Probe
from napari_segdino.errors import InputError, one_line
from napari_segdino.progress import Progress, Steps

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

_log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between two looks at what is finished, and chances to be stopped."""

PATIENCE = "30s"
"""How long a scheduler may take to answer."""


def iter_run_cluster(
    jobs: Sequence[Job], probe: Probe, workers: int, scheduler: str
) -> Steps[list[Row]]:
    """Segment many files on workers; see :func:`~napari_segdino.batch.iter_run`.

    The files of a worker that dies go to another one. Masks are written whole
    and under one name, so that none is lost or doubled.

    Parameters
    ----------
    jobs : sequence of Job
        From :func:`plan_jobs`.
    probe : Probe
        Sent to each worker once.
    workers : int
        Processes to start here; 0 with a scheduler.
    scheduler : str
        Address of one that runs; empty starts workers here.

    Returns
    -------
    list of Row
        In the order of the jobs.

    Yields
    ------
    Progress, Row
        See :func:`~napari_segdino.batch.iter_run`.

    Raises
    ------
    InputError
        If distributed is missing, or no scheduler answers.
    """
    rows: dict[int, Row] = {}
    yield Progress(0, len(jobs), "Starting workers")
    with _client(workers, scheduler) as client:
        from napari_segdino.batch.plugin import ProbePlugin

        plugin = ProbePlugin(probe, workers and _threads_each(workers))
        client.register_plugin(plugin)
        try:
            yield Progress(0, len(jobs), TEXT)
            for number, row in _as_completed(client, jobs, plugin.name):
                if row is None:
                    yield Progress(len(rows), len(jobs), TEXT)
                    continue
                rows[number] = row
                yield row
                yield Progress(len(rows), len(jobs), TEXT)
        finally:
            # A scheduler of others goes on without us, and its workers would keep the
            # probe.
            _forget(client, plugin.name)
    _sweep(jobs)
    return [rows[number] for number in range(len(jobs))]


def _as_completed(
    client: Client, jobs: Sequence[Job], name: str
) -> Iterator[tuple[int, Row | None]]:
    """Give the number and row of each job as it is finished, None while it is not."""
    from distributed import as_completed

    from napari_segdino.batch.plugin import run_on_worker

    futures = {
        # Not pure: Dask would give the row of an earlier run for the same file.
        client.submit(run_on_worker, job, name, pure=False): number
        for number, job in enumerate(jobs)
    }
    try:
        finished = as_completed(list(futures))
        while not finished.is_empty():
            # Looked at and not waited for, so that the task can be stopped at each
            # tick.
            for future in finished.next_batch(block=False):
                if not future.done():  # a worker died with it: another one does it
                    finished.add(future)
                    continue
                number = futures[future]
                yield number, _row_of(future, jobs[number])
            yield -1, None
            time.sleep(TICK)
    finally:
        client.cancel([f for f in futures if not f.done()])


def _row_of(future: Any, job: Job) -> Row:
    """Turn a finished task into a row, also one that took its workers along."""
    if future.status == "finished":
        row: Row = future.result()
        return row
    if future.status == "cancelled":
        why = "The connection to the scheduler was lost."
    else:
        error = future.exception()
        name = type(error).__name__
        # By name: the class is distributed's, which rows are read without.
        why = one_line(error) if name != "KilledWorker" else _KILLED
    return Row(str(job.path), "", 0.0, "failed", why)


_KILLED = "The workers that tried it died, perhaps for lack of memory."


@contextmanager
def _client(workers: int, scheduler: str) -> Iterator[Client]:
    """Connect to a scheduler, or start workers on this machine.

    Raises
    ------
    InputError
        If distributed is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "Workers need another package: pip install 'napari-segdino[cluster]'."
        ) from error
    if scheduler:
        try:
            client = Client(scheduler, timeout=PATIENCE)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(f"No scheduler answers at {scheduler}.") from error
        with client:
            yield client
        return
    with _local_cluster(workers) as cluster, Client(cluster) as client:
        yield client


def _local_cluster(workers: int) -> LocalCluster:
    """Start workers on this machine.

    Raises
    ------
    InputError
        If they do not start.
    """
    from distributed import LocalCluster

    try:
        return LocalCluster(
            n_workers=workers,
            # As in one process: one file is computed, one is read or written.
            threads_per_worker=2,
            # No port is opened for a page that nobody asked for.
            dashboard_address=None,
            silence_logs=logging.ERROR,
        )
    except (RuntimeError, OSError, TimeoutError) as error:
        _log.error("workers did not start", exc_info=error)
        raise InputError(
            "The workers did not start. A script that starts them needs its lines "
            "under: if __name__ == '__main__'."
        ) from error


def _threads_each(workers: int) -> int:
    # What this process may use, which batch systems make fewer than there are.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return max(1, (cores or os.cpu_count() or 1) // workers)


def _forget(client: Client, name: str) -> None:
    if client.status == "running":
        client.unregister_worker_plugin(name)


def _sweep(jobs: Sequence[Job]) -> None:
    """Remove half-written files of workers that died; all masks are whole now."""
    from napari_segdino.files import split_suffix

    stems = {(job.folder, split_suffix(job.target(".tif"))[0]) for job in jobs}
    for folder in {folder for folder, _ in stems}:
        for left in folder.glob(".*.part*"):
            stem = left.name.lstrip(".").split(".part")[0].rpartition(".")[0]
            if (folder, stem) in stems and left.is_file():
                left.unlink(missing_ok=True)
