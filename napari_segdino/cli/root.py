"""``napari-segdino`` itself."""

from __future__ import annotations

import click

from napari_segdino.cli.encoders import encoders
from napari_segdino.cli.experiments import ablation, fewshot
from napari_segdino.cli.options import verbose_option
from napari_segdino.cli.predict import predict
from napari_segdino.cli.score import score
from napari_segdino.cli.terminal import OneLineErrors, take_any_name
from napari_segdino.cli.train import train
from napari_segdino.cli.windows import app, demo


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
def info() -> None:
    """Show versions and device, for a report of a fault."""
    from napari_segdino.session.report import report

    click.echo(report(), nl=False)


for _command in (app, demo, train, predict, score, fewshot, ablation, encoders, info):
    main.add_command(_command)
