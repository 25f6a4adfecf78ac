"""``info``: what to add to a report of a fault."""

from __future__ import annotations

import click

from napari_segdino.cli.options import verbose_option


@click.command()
@verbose_option
def info() -> None:
    """Show versions and device, for a report of a fault."""
    from napari_segdino.session.report import report

    click.echo(report(), nl=False)
