"""``predict``: masks of many files by a trained probe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_segdino.cli.bar import with_bar
from napari_segdino.cli.errors import one_line
from napari_segdino.cli.options import ANY_PATH, EXISTING, device_option, verbose_option
from napari_segdino.errors import SegDINOError

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=EXISTING)
@click.option("-m", "--model", type=EXISTING, required=True, help="A probe file.")
@click.option(
    "-o", "--output", type=ANY_PATH, required=True, help="Folder of the masks."
)
@device_option
@verbose_option
def predict(inputs: tuple[Path, ...], model: Path, output: Path, device: str) -> None:
    """Segment INPUTS (files or folders) with a trained probe.

    Masks are written in the scans' own formats and geometry where these can
    hold masks. A file that fails does not stop the others.
    """
    from napari_segdino.io.pairs import list_images
    from napari_segdino.segmenter import Segmenter

    segmenter = Segmenter.load(model, device=device)
    paths = [path for given in inputs for path in list_images(given)]
    _check_names(paths)
    output.mkdir(parents=True, exist_ok=True)
    failed = []
    for number, path in enumerate(paths, 1):
        try:
            target = _predict_file(segmenter, path, output, f"[{number}/{len(paths)}]")
        except (SegDINOError, MemoryError) as error:
            failed.append(path)
            click.echo(f"{path}: {one_line(error)}", err=True)
        else:
            click.echo(target)
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(paths)} files failed.")


def _check_names(paths: list[Path]) -> None:
    """Refuse inputs whose masks would overwrite one another.

    Raises
    ------
    click.ClickException
        Before anything is written.
    """
    from napari_segdino.io.pairs import stem_of

    seen: dict[str, Path] = {}
    for path in paths:
        first = seen.setdefault(stem_of(path), path)
        if first is not path:
            raise click.ClickException(
                f"{first} and {path} would be written to one mask: "
                "predict them into different folders."
            )


def _predict_file(segmenter: Segmenter, path: Path, folder: Path, name: str) -> Path:
    import numpy as np

    from napari_segdino.inference.predict import PlaneResult, label_dtype
    from napari_segdino.io.pairs import mask_name
    from napari_segdino.io.read import read_scan
    from napari_segdino.io.write import own_suffix, write_mask
    from napari_segdino.study.read import slice_mm

    scan = read_scan(path, lazy=True)
    shape = scan.spatial_shape
    planes = (int(np.prod(shape[:-2])), *shape[-2:])
    labels = np.zeros(planes, label_dtype(segmenter.n_classes_))

    def take(step: Any) -> None:
        if isinstance(step, PlaneResult):
            labels[step.index] = step.labels

    steps = segmenter.iter_predict(scan.data, axes=scan.axes, spacing=slice_mm(scan))
    with_bar(steps, take, name)
    target = folder / mask_name(path, own_suffix(scan))
    write_mask(target, labels.reshape(shape), like=scan)
    return target
