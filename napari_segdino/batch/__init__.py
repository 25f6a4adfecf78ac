"""Images of any size and many files, on this machine or a Dask cluster."""

from napari_segdino.batch.blocks import iter_predict_blocks, iter_predict_to
from napari_segdino.batch.jobs import Job, Row, plan_jobs, write_report
from napari_segdino.batch.run import BatchSettings, iter_run
from napari_segdino.batch.writer import BlockWriter

__all__ = [
    "BatchSettings",
    "BlockWriter",
    "Job",
    "Row",
    "iter_predict_blocks",
    "iter_predict_to",
    "iter_run",
    "plan_jobs",
    "write_report",
]
