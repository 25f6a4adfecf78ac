"""The command line: ``napari-segdino`` and its subcommands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from napari_segdino import __version__
from napari_segdino.errors import SegDINOError
from napari_segdino.progress import Progress, Steps, drive

T = TypeVar("T")

EXISTING = click.Path(exists=True, path_type=Path)
ANY_PATH = click.Path(path_type=Path)


class OneLineErrors(click.Group):
    """Shows what went wrong as one sentence and exits with status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors meant for users are shown as they are."""
        try:
            return super().invoke(ctx)
        except SegDINOError as error:
            logging.getLogger(__name__).debug("Command failed", exc_info=True)
            raise click.ClickException(str(error)) from error


def with_bar(steps: Steps[T], on_result: Callable[[Any], None] | None = None) -> T:
    """Run a task with a progress bar on standard error.

    Parameters
    ----------
    steps : generator
        The task.
    on_result : callable, optional
        Called with whatever it yields besides :class:`Progress`.
    """
    from tqdm import tqdm

    with tqdm(leave=False, bar_format="{desc}: {percentage:3.0f}%|{bar}|") as bar:

        def show(step: Any) -> None:
            if not isinstance(step, Progress):
                if on_result is not None:
                    on_result(step)
                return
            bar.total = step.total or None
            bar.n = step.done
            bar.set_description_str(step.text, refresh=True)

        return drive(steps, show)


def encoder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that the dock shows as well."""
    options = [
        click.option(
            "--encoder",
            default="dinov3_vits16",
            show_default=True,
            help="A name that `encoders` lists, timm:NAME, or a checkpoint file.",
        ),
        click.option("--head", default="mvr", show_default=True, help="What is trained."),
        click.option("--seed", default=0, show_default=True, help="Same seed, same mask."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where the encoder computes.",
)


@click.group(cls=OneLineErrors, invoke_without_command=True)
@click.version_option(__version__)
@click.option("-v", "--verbose", is_flag=True, help="Log details to standard error.")
@click.pass_context
def main(ctx: click.Context, verbose: bool) -> None:
    """Segment images with a probe that learns from your corrections.

    Without a command, napari opens with the dock.
    """
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING)
    if ctx.invoked_subcommand is None:
        ctx.invoke(app)


@main.command()
@click.argument("paths", nargs=-1, type=EXISTING)
def app(paths: tuple[Path, ...]) -> None:
    """Open napari with the dock, and PATHS if any are given."""
    _gui("launch")(paths)


@main.command()
@click.option(
    "-o",
    "--output",
    type=ANY_PATH,
    default=Path("demo-output"),
    show_default=True,
    help="Folder of the mask and the screenshots.",
)
@click.option(
    "--headless/--window",
    default=None,
    help="Play the story on a virtual display; the default where there is none.",
)
def demo(output: Path, headless: bool | None) -> None:
    """Run the main job on a real sample scan."""
    _gui("run")(output, headless)


def _gui(name: str) -> Callable[..., Any]:
    """Find a function of the program with windows."""
    try:
        from importlib import import_module

        function: Callable[..., Any] = getattr(
            import_module("napari_segdino._qt.demo"), name
        )
    except ImportError as error:
        raise click.ClickException(
            "napari or Qt is not installed: pip install 'napari-segdino[app]'."
        ) from error
    return function


@main.command()
@click.argument("images", type=EXISTING)
@click.argument("masks", type=EXISTING)
@click.option("-o", "--output", type=ANY_PATH, required=True, help="The probe file.")
@encoder_options
@device_option
def train(
    images: Path, masks: Path, output: Path, encoder: str, head: str, seed: int, device: str
) -> None:
    """Train a probe on IMAGES (a file or a folder) and their MASKS."""
    from napari_segdino.arrays import marks_from_mask
    from napari_segdino.io.pairs import pair_files
    from napari_segdino.io.read import read_scan
    from napari_segdino.segmenter import Segmenter

    segmenter = Segmenter(encoder, head, device, seed)
    pairs = pair_files(images, masks)
    for number, (image, mask) in enumerate(pairs, 1):
        scan, truth = read_scan(image), read_scan(mask)
        click.echo(f"[{number}/{len(pairs)}] {image.name}", err=True)
        marks = marks_from_mask(truth.data)
        steps = segmenter.iter_partial_fit(scan.data, marks, axes=scan.axes)
        with_bar(steps)
    segmenter.save(output)
    click.echo(f"Trained on {len(pairs)} images; the probe is in {output}.")


@main.command()
@click.argument("inputs", nargs=-1, required=True, type=EXISTING)
@click.option("-m", "--model", type=EXISTING, required=True, help="A probe file.")
@click.option("-o", "--output", type=ANY_PATH, required=True, help="Folder of the masks.")
@device_option
def predict(inputs: tuple[Path, ...], model: Path, output: Path, device: str) -> None:
    """Segment INPUTS (files or folders) with a trained probe."""
    from napari_segdino.io.pairs import list_images, mask_name
    from napari_segdino.io.read import read_scan
    from napari_segdino.segmenter import Segmenter

    segmenter = Segmenter.load(model, device=device)
    paths = [path for given in inputs for path in list_images(given)]
    output.mkdir(parents=True, exist_ok=True)
    failed = []
    for path in paths:
        target = output / mask_name(path)
        try:
            _predict_file(segmenter, read_scan(path), target)
        except SegDINOError as error:
            failed.append(f"{path}: {error}")
        else:
            click.echo(target)
    for line in failed:
        click.echo(line, err=True)
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(paths)} files failed.")


def _predict_file(segmenter: Any, scan: Any, target: Path) -> None:
    import numpy as np

    from napari_segdino.inference.predict import PlaneResult, label_dtype
    from napari_segdino.io.write import write_mask

    shape = scan.spatial_shape
    labels = np.zeros((int(np.prod(shape[:-2])), *shape[-2:]), label_dtype(segmenter.n_classes_))

    def take(step: Any) -> None:
        if isinstance(step, PlaneResult):
            labels[step.index] = step.labels

    with_bar(segmenter.iter_predict(scan.data, axes=scan.axes), take)
    write_mask(target, labels.reshape(shape), like=scan)


@main.command()
@click.argument("predicted", type=EXISTING)
@click.argument("true", type=EXISTING)
@click.option("--csv", type=ANY_PATH, help="Write the table to this file as well.")
def score(predicted: Path, true: Path, csv: Path | None) -> None:
    """Compare PREDICTED masks with TRUE ones (files or folders)."""
    from napari_segdino.io.pairs import pair_files
    from napari_segdino.io.read import read_scan
    from napari_segdino.metrics import score_case, summarise, to_csv

    rows = []
    for mask, truth in pair_files(predicted, true):
        a, b = read_scan(mask), read_scan(truth)
        rows += score_case(a.data, b.data, spacing=b.spacing, case=mask.name)
    if csv is not None:
        to_csv(csv, rows)
    click.echo(summarise(rows))


@main.command()
def encoders() -> None:
    """List the encoders and whether their weights are on this machine."""
    from napari_segdino.encoders import list_encoders

    for status in list_encoders():
        size = status.download_bytes / 1e6
        state = "here" if status.here else f"{size:,.0f} MB" if size else "file needed"
        spec = status.spec
        click.echo(f"{spec.name:24} {state:>12}  {spec.title}  [{status.licence}]")
