"""``napari-segdino`` itself, and its commands that only print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from napari_segdino.cli.experiments import ablation, fewshot
from napari_segdino.cli.options import verbose_option
from napari_segdino.cli.predict import predict
from napari_segdino.cli.score import score
from napari_segdino.cli.terminal import OneLineErrors, take_any_name
from napari_segdino.cli.train import train
from napari_segdino.cli.windows import app, demo

if TYPE_CHECKING:
    from napari_segdino.encoders import EncoderStatus


@click.group(
    cls=OneLineErrors,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="napari-segdino")
@verbose_option
@click.pass_context
def main(ctx: click.Context) -> None:
    """Segment images with a probe that learns from your corrections.

    Without a command, napari opens with the dock.
    """
    take_any_name()
    if ctx.invoked_subcommand is None:
        # Not main's own function: app's options have their defaults so.
        ctx.invoke(app)


@click.command()
@verbose_option
def encoders() -> None:
    """List the encoders and whether their weights are on this machine."""
    from napari_segdino.encoders import list_encoders

    click.echo(f"{'name':<24} {'weights':>12}  what and under which terms")
    for status in list_encoders():
        spec = status.spec
        terms = f"{spec.title}  [{status.licence}]"
        click.echo(f"{spec.name:<24} {_weights_of(status):>12}  {terms}")


def _weights_of(status: EncoderStatus) -> str:
    """Say where the weights of an encoder are."""
    if status.here:
        return "here"
    # What cannot be downloaded has no size: only its file helps.
    if status.download_bytes:
        return f"{status.download_bytes / 1e6:,.0f} MB"
    return "file needed"


@click.command()
@verbose_option
def info() -> None:
    """Show versions and device, for a report of a fault."""
    from napari_segdino.session.report import report

    click.echo(report(), nl=False)


for _command in (app, demo, train, predict, score, fewshot, ablation, encoders, info):
    main.add_command(_command)
