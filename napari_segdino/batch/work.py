"""One file, start to end: the part that runs in every worker."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segdino.batch.jobs import ZARR_SUFFIX, Job, Row
from napari_segdino.batch.lazy import load
from napari_segdino.errors import ModelFileError, SegDINOError
from napari_segdino.progress import Progress, drive

if TYPE_CHECKING:
    from napari_segdino.io.scan import Scan
    from napari_segdino.segmenter import Segmenter

_log = logging.getLogger(__name__)

IN_MEMORY = 1 << 28
"""Masks of more pixels than this go to disk block by block."""

_computing = threading.Lock()
"""Held while a file is computed: threads of a process overlap it with files."""

_warm: dict[tuple[str, str], Segmenter] = {}


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe file's content, as it travels to workers.

    Parameters
    ----------
    content : bytes
        Of the file.
    device : str
        Where encoders compute.
    """

    content: bytes
    device: str = "auto"

    @property
    def digest(self) -> str:
        """Names the content."""
        return hashlib.blake2b(self.content, digest_size=16).hexdigest()


def read_probe(path: Path | str, device: str = "auto") -> Probe:
    """Read a probe file and see that it is one.

    Raises
    ------
    ModelFileError
        If it is missing, damaged, or no probe.
    """
    from napari_segdino.model_file import read_model

    read_model(path)
    try:
        return Probe(Path(path).read_bytes(), device)
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
    if job.resume and (target := job.finished()) is not None:
        return Row(str(job.path), str(target), 0.0, "skipped")
    try:
        written, note = _predict(job, probe, on_progress)
    except Exception as error:  # noqa: BLE001 - one file's failure is its own
        _log.warning("%s failed", job.path, exc_info=True)
        seconds = time.perf_counter() - start
        return Row(str(job.path), "", seconds, "failed", in_a_sentence(error))
    seconds = time.perf_counter() - start
    return Row(str(job.path), str(written), seconds, "done", note=note)


def in_a_sentence(error: BaseException) -> str:
    """Say what went wrong in one line."""
    if isinstance(error, SegDINOError):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "There is not enough memory."
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first.strip()}"


def _predict(
    job: Job, probe: Probe, on_progress: Callable[[Progress], None] | None
) -> tuple[Path, str]:
    """Return where the mask is, and what to know of the scan."""
    from napari_segdino.io.read import read_scan

    scan = read_scan(job.path, series=job.series or None, lazy=True)
    target, note = _target(job, scan), " ".join(scan.warnings)

    def show(step: Any) -> None:
        if on_progress is not None and isinstance(step, Progress):
            on_progress(step)

    if target.name.endswith(ZARR_SUFFIX):
        return _to_disk(job, scan, target, probe, show), note
    labels = _in_memory(scan, probe, show)
    from napari_segdino.io.write import write_mask

    return write_mask(target, labels, like=scan), note


def _target(job: Job, scan: Scan) -> Path:
    from napari_segdino.io.write import own_suffix

    large = math.prod(scan.spatial_shape) > IN_MEMORY
    suffix = job.suffix or (ZARR_SUFFIX if large else own_suffix(scan))
    return job.target(suffix)


def _in_memory(scan: Scan, probe: Probe, show: Callable[[Any], None]) -> Any:
    from napari_segdino.arrays import as_planes
    from napari_segdino.batch.blocks import iter_predict_blocks, needs_whole
    from napari_segdino.inference.predict import (
        BlockResult,
        PlaneResult,
        label_dtype,
    )

    data = _load_small(scan)
    with _computing:
        segmenter = warm_segmenter(probe)
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
        engine = drive(segmenter.iter_engine())
        how: Any = {"axes": scan.axes, "spacing": scan.voxel_mm}
        if needs_whole(engine, planes, segmenter.n_classes_, scan.voxel_mm):
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
    job: Job, scan: Scan, target: Path, probe: Probe, show: Callable[[Any], None]
) -> Path:
    from napari_segdino.batch.blocks import iter_predict_to
    from napari_segdino.batch.writer import BlockWriter
    from napari_segdino.inference.predict import label_dtype

    with _computing:
        segmenter = warm_segmenter(probe)
        with BlockWriter(
            target,
            scan.header,
            dtype=label_dtype(segmenter.n_classes_),
            resume=job.resume,
            made_by=probe.digest,
        ) as writer:
            how: Any = {"axes": scan.axes, "spacing": scan.voxel_mm}
            drive(iter_predict_to(segmenter, scan.data, writer, **how), show)
    return target


def warm_segmenter(probe: Probe) -> Segmenter:
    """Return the probe with its encoder, loaded once per process.

    Raises
    ------
    ModelFileError, WeightsError
        If it cannot be loaded here.
    """
    key = probe.digest, probe.device
    if key not in _warm:
        from napari_segdino.segmenter import Segmenter

        handle, name = tempfile.mkstemp(suffix=".segdino")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(probe.content)
            loaded = Segmenter.load(name, device=probe.device)
        finally:
            os.unlink(name)
        _warm.clear()
        _warm[key] = loaded
    return _warm[key]


def set_threads(count: int) -> None:
    """Let torch use `count` threads in this process."""
    import torch

    torch.set_num_threads(max(1, count))
