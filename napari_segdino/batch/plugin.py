"""What brings a probe to Dask workers; the only module that needs distributed."""

from __future__ import annotations

from typing import Any

from distributed import WorkerPlugin

from napari_segdino.batch.jobs import Job, Row
from napari_segdino.batch.work import Probe, run_job, set_threads

_held: dict[str, Probe] = {}
"""Probes of this worker, by name."""


class ProbePlugin(WorkerPlugin):  # type: ignore[misc]
    """Hands a probe to every worker, also to those that join later.

    Parameters
    ----------
    probe : Probe
        Its content travels once per worker.
    threads : int
        For torch; 0 is as many as the worker was told to use.
    """

    idempotent = True

    def __init__(self, probe: Probe, threads: int) -> None:
        self.name = f"segdino-{probe.digest}-{probe.device}"
        self.probe, self.threads = probe, threads

    def setup(self, worker: Any) -> None:
        """Take the probe; the encoder is loaded with the first file.

        Parameters
        ----------
        worker : distributed.Worker
            Where it has arrived.
        """
        _held[self.name] = self.probe
        # Otherwise each of several workers would take all cores for torch.
        set_threads(self.threads or worker.state.nthreads)

    def teardown(self, worker: Any) -> None:
        """Let go of the probe.

        Parameters
        ----------
        worker : distributed.Worker
            The same.
        """
        _held.pop(self.name, None)


def run_on_worker(job: Job, name: str) -> Row:
    """Segment one file with the probe that the plugin brought.

    Parameters
    ----------
    job : Job
        The file.
    name : str
        Of the plugin.
    """
    return run_job(job, _held[name])
