"""One file, start to end: the part that runs in every worker."""

from __future__ import annotations

import logging
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segdino.batch.jobs import ZARR_SUFFIX, Job, Row, Status
from napari_segdino.batch.record import (
    Made,
    Record,
    Verdict,
    Wanted,
    add,
    digest_of,
    judge,
    measure,
    measure_image,
    seen_from,
)
from napari_segdino.errors import ModelFileError, ScanError, SegDINOError, one_line
from napari_segdino.files import atomic_path, reason
from napari_segdino.images.lazy import load
from napari_segdino.io.provenance import Provenance
from napari_segdino.progress import Progress, drive

if TYPE_CHECKING:
    from napari_segdino.io.scan import Scan
    from napari_segdino.segmenter import Segmenter

_log = logging.getLogger(__name__)

IN_MEMORY = 1 << 28
"""Masks of more pixels than this go to disk block by block."""

_computing = threading.Lock()
"""Held while a file is computed: threads of a process overlap it with files."""

_loaded: dict[tuple[str, str, str], Segmenter] = {}


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe file's content, as it travels to workers.

    Parameters
    ----------
    content : bytes
        Of the file.
    digest : str
        Names what masks depend on; two files of one probe have the same.
    device, precision : str
        Where encoders compute, and in which numbers.
    provenance : Provenance
        What the masks say that they were made with.
    """

    content: bytes
    digest: str
    device: str = "auto"
    provenance: Provenance = Provenance()
    precision: str = "auto"


def read_probe(
    path: Path | str, device: str = "auto", precision: str = "auto"
) -> Probe:
    """Read a probe file and see that it is one.

    Parameters
    ----------
    path : path
        A probe file, or a checkpoint of SegDINO's own code.
    device, precision : str
        Where encoders compute, and in which numbers.

    Raises
    ------
    ModelFileError
        If it is missing, damaged, or no probe.
    """
    from napari_segdino.encoders.checkpoint import CHECKPOINT_SUFFIXES
    from napari_segdino.probe_file import provenance_of, read_model, write_model

    model = read_model(path)
    made = provenance_of(model)
    try:
        with tempfile.TemporaryDirectory() as folder:
            if Path(path).suffix.lower() in CHECKPOINT_SUFFIXES:
                # Workers load probe files only; there the checkpoint's own file may be
                # missing.
                path = write_model(Path(folder) / "probe.segdino", model)
            content = Path(path).read_bytes()
            return Probe(content, made.digest, device, made, precision)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read.") from error


class Cancelled(SegDINOError):
    """The work was stopped while a file was computed."""


def run_job(
    job: Job, probe: Probe, on_progress: Callable[[Progress], None] | None = None
) -> Row:
    """Segment one file; whatever goes wrong becomes its row.

    Parameters
    ----------
    job : Job
        The file.
    probe : Probe
        Loaded once per process.
    on_progress : callable, optional
        Called after each tile; may raise :class:`Cancelled`.

    Returns
    -------
    Row
    """
    start = time.perf_counter()
    try:
        row = _run(job, probe, on_progress)
    except _LeftAlone as why:
        row = Row(str(job.path), "", 0.0, "left alone", str(why))
    except Exception as error:  # noqa: BLE001 - one file's failure is its own
        _log.warning("%s failed", job.path, exc_info=True)
        row = Row(str(job.path), "", 0.0, "failed", one_line(error))
    seconds = 0.0 if row.status == "skipped" else time.perf_counter() - start
    return replace(row, seconds=seconds)


class _LeftAlone(SegDINOError):
    """There is something that the program cannot show that it made."""


def _run(job: Job, probe: Probe, on_progress: Callable[[Progress], None] | None) -> Row:
    """Segment a file, unless its mask is up to date or not ours."""
    from napari_segdino.io.read import read_scan

    if job.mask_of:
        raise _LeftAlone(f"{job.path.name} is a mask of {job.mask_of}, by its name.")
    wanted = _wanted(job, probe)
    if job.resume and (there := _up_to_date(job, wanted)):
        return Row(str(job.path), str(there), 0.0, "skipped")
    scan = read_scan(job.path, series=job.series or None, lazy=True)
    target, note = _target(job, scan), " ".join(scan.warnings)
    verdict = _look(job, target, wanted)
    if verdict.action == "leave":
        raise _LeftAlone(verdict.why)
    if verdict.action == "skip" and job.run and verdict.run == job.run:
        # By a worker that died before it could say so.
        return Row(str(job.path), str(target), 0.0, "done", note=note)

    def show(step: Any) -> None:
        if on_progress is not None and isinstance(step, Progress):
            on_progress(step)

    def publish(content: Path) -> None:
        """Record a mask that is whole, before it takes its name."""
        # Hours may lie between the first look and this one.
        if _look(job, target, wanted) != verdict:
            raise _LeftAlone(f"{target.name} changed meanwhile: it was left alone.")
        size, changed = measure(content)
        made: Any = asdict(wanted) | {"mask": target.name, "run": job.run}
        digest = digest_of(content)
        add(job.folder, Made(size=size, time=changed, digest=digest, **made))

    if target.name.endswith(ZARR_SUFFIX):
        _to_disk(job, scan, target, probe, show, publish)
    else:
        _to_file(scan, target, probe, show, publish)
    status: Status = "redone" if verdict.action == "redo" else "done"
    return Row(str(job.path), str(target), 0.0, status, verdict.why, note)


def _wanted(job: Job, probe: Probe) -> Wanted:
    """Say what the job's mask is to be made from.

    Raises
    ------
    ScanError
        If there is no such image.
    """
    try:
        measured = measure_image(job.path)
    except OSError as error:
        why = f"{job.path.name} cannot be read: {reason(error)}."
        raise ScanError(why) from error
    image = seen_from(job.folder, job.path)
    return Wanted(image, *measured, job.series, job.suffix, probe.digest)


def _up_to_date(job: Job, wanted: Wanted) -> Path | None:
    """Return the job's mask if nothing is left to do; the scan is not opened."""
    names = dict.fromkeys(made.mask for made in reversed(job.made))
    for path in (job.folder / name for name in names):
        if judge(path, job.made, wanted).action == "skip":
            return path
    return None


def _look(job: Job, target: Path, wanted: Wanted) -> Verdict:
    """Judge what lies where the mask goes."""
    verdict = judge(target, job.made, wanted)
    if verdict.action != "leave":
        return verdict
    record = Record.read(job.folder)  # another process may have made it since
    return judge(target, record.lines, wanted, record.damaged)


def _target(job: Job, scan: Scan) -> Path:
    from napari_segdino.io.formats import own_suffix

    large = math.prod(scan.spatial_shape) > IN_MEMORY
    suffix = job.suffix or (ZARR_SUFFIX if large else own_suffix(scan))
    return job.target(suffix)


def _to_file(
    scan: Scan,
    target: Path,
    probe: Probe,
    show: Callable[[Any], None],
    publish: Callable[[Path], None],
) -> None:
    from napari_segdino.io.write import write_mask

    labels = _in_memory(scan, probe, show)
    with atomic_path(target) as whole:
        write_mask(whole, labels, like=scan, provenance=probe.provenance)
        publish(whole)


def _in_memory(scan: Scan, probe: Probe, show: Callable[[Any], None]) -> Any:
    from napari_segdino.batch.blocks import iter_predict_blocks, needs_whole
    from napari_segdino.images.planes import as_planes
    from napari_segdino.inference.predict import (
        BlockResult,
        PlaneResult,
        label_dtype,
    )

    data = _load_small(scan)
    with _computing:
        segmenter = loaded_segmenter(probe)
        shape = scan.spatial_shape
        labels = np.zeros(
            (math.prod(shape[:-2]), *shape[-2:]), label_dtype(segmenter.n_classes_)
        )

        def take(step: Any) -> None:
            if isinstance(step, BlockResult):
                labels[(step.index, *step.slices)] = step.labels
            elif isinstance(step, PlaneResult):
                labels[step.index] = step.labels
            show(step)

        planes = as_planes(data, axes=scan.axes)
        segmenter.check_channels([planes])
        pipeline = drive(segmenter.iter_pipeline())
        how: Any = {"axes": scan.axes, "spacing": scan.voxel_mm}
        if needs_whole(pipeline, planes, segmenter.n_classes_, scan.voxel_mm):
            steps = segmenter.iter_predict(data, **how)
        else:
            steps = iter_predict_blocks(segmenter, data, **how)
        drive(steps, take)
    return labels.reshape(shape)


def _load_small(scan: Scan) -> Any:
    """Read a scan before its turn to compute, unless it is large."""
    size = math.prod(scan.shape) * np.dtype(scan.data.dtype).itemsize
    return load(scan.data) if size < IN_MEMORY else scan.data


def _to_disk(
    job: Job,
    scan: Scan,
    target: Path,
    probe: Probe,
    show: Callable[[Any], None],
    publish: Callable[[Path], None],
) -> None:
    from napari_segdino.batch.blocks import iter_predict_to
    from napari_segdino.batch.writer import BlockWriter
    from napari_segdino.inference.predict import label_dtype

    with _computing:
        segmenter = loaded_segmenter(probe)
        with BlockWriter(
            target,
            scan.header,
            dtype=label_dtype(segmenter.n_classes_),
            provenance=probe.provenance,
            resume=job.resume,
            made_by=str(_wanted(job, probe)),
            publish=publish,
        ) as writer:
            how: Any = {"axes": scan.axes, "spacing": scan.voxel_mm}
            drive(iter_predict_to(segmenter, scan.data, writer, **how), show)


def loaded_segmenter(probe: Probe) -> Segmenter:
    """Return the probe with its encoder, loaded once per process.

    Parameters
    ----------
    probe : Probe
        From :func:`read_probe`.

    Raises
    ------
    ModelFileError, WeightsError
        If it cannot be loaded here.
    """
    key = probe.digest, probe.device, probe.precision
    if key not in _loaded:
        from napari_segdino.segmenter import Segmenter

        # Closed before it is loaded: Windows opens no file twice.
        handle, name = tempfile.mkstemp(suffix=".segdino")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(probe.content)
            loaded = Segmenter.load(name, probe.device, probe.precision)
        finally:
            os.unlink(name)
        # One at a time: each holds an encoder.
        _loaded.clear()
        _loaded[key] = loaded
    return _loaded[key]


def set_threads(count: int) -> None:
    """Let torch use `count` threads in this process.

    Parameters
    ----------
    count : int
        At least 1 is used.
    """
    import torch

    torch.set_num_threads(max(1, count))
