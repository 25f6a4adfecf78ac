"""``predict``: masks of many files by a trained probe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_segdino.cli.options import (
    ANY_PATH,
    EXISTING,
    device_option,
    precision_option,
    verbose_option,
)
from napari_segdino.cli.parsing import MaskSuffix
from napari_segdino.cli.terminal import with_bar

if TYPE_CHECKING:
    from napari_segdino.batch import Row


@click.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option("-m", "--model", type=EXISTING, required=True, help="A probe file.")
@click.option(
    "-o", "--output", type=ANY_PATH, required=True, help="Folder of the masks."
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    help="Processes on this machine.  [default: this one]",
)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to work on.")
@click.option(
    "--suffix",
    default="",
    type=MaskSuffix(),
    help="Format of the masks.  [default: the scan's own]",
)
@click.option(
    "--series",
    default="",
    metavar="SERIES",
    help="Which series of DICOM folders that hold several: its UID, its description "
    "or its number; or the number of an image in a TIFF or OME-Zarr.  "
    "[default: the largest, the first]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Skip masks that are up to date, go on with half-written ones.",
)
@click.option("--csv", "report", type=ANY_PATH, help="Write a report of all files.")
@device_option
@precision_option
@verbose_option
def predict(
    inputs: tuple[str, ...],
    model: Path,
    output: Path,
    workers: int,
    scheduler: str | None,
    suffix: str,
    series: str,
    resume: bool,
    report: Path | None,
    device: str,
    precision: str,
) -> None:
    """Segment INPUTS (files, folders or patterns) with a trained probe.

    Masks are written in the scans' own formats and geometry where these can
    hold masks; very large ones as OME-Zarr. A mask of a series that was chosen
    has it in its name. A file that fails does not stop the others; the failures
    are listed at the end, and the status is then 1.

    What was made from what stands in segmented.jsonl beside the masks. A file
    that is not in it, or was changed since, is never overwritten but named;
    without --resume, the status is then 1 as well.
    """
    from napari_segdino.batch import BatchSettings, iter_run, plan_jobs, write_report
    from napari_segdino.batch.work import read_probe

    if workers and scheduler:
        raise click.UsageError("Give either --workers or --scheduler.")
    probe = read_probe(model, device, precision)
    jobs = plan_jobs(inputs, output, suffix=suffix, resume=resume, series=series)
    rows: list[Row] = []

    def take(row: Any) -> None:
        rows.append(row)
        if row.status in ("done", "redone"):
            # Alone on standard output, so that it can be piped on.
            click.echo(row.output)

    try:
        with_bar(iter_run(jobs, probe, BatchSettings(workers, scheduler or "")), take)
    finally:
        # Also when it was interrupted: what is in the report is done.
        if report is not None:
            write_report(report, rows)
    _tell(rows, resume)


def _tell(rows: list[Row], resume: bool) -> None:
    """Say what to know of the scans, and list what was not done.

    Raises
    ------
    click.ClickException
        If anything failed, or was left alone without `resume`.
    """
    skipped = sum(row.status == "skipped" for row in rows)
    if skipped:
        click.echo(f"{skipped} files were finished before.", err=True)
    for row in rows:
        if row.status == "redone":
            click.echo(f"{row.output} was done again: {row.reason}", err=True)
        if row.note:
            click.echo(f"{Path(row.file).name}: {row.note}", err=True)
    left = [row for row in rows if row.status == "left alone"]
    failed = [row for row in rows if row.status == "failed"]
    for row in left + failed:
        click.echo(f"{row.file}: {row.reason}", err=True)
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(rows)} files failed.")
    if left and not resume:
        raise click.ClickException(
            f"{len(left)} of {len(rows)} files were left alone: remove what is in the "
            "way, or choose another folder."
        )
