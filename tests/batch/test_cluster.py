"""Real workers; a worker that dies while it works."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from batch_scene import scene

from napari_segdino.batch import BatchSettings, Row, iter_run, plan_jobs
from napari_segdino.batch.cluster import iter_run_cluster
from napari_segdino.batch.jobs import Job
from napari_segdino.batch.record import Record
from napari_segdino.batch.work import Probe, read_probe
from napari_segdino.errors import InputError
from napari_segdino.io import read_mask
from napari_segdino.progress import drive

pytest.importorskip("distributed")

ENOUGH = 120
"""Seconds that processes may take to start on a busy machine."""


@pytest.fixture
def probe(real_probe):
    return read_probe(real_probe, "cpu")


@pytest.fixture
def one_thread(monkeypatch):
    """Processes that share two cores with others are faster with one thread."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def check(rows, jobs, out):
    """Every input has exactly one row and one whole mask."""
    assert [row.file for row in rows] == [str(job.path) for job in jobs]
    assert [(row.status, row.reason) for row in rows] == [("done", "")] * len(jobs)
    assert sorted(p.name for p in out.iterdir()) == [
        *(f"scan{n:02}_mask.tif" for n in range(len(jobs))),
        "segmented.jsonl",
    ]
    for number, row in enumerate(rows):
        assert (read_mask(row.output) == scene(seed=number)[1]).mean() > 0.97


def test_workers_on_this_machine(probe, folder_of, tmp_path, one_thread):
    folder = folder_of(4)
    (folder / "scan04.tif").write_bytes(b"II*\0 no image")
    jobs = plan_jobs([folder], tmp_path / "out")
    *rows, failed = drive(iter_run(jobs, probe, BatchSettings(workers=2)))
    check(rows, jobs[:4], tmp_path / "out")
    assert failed.status == "failed" and "scan04.tif" in failed.reason
    record = Record.read(tmp_path / "out")
    assert sorted(made.mask for made in record.lines) == [
        f"scan{n:02}_mask.tif" for n in range(4)
    ]
    assert not record.damaged
    again = plan_jobs([job.path for job in jobs[:4]], tmp_path / "out", resume=True)
    assert {row.status for row in drive(iter_run(again, probe))} == {"skipped"}


@pytest.fixture
def started():
    """Return a function that starts a part of dask; all are ended afterwards."""
    processes = []

    def start(*args):
        command = [sys.executable, "-m", "dask", *args]
        processes.append(
            subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def address_in(path):
    end = time.monotonic() + ENOUGH
    while time.monotonic() < end:
        if path.is_file() and (text := path.read_text()):
            return json.loads(text)["address"]
        time.sleep(0.1)
    raise AssertionError("the scheduler did not start")


def busy_worker(client):
    """Process id of a worker that has a file in hand."""
    end = time.monotonic() + ENOUGH
    while time.monotonic() < end:
        for address, tasks in client.processing().items():
            if tasks:
                return client.run(os.getpid, workers=[address])[address]
        time.sleep(0.01)
    raise AssertionError("no worker computes")


def test_a_worker_is_killed_and_nothing_is_lost_or_doubled(
    probe, folder_of, tmp_path, started, one_thread
):
    from distributed import Client

    folder, out = folder_of(12), tmp_path / "out"
    note = tmp_path / "scheduler.json"
    started("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(note))
    for _ in range(2):
        started(
            *("worker", "--scheduler-file", str(note), "--no-nanny", "--nthreads", "1"),
            *("--no-dashboard", "--local-directory", str(tmp_path / "workers")),
        )
    address = address_in(note)
    jobs = plan_jobs([folder], out)
    seen, killed = [], []
    with Client(address) as client:
        client.wait_for_workers(2, timeout=ENOUGH)

        def kill_one(step):
            if not isinstance(step, Row):
                return
            seen.append(step.file)
            if len(seen) == 2:
                killed.append(busy_worker(client))
                os.kill(killed[0], signal.SIGKILL)

        rows = drive(iter_run(jobs, probe, BatchSettings(scheduler=address)), kill_one)
        assert len(client.scheduler_info()["workers"]) == 1
    assert killed
    assert sorted(seen) == [str(job.path) for job in jobs]
    check(rows, jobs, out)


def test_without_distributed_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'napari-segdino\[cluster\]'"):
        drive(iter_run_cluster([], Probe(b"", "digest"), workers=1, scheduler=""))


@pytest.mark.parametrize(("asked", "used"), [(3, 3), (0, 5)])
def test_a_plugin_brings_its_probe_and_takes_it_away(monkeypatch, asked, used):
    from napari_segdino.batch import plugin

    threads, done = [], []
    monkeypatch.setattr(plugin, "set_threads", threads.append)
    monkeypatch.setattr(plugin, "run_job", lambda *given: done.append(given))
    probe, job = Probe(b"content", "digest", "cpu"), Job(Path("a.tif"), Path("out"))
    one = plugin.ProbePlugin(probe, asked)
    other = plugin.ProbePlugin(Probe(b"content", "digest", "cuda"), asked)
    assert one.name != other.name, "one probe on two devices is loaded twice"
    worker = SimpleNamespace(state=SimpleNamespace(nthreads=5))
    one.setup(worker)
    assert threads == [used]
    plugin.run_on_worker(job, one.name)
    assert done == [(job, probe)]
    one.teardown(worker)
    with pytest.raises(KeyError):
        plugin.run_on_worker(job, one.name)
